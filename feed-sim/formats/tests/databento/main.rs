//! Databento DBN: the recorded sample against the crate's own reader and a naive book, and synthetic records.

#[path = "../../../tests/common/mod.rs"]
mod common;
#[path = "../../examples/recordings/dbn/records.rs"]
mod records;

mod damage;
mod recorded;
mod schemas;

use common::all;
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Timed};
use records::metadata;

fn replayed(bytes: Vec<u8>) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("dbn").expect("a format").of_bytes(bytes).expect("readable"))
}

fn file(records: &[&[u8]]) -> Vec<u8> {
    [&[metadata(3).as_slice()], records].concat().concat()
}
