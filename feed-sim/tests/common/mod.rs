//! Helpers for several tests. Each test uses a part of them.
#![allow(dead_code, reason = "every test compiles its own copy and uses some of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

use feed_player::publication::{BadRecord, Counts, Feed, Kind, Publication, Timed};
use serde_json::Value;

/// A merge as in RFC 7396, following its pseudo-code word for word.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let object = target.as_object_mut().expect("made one above");
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Applies an update of a book or the like as a subscriber does: a state replaces the value, a patch changes it.
pub(crate) fn apply(target: &mut Value, publication: &Publication) {
    match publication.kind {
        Kind::Patch => merge(target, &data(publication)),
        _ => *target = data(publication),
    }
}

/// The parsed data of an update.
pub(crate) fn data(publication: &Publication) -> Value {
    assert!(!publication.data.contains('\n'), "an NDJSON line has no line break in it");
    serde_json::from_str(&publication.data).unwrap_or_else(|error| panic!("{}: {error}", publication.data))
}

/// A decimal string of at most eight decimals as a number, in units of 1e-8, for comparisons.
pub(crate) fn decimal(value: &Value) -> u64 {
    let text = value.as_str().expect("prices and quantities are strings");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    assert!(decimals.len() <= 8, "{text}");
    format!("{whole}{decimals:0<8}").parse().unwrap_or_else(|_| panic!("{text} is not a decimal number"))
}

/// Every publication and every bad record of a feed.
pub(crate) fn all(mut feed: Box<dyn Feed>) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in &mut feed {
        match item {
            Ok(timed) => good.push(timed),
            Err(record) => bad.push(record),
        }
    }
    assert!(good.is_sorted_by_key(|timed| timed.due_us), "the feed's clock never goes back");
    let mut begun = std::collections::HashSet::new();
    for Timed { publication, .. } in &good {
        let known = publication.kind == Kind::Event || !begun.insert(&publication.topic);
        assert!(known || publication.kind == Kind::State, "{} begins with a patch", publication.topic);
    }
    (good, bad, feed.counts())
}

/// A synthetic recording, which is in the repository (`feed-sim/formats/recordings`).
pub(crate) fn synthetic(name: &str) -> PathBuf {
    let folders = ["recordings", "formats/recordings"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let path = folders.map(|folder| folder.join(name)).into_iter().find(|path| path.exists());
    path.unwrap_or_else(|| panic!("there is no {name} in feed-sim/formats/recordings"))
}

/// A synthetic recording that is text.
pub(crate) fn synthetic_text(name: &str) -> String {
    std::fs::read_to_string(synthetic(name)).expect("it is text")
}

/// The path of a recorded file, which must exist in the folder that `TICKCAST_DATA` names. Recordings are not in the
/// repository. If no folder is named, the test that needs one does not run, and `make test` reports that at its end.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("TICKCAST_DATA") else {
        not_run(&format!("needs the recording {name} (TICKCAST_DATA names the folder; feed-sim/docs/recordings.md)"));
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    assert!(path.exists(), "TICKCAST_DATA is set, but {} does not exist", path.display());
    Some(path)
}

/// Reports that a test did not run, and why: at once, and in the summary of `make test`.
fn not_run(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("not run: {test}: {why}\n");
    // Not `eprintln!`, which the test harness would capture.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(summary) = std::env::var_os("NOT_RUN") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&summary);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("{}: {error}", summary.display()));
    }
}
