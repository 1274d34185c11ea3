//! NASDAQ TotalView-ITCH: the recorded sample against a naive rebuild, and synthetic messages of every type.

#[path = "../../../tests/common/mod.rs"]
mod common;
#[path = "../../examples/recordings/itch/messages.rs"]
mod messages;

mod damage;
mod days;
mod recorded;

use common::{all, synthetic};
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Timed};

fn replayed(bytes: Vec<u8>) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("itch").expect("a format").of_bytes(bytes).expect("readable"))
}

/// The messages of the synthetic recording: a day with each type that publishes something.
fn day() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(synthetic("itch50.bin")).expect("readable");
    let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, next) = after.split_at(u16::from_be_bytes(*length).into());
        messages.push(message.to_vec());
        rest = next;
    }
    messages
}

/// A message with 00 00 before it instead of its length.
fn unframed(message: &[u8]) -> Vec<u8> {
    [&[0, 0], message].concat()
}
