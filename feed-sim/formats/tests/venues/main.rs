//! Recordings of venues: real ones, each message type, and damaged ones.

#[path = "../../../tests/common/mod.rs"]
mod common;

mod betfair;
mod betfair_recorded;
mod coinbase;
mod damage;
mod kraken;
mod statsbomb;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use common::{all, data, merge};
use feed_formats::{Reader, find};
use feed_player::publication::{BadRecord, Counts, Kind, Timed};
use serde_json::Value;

/// Plays a recording that is `text`.
fn of_text(format: &str, text: &str) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find(format).expect("a format").of_bytes(text.into()).expect("readable"))
}

/// Plays a file.
fn of_file(format: &str, path: &Path) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find(format).expect("a format").open(path).expect("it opens"))
}

/// Returns the text of a recorded file, for a reading that is independent of the replay.
fn decompressed(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("readable");
    let mut text = String::new();
    Reader::decompressing(Cursor::new(bytes)).expect("a known form").read_to_string(&mut text).expect("whole");
    text
}

/// Returns what a subscriber to all topics has in the end: the newest state of each topic, with its patches.
fn images(timed: &[Timed]) -> BTreeMap<String, Value> {
    let mut images = BTreeMap::new();
    for Timed { publication, .. } in timed {
        take(&mut images, publication);
    }
    images
}

fn take(images: &mut BTreeMap<String, Value>, publication: &feed_player::publication::Publication) {
    let data = data(publication);
    match publication.kind {
        Kind::State => _ = images.insert(publication.topic.clone(), data),
        Kind::Patch => merge(images.get_mut(&publication.topic).expect("a state comes before its patches"), &data),
        Kind::Event => {}
    }
}

/// `due_us topic kind data` of each publication.
fn lines(timed: &[Timed]) -> Vec<String> {
    let line = |timed: &Timed| {
        let publication = &timed.publication;
        format!("{} {} {} {}", timed.due_us, publication.topic, publication.kind.as_str(), publication.data)
    };
    timed.iter().map(line).collect()
}

/// Counts the publications of a kind on topics with this ending.
fn count(timed: &[Timed], kind: Kind, ending: &str) -> usize {
    timed.iter().filter(|timed| timed.publication.kind == kind && timed.publication.topic.ends_with(ending)).count()
}

/// Returns the levels of one side of a published book.
fn side(book: &Value, side: &str) -> BTreeMap<String, String> {
    let levels = book[side].as_object().unwrap_or_else(|| panic!("no {side} in {book}"));
    levels.iter().map(|(px, qty)| (px.clone(), qty.as_str().expect("a string").to_owned())).collect()
}

/// Checks that each of these lines, after good ones, is reported as one bad record with its position and this reason.
fn check_bad_lines(format: &str, good: &str, bad_lines: &[(&str, &str)]) {
    let (of_good, bad, _) = of_text(format, good);
    assert_eq!(bad, []);
    for (bad_line, reason) in bad_lines {
        let lines = good.lines().count();
        let (timed, bad, counts) = of_text(format, &format!("{}\n\n{bad_line}\r\n", good.trim_end()));
        assert_eq!(timed, of_good, "{bad_line}");
        assert_eq!(bad.len(), 1, "{bad_line}");
        assert_eq!(bad[0].position, format!("line {}", lines + 2));
        assert!(bad[0].reason.contains(reason), "{bad_line}: {}", bad[0]);
        assert_eq!((counts.records, counts.bad), (lines as u64 + 1, 1));
    }
}
