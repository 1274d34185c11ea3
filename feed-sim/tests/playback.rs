//! Parts and rounds of a recording, against naive models on a simulated feed.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock};

use common::{all, data, merge};
use feed_formats::{Playback, Rounds, find};
use feed_player::publication::{Kind, Publication, Timed};
use feed_scenarios::Simulated;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A simulated feed of some stocks, and the file with its recording.
static RECORDING: LazyLock<(Vec<Timed>, NamedTempFile)> = LazyLock::new(|| {
    let scenario = feed_scenarios::find("stocks").expect("in the catalogue").build(3, Some(6));
    let timed: Vec<Timed> = Simulated(scenario).take(4_000).map(|timed| timed.expect("simulated")).collect();
    let mut text = String::new();
    for Timed { due_us, publication: Publication { topic, kind, data, .. } } in &timed {
        let (topic, kind) = (json!(topic), kind.as_str());
        text.push_str(&format!("{{\"topic\":{topic},\"kind\":\"{kind}\",\"data\":{data},\"due_us\":{due_us}}}\n"));
    }
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(&zstd::encode_all(text.as_bytes(), 1).expect("memory")).expect("it is written");
    (timed, file)
});

fn played(playback: Playback) -> Vec<Timed> {
    let feed = playback.feed(find("ndjson").expect("a format"), RECORDING.1.path(), Arc::default()).expect("it opens");
    let (timed, bad, _) = all(feed);
    assert_eq!(bad, []);
    timed
}

fn part(start_us: u64, stop_us: u64) -> Playback {
    let us = |us: u64| Some(format!("{us}us").parse().expect("a moment"));
    Playback { start: us(start_us), stop: us(stop_us), ..Playback::default() }
}

fn last_us() -> u64 {
    RECORDING.0.last().expect("some").due_us
}

/// The updates that a window publishes, written from its description.
fn naive_window(timed: &[Timed], start_us: u64, stop_us: u64) -> Vec<(u64, String, Kind, Value)> {
    let row = |due_us: u64, publication: &Publication| {
        (due_us, publication.topic.clone(), publication.kind, data(publication))
    };
    let mut images: BTreeMap<String, Value> = BTreeMap::new();
    for Timed { publication, .. } in timed.iter().filter(|timed| timed.due_us < start_us) {
        let image = images.entry(publication.topic.clone()).or_default();
        match publication.kind {
            Kind::Event => {}
            Kind::State => *image = data(publication),
            Kind::Patch => merge(image, &data(publication)),
        }
    }
    let inside = timed.iter().filter(|timed| (start_us..stop_us).contains(&timed.due_us));
    let images = images.into_iter().filter(|(_, image)| !image.is_null());
    let images = images.map(|(topic, image)| (0, topic, Kind::State, image));
    images.chain(inside.map(|timed| row(timed.due_us - start_us, &timed.publication))).collect()
}

fn rows(timed: &[Timed]) -> Vec<(u64, String, Kind, Value)> {
    let row = |Timed { due_us, publication }: &Timed| {
        (*due_us, publication.topic.clone(), publication.kind, data(publication))
    };
    timed.iter().map(row).collect()
}

#[test]
fn a_recording_plays_what_was_written() {
    assert!(played(Playback::default()) == RECORDING.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_window_follows_its_description(start in 0.0..1.0_f64, length in 0.0..0.6_f64) {
        let last_us = last_us() as f64;
        let (start_us, length_us) = ((start * last_us) as u64, (length * last_us) as u64 + 1);
        let window = played(part(start_us, start_us + length_us));
        let expected = naive_window(&RECORDING.0, start_us, start_us + length_us);
        prop_assert!(rows(&window) == expected);
    }

    #[test]
    fn rounds_are_windows_one_after_the_other(start in 0.0..0.8_f64, rounds in 1..4_u64) {
        let start_us = (start * last_us() as f64) as u64;
        let once = played(part(start_us, last_us()));
        let round_us = once.last().expect("some").due_us;
        let mut expected = Vec::new();
        for round in 0..rounds {
            expected.extend(once.iter().map(|timed| Timed { due_us: timed.due_us + round * round_us, ..timed.clone() }));
        }
        let repeated = played(Playback { rounds: Rounds::Some(rounds), ..part(start_us, last_us()) });
        prop_assert!(repeated == expected);
    }
}

#[test]
fn a_whole_recording_in_rounds_begins_with_its_states_again() {
    let (timed, _) = &*RECORDING;
    let endless = Playback { rounds: Rounds::Endless, ..Playback::default() };
    let feed = endless.feed(find("ndjson").expect("a format"), RECORDING.1.path(), Arc::default()).expect("it opens");
    let three_rounds: Vec<Timed> = feed.take(3 * timed.len()).map(|timed| timed.expect("good")).collect();
    for (round, repeated) in three_rounds.chunks(timed.len()).enumerate() {
        for (again, first) in repeated.iter().zip(timed) {
            assert_eq!(again.publication, first.publication);
            assert_eq!(again.due_us, first.due_us + round as u64 * last_us());
        }
    }
}

#[test]
fn counts_of_all_rounds() {
    let playback = Playback { rounds: Rounds::Some(3), ..Playback::default() };
    let feed = playback.feed(find("ndjson").expect("a format"), RECORDING.1.path(), Arc::default()).expect("it opens");
    assert_eq!(all(feed).2.records, 3 * RECORDING.0.len() as u64);
}

#[test]
fn symbols_are_segments() {
    let topics: std::collections::BTreeSet<&str> =
        RECORDING.0.iter().map(|timed| timed.publication.topic.as_str()).collect();
    let symbol = |topic: &str| topic.split('.').nth(1).expect("a symbol").to_owned();
    let first = symbol(topics.first().expect("some"));
    let last = symbol(topics.last().expect("some"));
    assert_ne!(first, last);
    for symbols in
        [vec![first.clone()], vec![first, last.clone()], vec![last, "nobody".to_owned()], vec!["trade".to_owned()]]
    {
        let selected = played(Playback { symbols: symbols.clone(), ..Playback::default() });
        let wanted = |timed: &&Timed| timed.publication.topic.split('.').any(|part| symbols.iter().any(|s| s == part));
        let expected: Vec<Timed> = RECORDING.0.iter().filter(wanted).cloned().collect();
        assert!(!expected.is_empty() && selected == expected, "{symbols:?}");
        // A window of some symbols has the states of these symbols only.
        let windowed = played(Playback { symbols: symbols.clone(), ..part(last_us() / 2, last_us()) });
        assert!(rows(&windowed) == naive_window(&expected, last_us() / 2, last_us()), "{symbols:?}");
    }
}

/// Each line is an update, so every record that was read went out or was left out; images are added.
#[test]
fn updates_that_a_part_leaves_out_are_counted() {
    let (third_us, two_thirds_us) = (last_us() / 3, 2 * last_us() / 3);
    let trades = Playback { symbols: vec!["trade".to_owned()], ..Playback::default() };
    for (playback, has_images) in [
        (Playback::default(), false),
        (trades.clone(), false),
        (part(0, third_us), false),
        (part(third_us, two_thirds_us), true),
        (part(last_us() + 1, last_us() + 2), false),
        (Playback { symbols: vec!["book".to_owned()], ..part(third_us, two_thirds_us) }, true),
        (Playback { rounds: Rounds::Some(2), ..part(third_us, two_thirds_us) }, true),
    ] {
        let whole = playback.symbols.is_empty() && playback.start.is_none();
        let name = format!("{playback:?}");
        let feed = playback.feed(find("ndjson").expect("a format"), RECORDING.1.path(), Arc::default());
        let (timed, _, counts) = all(feed.expect("it opens"));
        assert_eq!(timed.len() as u64 + counts.left_out, counts.records + counts.images, "{name}");
        assert_eq!((counts.left_out == 0, counts.images > 0), (whole, has_images), "{name}");
    }
    let feed = trades.feed(find("ndjson").expect("a format"), RECORDING.1.path(), Arc::default()).expect("it opens");
    let others = RECORDING.0.iter().filter(|timed| !timed.publication.topic.ends_with(".trade")).count();
    assert_eq!(all(feed).2.left_out, others as u64);
}

#[test]
fn times_of_day_and_dates() {
    // One a second, beginning at 2024-08-08T11:59:58Z.
    let text: String = (0..10_u64)
        .map(|nth| {
            let ns = 1_723_118_398_000_000_000 + nth * 1_000_000_000;
            format!("{ns} {{\"stream\":\"x@trade\",\"data\":{{\"s\":\"XY\",\"t\":{nth}}}}}\n")
        })
        .collect();
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("it is written");
    for (start, stop, from, count) in [
        ("12:00", "12:00:03", 2, 3),
        ("2s", "2024-08-08T12:00:03Z", 2, 3),
        ("2024-08-08T14:00:00+02:00", "5s", 2, 3),
        ("2024-08-08T10:00:00Z", "1s", 0, 1),
        ("9s", "23:00", 9, 1),
        ("11:00", "2024-08-10T00:00:00Z", 0, 0),
    ] {
        let playback = Playback {
            start: Some(start.parse().expect("a moment")),
            stop: Some(stop.parse().expect("a moment")),
            ..Playback::default()
        };
        let feed = playback.feed(find("binance").expect("a format"), file.path(), Arc::default()).expect("it opens");
        let (timed, bad, _) = all(feed);
        assert_eq!(bad, []);
        let numbers: Vec<u64> =
            timed.iter().map(|timed| data(&timed.publication)["t"].as_u64().expect("a number")).collect();
        assert_eq!(numbers, (from..from + count).collect::<Vec<_>>(), "{start} {stop}");
    }
}

fn replay(args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_feed-sim"))
        .arg("replay")
        .args(args)
        .args(["--speed", "max", "--to", "stdout"])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

#[test]
fn an_impossible_replay_is_reported_before_anything_is_played() {
    let recording = RECORDING.1.path().to_str().expect("UTF-8");
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats/mappings/sensors.toml");
    let mapping = mapping.to_str().expect("UTF-8");
    for (args, reason) in [
        (&["ndjson", "-", "--loop"][..], "standard input cannot be read again"),
        (&["ndjson", recording, "--loop", "0"], "0 is not in 1.."),
        (&["ndjson", recording, "--start", "soon"], "neither a time after the beginning (90s, 5m, 1h30m) nor"),
        (&["ndjson", recording, "--start", "09:30"], "has no such times"),
        (&["ndjson", recording, "--start", "2s", "--stop", "2s"], "--stop is not after --start"),
        (&["binance", recording, "--mapping", mapping], "the format binance takes no --mapping"),
        (&["csv", recording], "CSV needs --mapping"),
        (&["csv", recording, "--mapping", "/nowhere.toml"], "the mapping cannot be read"),
        (&["csv", recording, "--mapping", recording], "the mapping"),
        (&["csv", "-", "--mapping", mapping], "names the column"),
    ] {
        let (output, stderr) = replay(args);
        assert!(!output.status.success() && stderr.contains(reason), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn options_from_the_command_line() {
    let recording = RECORDING.1.path().to_str().expect("UTF-8");
    let (output, stderr) =
        replay(&["ndjson", recording, "--symbol", "quote", "--start", "1s", "--stop", "20s", "--loop", "2"]);
    assert!(output.status.success(), "{stderr}");
    let quotes: Vec<Timed> =
        RECORDING.0.iter().filter(|timed| timed.publication.topic.ends_with(".quote")).cloned().collect();
    let round = naive_window(&quotes, 1_000_000, 20_000_000);
    let images =
        2 * (round.len() - quotes.iter().filter(|timed| (1_000_000..20_000_000).contains(&timed.due_us)).count());
    assert!(images > 0 && stderr.contains(&format!("{images} states added for topics to begin with")), "{stderr}");
    let expected = 2 * round.len();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), expected);
    assert!(expected > 20 && stderr.contains(&format!("published     {expected} to stdout")), "{stderr}");

    let (output, stderr) = replay(&["ndjson", recording, "--symbol", "nobody"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains("no topic of the recording has this symbol"), "{stderr}");
    let (output, stderr) = replay(&["ndjson", recording, "--start", "10h"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains("the recording ends before --start"), "{stderr}");
}
