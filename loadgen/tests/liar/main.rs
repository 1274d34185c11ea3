//! A server that loses, duplicates, reorders and corrupts updates on purpose, and one that announces what it leaves
//! out: the verifier finds every fault of the first and blames the second for nothing.

#[path = "../fixture/mod.rs"]
mod fixture;

mod acts;
mod generic;
mod tail;
mod tickcast;

use serde_json::Value;

use acts::Lies;
use fixture::Outcome;

/// Three subscribers, each with two of three topics: another pair for each.
const SCENARIO: &str = "
    seconds = 1.0
    warm_up_seconds = 0.0
    drain_seconds = 5.0
    [subscribers]
    count = 3
    topics = 3
    each = 2
    [publish]
    rate = 300.0
";

/// The most attempts: a run is repeated if the machine was so busy that too little was published to lie about.
const ATTEMPTS: usize = 3;

/// Asserts that the report contains what the server did: the counts, and each fault with topic, number and subscriber.
#[track_caller]
fn assert_reported(outcome: &Outcome, report: &Value, lies: &Lies) {
    let continuity = &report["continuity"];
    let mut found: Vec<&str> =
        continuity["findings"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let mut expected: Vec<&str> = lies.findings.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let counts = [
        ("delivered", lies.delivered),
        ("images", lies.images),
        ("skipped", lies.skipped),
        ("announced", lies.announced),
        ("lost", lies.lost),
        ("duplicated", lies.duplicated),
        ("reordered", lies.reordered),
        ("corrupted", lies.corrupted),
        ("missing", 0),
    ];
    for (name, count) in counts {
        assert_eq!(continuity[name], count, "{name}: {continuity:#}");
    }
    let clean = lies.lost + lies.duplicated + lies.reordered + lies.corrupted == 0;
    assert_eq!(outcome.code, Some(if clean { 0 } else { 1 }), "{outcome:?}");
    assert_eq!(report["ended_early"], Value::Null);
}
