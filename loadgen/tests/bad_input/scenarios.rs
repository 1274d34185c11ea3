//! Invalid scenario files: the message names file and key, and nothing is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fixture::{Options, loadgen, raw};

#[test]
fn a_wrong_file_names_its_key_before_anything_is_connected() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let server = raw(Options::default(), move |_| {
        counted.fetch_add(1, Ordering::Release);
    });
    let cases: &[(&str, &[&str])] = &[
        ("\ncolour = 1\n", &["colour", "unknown field", "line 2"]),
        ("\n[subscribers]\ncuont = 5\n", &["cuont", "count", "line 3"]),
        ("\nseconds = \"long\"\n", &["seconds", "expected f64", "line 2"]),
        ("\n[subscribers]\ncount = -1\n", &["count", "line 3"]),
        ("\nseconds = 0.0\n", &["seconds is 0: 0.1 to"]),
        ("\n[publish]\nbytes = 1000000\n", &["publish.bytes is 1000000: 100 to"]),
        ("\n[publish]\nkind = \"rumour\"\n", &["publish.kind is \"rumour\"", "event"]),
        ("\n[storm]\nat_seconds = 50.0\nshare = 0.5\n", &["storm.at_seconds is 50: 0 to 11"]),
        ("\n[storm]\nshare = 0.5\n", &["at_seconds"]),
        ("\nseconds = \n", &["line 2"]),
    ];
    for (text, words) in cases {
        let outcome = loadgen(text).args(["--target", &server.url("")]).finish();
        outcome.assert_refused(words);
        outcome.assert_refused(&["scenario file ", "scenario.toml"]);
    }
    assert_eq!(connections.load(Ordering::Acquire), 0);
}

#[test]
fn a_folder_instead_of_a_file() {
    loadgen(env!("CARGO_TARGET_TMPDIR")).finish().assert_refused(&["scenario file", env!("CARGO_TARGET_TMPDIR")]);
}
