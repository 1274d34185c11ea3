//! Recordings of Binance and the NBA: real, synthetic and damaged ones.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use common::{all, data, decimal, merge, recording, synthetic_text};
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Kind, Timed};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

fn of_text(format: &str, text: &str) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find(format).expect("a format").of_bytes(text.into()).expect("readable"))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn topics(timed: &[Timed]) -> HashMap<(&str, Kind), usize> {
    let mut counts = HashMap::new();
    for Timed { publication, .. } in timed {
        *counts.entry((publication.topic.as_str(), publication.kind)).or_default() += 1;
    }
    counts
}

#[test]
fn the_recorded_binance_streams() {
    let Some(path) = recording("binance_spot_btcusdt_20240808.gz") else { return };
    let (timed, bad, counts) = all(find("binance").expect("a format").open(&path).expect("it opens"));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 41_249, bad: 0, superseded: 2, venue_gaps: 0, ..Counts::default() });
    let expected = [
        (("binance.BTCUSDT.depth", Kind::State), 1),
        // The snapshot includes two of the 3,451 depth messages.
        (("binance.BTCUSDT.depth", Kind::Patch), 3_449),
        (("binance.BTCUSDT.ticker", Kind::State), 28_040),
        (("binance.BTCUSDT.trade", Kind::Event), 9_757),
    ];
    assert_eq!(topics(&timed), HashMap::from(expected));
    assert_eq!(timed.last().expect("some").due_us / 1_000_000, 346);
    assert!(timed.iter().all(|timed| timed.publication.data.len() < 65_000), "each fits a message of 64 KiB");

    // The book is not crossed, and its best levels are those of the ticker with the same number.
    let mut book = Value::Null;
    let mut tickers: BTreeMap<u64, Value> = BTreeMap::new();
    let mut compared = 0;
    for Timed { publication, .. } in &timed {
        let data = data(publication);
        if publication.topic.ends_with("ticker") {
            tickers.insert(data["u"].as_u64().expect("a number"), data);
        } else if publication.topic.ends_with("depth") {
            merge(&mut book, &data);
            let best = |side: &str| book[side].as_object().expect("a side").keys().map(|px| decimal(&json!(px)));
            let (bid, ask) = (best("bids").max().expect("a bid"), best("asks").min().expect("an ask"));
            assert!(bid < ask);
            if let Some(ticker) = tickers.get(&book["u"].as_u64().expect("a number")) {
                assert_eq!((decimal(&ticker["b"]), decimal(&ticker["a"])), (bid, ask));
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared} tickers were compared");
}

#[test]
fn the_recorded_nba_game() {
    let Some(path) = recording("nba_playbyplay_0022400001.json.gz") else { return };
    let (timed, bad, counts) = all(find("nba").expect("a format").open(&path).expect("it opens"));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 475, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(topics(&timed)[&("nba.0022400001.event", Kind::Event)], 475);
    assert_eq!(timed.last().expect("some").due_us, 48 * 60 * 1_000_000);

    let score = timed.iter().rfind(|timed| timed.publication.kind == Kind::State).expect("a score");
    assert_eq!(
        score.publication.data,
        r#"{"home":"BOS","away":"ATL","home_points":116,"away_points":117,"period":4,"clock":"PT00M00.00S"}"#
    );
    // Each action is published with all its fields, in their order, and with their text.
    let first = &timed[0].publication.data;
    assert!(first.starts_with(r#"{"actionNumber":2,"clock":"PT12M00.00S","period":1,"teamId":0,"#), "{first}");
    let ids: Vec<u64> = timed
        .iter()
        .filter(|timed| timed.publication.kind == Kind::Event)
        .map(|timed| data(&timed.publication)["actionId"].as_u64().expect("a number"))
        .collect();
    assert_eq!(ids, (1..=475).collect::<Vec<_>>());
}

/// A snapshot with updates before, across and after it, a trade and a ticker.
fn binance() -> String {
    synthetic_text("binance.txt")
}

#[test]
fn a_book_from_snapshot_and_updates() {
    let (timed, bad, counts) = of_text("binance", &binance());
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 6, bad: 0, superseded: 1, venue_gaps: 1, ..Counts::default() });
    let lines: Vec<(u64, &str, &str)> = timed
        .iter()
        .map(|timed| (timed.due_us, timed.publication.kind.as_str(), timed.publication.data.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (2_000, "state", r#"{"u":13,"bids":{"1.0":"9"},"asks":{"1.2":"5","1.3":"4"}}"#),
            (2_000, "patch", r#"{"E":1767623400002,"u":15,"asks":{"1.3":null}}"#),
            (
                3_000,
                "event",
                r#"{"e":"trade","E":1767623400004,"s":"XY","t":71,"p":"1.20","q":"2.50","T":1767623400004,"m":false,"M":true}"#,
            ),
            (4_000, "state", r#"{"u":16,"s":"XY","b":"1.0","B":"9","a":"1.2","A":"2.50"}"#),
            (5_000, "patch", r#"{"E":1767623400006,"u":18,"bids":{"1.1":"2"}}"#),
        ]
    );
}

/// With its spaces and the spelling of its numbers.
#[test]
fn what_the_venue_wrote_is_published_unchanged() {
    let data = r#"{"s":"XY","p":"1.20",  "q":1e2}"#;
    let (timed, bad, _) = of_text("binance", &format!(r#"1000 {{"stream":"x@trade","data":{data}}}"#));
    assert_eq!((timed[0].publication.data.as_str(), bad), (data, vec![]));
}

#[test]
fn a_large_snapshot_goes_out_in_pieces() {
    let side =
        |from: u32| (from..from + 5_000).map(|px| json!([format!("{px}.00000000"), "1.00000000"])).collect::<Vec<_>>();
    let snapshot = json!({"lastUpdateId": 13, "bids": side(10_000), "asks": side(20_000)});
    let binance = binance();
    let first = binance.lines().next().expect("a line");
    let (timed, bad, _) = of_text("binance", &format!("{first}\n2000 {snapshot}\n"));
    assert_eq!(bad, []);
    assert!(timed.len() > 3 && timed.iter().all(|timed| timed.publication.data.len() < 65_000));
    let mut book = Value::Null;
    for Timed { publication, .. } in &timed {
        assert_eq!(publication.kind == Kind::State, book.is_null());
        merge(&mut book, &data(publication));
    }
    for side in ["bids", "asks"] {
        assert_eq!(book[side].as_object().expect("a side").len(), 5_000);
    }
}

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    let binance = binance();
    let good = binance.lines().nth(3).expect("a line");
    for (bad_line, reason) in [
        ("1000", "no blank"),
        ("soon {}", "not a number of nanoseconds"),
        (r#"1000 {"stream":"x@trade","data":{"s":"XY""#, "EOF"),
        (r#"1000 {"stream":"x@trade","data":{"p":"1"}}"#, "missing field"),
        (r#"1000 {"stream":"x@trade","data":{"s":"X.>"}}"#, "part of a topic"),
        (r#"1000 {"stream":"x@kline_1m","data":{"s":"XY"}}"#, "is not supported"),
        (r#"1000 {"lastUpdateId":13,"bids":[],"asks":[]}"#, "no book"),
        (r#"1000 {"stream":"x@depth","data":{"E":5,"s":"XY","U":10,"u":9,"b":[],"a":[]}}"#, "above the last"),
        (r#"1000 {"stream":"x@depth","data":{"E":5,"s":"XY","U":9,"u":9,"b":[["1\"","1"]],"a":[]}}"#, "not a price"),
        (
            r#"1000 {"stream":"x@depth","data":{"E":5,"s":"XY","U":9,"u":9,"b":[["1","1"],["1","2"]],"a":[]}}"#,
            "given twice",
        ),
        (r#"1000 []"#, ""),
    ] {
        let (timed, bad, counts) = of_text("binance", &format!("{good}\n\n{bad_line}\r\n{good}"));
        assert_eq!(timed.len(), 2, "{bad_line}");
        assert_eq!(bad.len(), 1, "{bad_line}");
        assert_eq!(bad[0].position, "line 3");
        assert!(bad[0].reason.contains(reason), "{}", bad[0]);
        assert_eq!((counts.records, counts.bad), (3, 1));
    }
}

#[test]
fn a_recording_that_is_cut_says_so() {
    let text: String = (0..5_000)
        .map(|nth| {
            format!("{nth}000 {{\"stream\":\"x@trade\",\"data\":{{\"s\":\"XY\",\"t\":{}}}}}\n", nth * 7_919 % 10_007)
        })
        .collect();
    let whole = gzip(&text);
    let (timed, bad, _) = all(find("binance").expect("a format").of_bytes(whole.clone()).expect("readable"));
    assert_eq!((timed.len(), bad.len()), (5_000, 0));

    let half = whole[..whole.len() / 2].to_vec();
    let (timed, bad, counts) = all(find("binance").expect("a format").of_bytes(half.clone()).expect("readable"));
    assert!((1_000..4_000).contains(&timed.len()), "what is before the cut is published: {}", timed.len());
    assert_eq!(bad.len(), 1);
    assert!(bad[0].ends_recording);
    assert_eq!(bad[0].position, format!("line {}", timed.len() + 1));
    assert_eq!(counts.records, timed.len() as u64 + 1);

    // Two captures in one file are one recording; the cut one is not an NBA document.
    let twice = [whole.clone(), whole].concat();
    assert_eq!(all(find("binance").expect("a format").of_bytes(twice).expect("readable")).0.len(), 10_000);
    assert!(find("nba").expect("a format").of_bytes(half).is_err());
}

#[test]
fn a_game_with_bad_actions() {
    let action = |clock: &str, home: &str| json!({"clock": clock, "period": 1, "location": "h", "teamTricode": "B\"S", "scoreHome": home, "scoreAway": ""});
    let actions = [
        action("PT11M00.00S", "2"),
        action("PT11M", "3"),
        action("PT10M00.00S", "many"),
        json!("half-time show"),
        // Entered late: the feed's clock does not go back.
        action("PT11M30.00S", ""),
    ];
    let document = json!({"game": {"gameId": "7", "actions": actions}});
    let (timed, bad, counts) = of_text("nba", &serde_json::to_string_pretty(&document).expect("JSON"));
    let positions: Vec<&str> = bad.iter().map(|bad| bad.position.as_str()).collect();
    assert_eq!(positions, ["game.actions[1]", "game.actions[2]", "game.actions[3]"]);
    assert_eq!(counts, Counts { records: 5, bad: 3, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(timed.iter().map(|timed| timed.due_us).collect::<Vec<_>>(), [60_000_000; 4]);
    assert_eq!(data(&timed[3].publication)["home"], "B\"S");
    assert_eq!(data(&timed[3].publication)["home_points"], 2);

    for text in
        ["", "{}", "[1]", r#"{"game":{"gameId":"a.b","actions":[]}}"#, r#"{"game":{"gameId":"1","actions":{}}}"#]
    {
        assert!(find("nba").expect("a format").of_bytes(text.into()).is_err(), "{text}");
    }
}

proptest! {
    /// With any damage to a recording, every record is counted once, and everything published is JSON on one line.
    #[test]
    fn damaged_recordings(edits in prop::collection::vec((0..1_000usize, any::<u8>()), 1..12)) {
        let mut bytes = binance().into_bytes();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii_end().is_empty()).count() as u64;
        let (timed, bad, counts) = all(find("binance").expect("a format").of_bytes(bytes).expect("readable"));
        prop_assert_eq!(counts.records, lines);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
