//! The recorded Betfair markets against a naive merge of the file, with numbers in hundredths.
//!
//! The number of messages, and for the first file also each runner's last price and the total matched on it, are those
//! that the Python library betfairlightweight 2.24.0 gives for the same files (one market book for each message).

use std::collections::BTreeMap;
use std::path::Path;

use feed_player::publication::{Counts, Kind, Timed};
use serde_json::Value;

use crate::common::{decimal, recording};
use crate::{count, decompressed, images, of_file, take};

/// Price to size, both in hundredths.
type Ladder = BTreeMap<u64, u64>;

/// The state of a runner in the naive merge.
#[derive(Default)]
struct Naive {
    ladders: BTreeMap<&'static str, Ladder>,
    positions: BTreeMap<&'static str, BTreeMap<u64, (u64, u64)>>,
    px: Option<u64>,
    volume: Option<u64>,
}

fn hundredths(value: &Value) -> u64 {
    (value.as_f64().expect("a number") * 100.0).round() as u64
}

fn published(value: &Value) -> u64 {
    let eighth = decimal(value);
    assert_eq!(eighth % 1_000_000, 0, "{value} has two decimals");
    eighth / 1_000_000
}

/// Returns the number of messages in a file, the runners at its end, and the total matched on the market.
fn naive(text: &str) -> (usize, BTreeMap<u64, Naive>, Option<u64>) {
    let mut runners: BTreeMap<u64, Naive> = BTreeMap::new();
    let (mut messages, mut volume) = (0, None);
    for line in text.lines() {
        messages += 1;
        let message: Value = serde_json::from_str(line).expect("JSON");
        for market in message["mc"].as_array().expect("changes") {
            if market["img"] == true {
                runners.values_mut().for_each(|runner| *runner = Naive::default());
            }
            volume = market.get("tv").map(hundredths).or(volume);
            for change in market.get("rc").and_then(Value::as_array).into_iter().flatten() {
                let runner = runners.entry(change["id"].as_u64().expect("an id")).or_default();
                for name in ["atb", "atl", "trd", "spb", "spl"] {
                    for level in change.get(name).and_then(Value::as_array).into_iter().flatten() {
                        let ladder = runner.ladders.entry(name).or_default();
                        ladder.insert(hundredths(&level[0]), hundredths(&level[1]));
                        ladder.retain(|_, size| *size > 0);
                    }
                }
                for name in ["batb", "batl", "bdatb", "bdatl"] {
                    for level in change.get(name).and_then(Value::as_array).into_iter().flatten() {
                        let ladder = runner.positions.entry(name).or_default();
                        ladder.insert(
                            level[0].as_u64().expect("a position"),
                            (hundredths(&level[1]), hundredths(&level[2])),
                        );
                        ladder.retain(|_, (_, size)| *size > 0);
                    }
                }
                runner.px = change.get("ltp").map(hundredths).or(runner.px);
                runner.volume = change.get("tv").map(hundredths).or(runner.volume);
            }
        }
    }
    (messages, runners, volume)
}

/// Compares the end of a replay with the naive merge; returns both for checks that are particular to a file.
fn check(path: &Path, market: &str, messages: usize) -> (Vec<Timed>, BTreeMap<u64, Naive>) {
    let (naive_messages, runners, volume) = naive(&decompressed(path));
    assert_eq!(naive_messages, messages);
    let (timed, bad, counts) = of_file("betfair", path);
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: messages as u64, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert!(timed.iter().all(|timed| timed.publication.data.len() < 65_000), "each fits a message of 64 KiB");
    let images = images(&timed);
    for (id, runner) in &runners {
        let book = &images[&format!("betfair.{market}.{id}.book")];
        for (name, ladder) in &runner.ladders {
            let levels = book[name].as_object().expect("a ladder");
            let found: Ladder =
                levels.iter().map(|(px, size)| (published(&px.as_str().into()), published(size))).collect();
            assert_eq!(&found, ladder, "{id} {name}");
        }
        for (name, ladder) in &runner.positions {
            let levels = book[name].as_object().expect("a ladder");
            let found: BTreeMap<u64, (u64, u64)> = levels
                .iter()
                .map(|(position, level)| {
                    (position.parse().expect("a position"), (published(&level["px"]), published(&level["qty"])))
                })
                .collect();
            assert_eq!(&found, ladder, "{id} {name}");
        }
        let last = &images[&format!("betfair.{market}.{id}.last")];
        assert_eq!((last.get("px").map(published), last.get("volume").map(published)), (runner.px, runner.volume));
    }
    let last = images.get(&format!("betfair.{market}.last"));
    assert_eq!(last.map(|last| published(&last["volume"])), volume);
    (timed, runners)
}

fn statuses(timed: &[Timed]) -> Vec<(String, bool)> {
    let statuses = timed.iter().filter(|timed| timed.publication.topic.ends_with(".status"));
    statuses
        .map(|timed| {
            let status = crate::common::data(&timed.publication);
            (status["status"].as_str().expect("text").to_owned(), status["in_play"] == true)
        })
        .collect()
}

#[test]
fn a_greyhound_race() {
    let Some(path) = recording("betfair_1.197931750.gz") else { return };
    let (timed, runners) = check(&path, "1-197931750", 166);
    let status = |status: &str| (status.to_owned(), false);
    assert_eq!(statuses(&timed), [status("open"), status("halted"), status("closed")]);
    assert_eq!(count(&timed, Kind::State, ".market"), 3);
    // The values of betfairlightweight.
    let last: Vec<_> = runners.iter().map(|(id, runner)| (*id, runner.px, runner.volume)).collect();
    let expected = [
        (36_276_560, 680, 351_925),
        (37_947_503, 2_500, 54_740),
        (39_823_721, 156, 1_858_120),
        (40_095_374, 1_700, 84_405),
        (42_930_960, 980, 135_678),
        (44_331_354, 8_500, 25_383),
    ];
    assert_eq!(last, expected.map(|(id, px, volume)| (id, Some(px), Some(volume))));

    // The book is never crossed: nobody can back and lay at the same time with a profit.
    let mut held = BTreeMap::new();
    let mut compared = 0;
    for Timed { publication, .. } in &timed {
        take(&mut held, publication);
        if publication.topic.ends_with(".quote") {
            let quote = &held[&publication.topic];
            if !quote["bid"].is_null() && !quote["ask"].is_null() {
                assert!(decimal(&quote["bid"]) < decimal(&quote["ask"]), "{quote}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared} quotes were compared");
}

#[test]
fn a_basketball_game() {
    let Some(path) = recording("betfair_1.166811431.bz2") else { return };
    let (timed, _) = check(&path, "1-166811431", 11_357);
    let status = |status: &str, in_play| (status.to_owned(), in_play);
    let expected = [
        status("open", false),
        status("halted", false),
        status("open", true),
        status("halted", true),
        status("closed", true),
    ];
    assert_eq!(statuses(&timed), expected);
    assert_eq!(count(&timed, Kind::State, ".market"), 7);
}
