//! The program replays the synthetic recordings, at least one of each format. What each of their messages becomes is
//! tested beside the formats.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use feed_formats::FORMATS;
use serde_json::Value;

/// A recording, its counts, and one of the lines that it becomes.
struct Recording {
    format: &'static str,
    /// In `feed-sim/formats`.
    file: &'static str,
    mapping: Option<&'static str>,
    records: u64,
    published: u64,
    gaps: u64,
    line: &'static str,
}

const PLAIN: Recording = Recording { format: "", file: "", mapping: None, records: 0, published: 0, gaps: 0, line: "" };

const RECORDINGS: &[Recording] = &[
    Recording {
        format: "betfair",
        file: "recordings/betfair.ndjson",
        records: 10,
        published: 25,
        line: r#"{"topic":"betfair.1-23.5.quote","kind":"state","data":{"bid":"1.49","bid_qty":"2.25","ask":"2.00","ask_qty":"8.00","venue_ts":2000000}}"#,
        ..PLAIN
    },
    Recording {
        format: "binance",
        file: "recordings/binance.txt",
        records: 6,
        published: 5,
        gaps: 1,
        line: r#"{"topic":"binance.XY.depth","kind":"state","data":{"u":13,"bids":{"1.0":"9"},"asks":{"1.2":"5","1.3":"4"}}}"#,
        ..PLAIN
    },
    Recording {
        format: "coinbase",
        file: "recordings/coinbase.txt",
        records: 10,
        published: 7,
        line: r#"{"topic":"coinbase.AB-C.trade","kind":"event","data":{"id":7,"px":"9.95","qty":"0.5","side":"buy","venue_ts":11700000,"venue_seq":70}}"#,
        ..PLAIN
    },
    Recording {
        format: "csv",
        file: "mappings/sensors.csv",
        mapping: Some("mappings/sensors.toml"),
        records: 6,
        published: 6,
        line: r#"{"topic":"iot.greenhouse-1.humidity","kind":"state","data":{"value":null,"unit":"%","at":"2026-03-01T06:00:02.250Z"}}"#,
        ..PLAIN
    },
    Recording {
        format: "dbn",
        file: "recordings/databento_mbo.dbn",
        records: 11,
        published: 12,
        gaps: 2,
        line: r#"{"topic":"dbn.XY_A.trade","kind":"event","data":{"id":4,"px":"100.25","qty":"3","side":"buy","venue_ts":1767623400000000,"venue_ts_ns":"1767623400000000002","venue_seq":2}}"#,
        ..PLAIN
    },
    Recording {
        format: "itch",
        file: "recordings/itch50.bin",
        records: 18,
        published: 26,
        line: r#"{"topic":"itch.XY_A.status","kind":"state","data":{"status":"halted","trading_state":"P","reason":"LUDP","venue_time_ns":17}}"#,
        ..PLAIN
    },
    Recording {
        format: "kraken",
        file: "recordings/kraken_v1.txt",
        records: 9,
        published: 8,
        line: r#"{"topic":"kraken.AB/CD.book","kind":"patch","data":{"venue_ts":12500000,"bids":{"318.41000":"4.00000000"},"asks":{"318.90000":null,"319.20000":"1.00000000"}}}"#,
        ..PLAIN
    },
    Recording {
        format: "kraken",
        file: "recordings/kraken_v2.txt",
        records: 9,
        published: 7,
        line: r#"{"topic":"kraken.AB/CD.book","kind":"patch","data":{"venue_ts":9500000,"bids":{"0.7311":"64.25000000","0.7312":null}}}"#,
        ..PLAIN
    },
    Recording {
        format: "lobster",
        file: "recordings/XY_2026-01-05_34200000_57600000_message_2.csv",
        records: 10,
        published: 16,
        line: r#"{"topic":"lobster.XY.book","kind":"patch","data":{"bids":{"100.0000":null},"venue_time_ns":34209000000000}}"#,
        ..PLAIN
    },
    Recording {
        format: "nba",
        file: "recordings/nba_playbyplay.json",
        records: 5,
        published: 10,
        line: r#"{"topic":"nba.90002.score","kind":"state","data":{"home":"ABC","away":"XYZ","home_points":2,"away_points":3,"period":1,"clock":"PT11M10.00S"}}"#,
        ..PLAIN
    },
    Recording {
        format: "ndjson",
        file: "mappings/exchange.ndjson",
        mapping: Some("mappings/exchange.toml"),
        records: 5,
        published: 4,
        line: r#"{"topic":"exchange.GLOBEX.trade","kind":"event","data":{"px":"99.50","qty":"20","venue_ts":1772346602500}}"#,
        ..PLAIN
    },
    Recording {
        format: "ndjson",
        file: "recordings/updates.ndjson",
        records: 4,
        published: 5,
        line: r#"{"topic":"room.1.climate","kind":"state","data":{"celsius":21.50,"open":false}}"#,
        ..PLAIN
    },
    Recording {
        format: "statsbomb",
        file: "recordings/statsbomb_90001.json",
        records: 18,
        published: 43,
        line: r#"{"topic":"statsbomb.90001.score","kind":"state","data":{"home":"Reds \"04\"","away":"Blues","home_goals":1,"away_goals":1,"status":"half_time","period":1,"minute":46}}"#,
        ..PLAIN
    },
];

#[test]
fn a_recording_of_every_format_is_replayed() {
    let formats: BTreeSet<&str> = FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(RECORDINGS.iter().map(|recording| recording.format).collect::<BTreeSet<_>>(), formats);
    for recording in RECORDINGS {
        check(recording);
    }
}

/// Replays a recording to standard output, where the summary goes to standard error.
fn check(recording: &Recording) {
    let in_formats = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("formats").join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_feed-sim"));
    command.arg("replay").arg(recording.format).arg(in_formats(recording.file));
    command.args(["--speed", "max", "--strict", "--quiet", "--to", "stdout", "--summary", "json"]);
    if let Some(mapping) = recording.mapping {
        command.arg("--mapping").arg(in_formats(mapping));
    }
    let output = command.env_remove("RUST_LOG").output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", recording.file);

    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let summary = stderr.lines().find(|line| line.starts_with('{')).expect("a summary");
    let summary: Value = serde_json::from_str(summary).expect("JSON");
    let read = &summary["read"];
    let counts = [&read["records"], &read["bad"], &read["venue_gaps"], &summary["published"], &summary["acknowledged"]];
    let published = recording.published;
    assert_eq!(counts, [recording.records, 0, recording.gaps, published, published], "{}", recording.file);
    assert_eq!(lines.lines().count() as u64, published);
    assert!(lines.lines().any(|line| line == recording.line), "{}: {lines}", recording.file);
}
