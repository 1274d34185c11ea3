//! LOBSTER files: the recorded sample, and synthetic pairs of files.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{all, apply, data, recording, synthetic, synthetic_text};
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Timed};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn opened(path: &Path) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("lobster").expect("a format").open(path).expect("it opens"))
}

fn of_text(text: &str) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("lobster").expect("a format").of_bytes(text.into()).expect("readable"))
}

/// A message file with an order book file beside it.
fn pair(folder: &Path, messages: &str, rows: &str) -> PathBuf {
    let path = folder.join(MESSAGES);
    std::fs::write(&path, messages).expect("it is written");
    std::fs::write(folder.join(ROWS), rows).expect("it is written");
    path
}

fn lines(timed: &[Timed]) -> Vec<(&str, &str, &str)> {
    timed
        .iter()
        .map(|Timed { publication, .. }| {
            (publication.topic.as_str(), publication.kind.as_str(), publication.data.as_str())
        })
        .collect()
}

fn px(price: i64) -> String {
    format!("{}.{:04}", price / 10_000, price % 10_000)
}

/// The book of a row, as it is published.
fn row_book(row: &str) -> [Map<String, Value>; 2] {
    let fields: Vec<i64> = row.split(',').map(|field| field.parse().expect("a number")).collect();
    let side = |at: usize| {
        let levels = fields.chunks(4).map(|level| (level[at], level[at + 1])).filter(|(_, size)| *size > 0);
        levels.map(|(price, size)| (px(price), json!(size.to_string()))).collect()
    };
    [side(2), side(0)]
}

#[test]
fn the_recorded_sample() {
    let Some(path) = recording("AAPL_2012-06-21_message_10.csv") else { return };
    let Some(rows) = recording("AAPL_2012-06-21_orderbook_10.csv") else { return };
    let rows = std::fs::read_to_string(rows).expect("readable");
    let messages = std::fs::read_to_string(&path).expect("readable");

    // The last line has no line end, so counting line ends gives 998.
    let mut feed = find("lobster").expect("a format").open(&path).expect("it opens");
    let mut rows = rows.lines();
    let mut trades = messages.lines().filter(|line| matches!(line.split(',').nth(1), Some("4" | "5")));
    let (mut book, mut read, mut traded) = (Value::Null, 0, 0);
    let mut next = feed.next();
    while let Some(item) = next.take() {
        let publication = item.expect("no bad record").publication;
        let record = feed.counts().records;
        match publication.topic.as_str() {
            "lobster.AAPL.book" => apply(&mut book, &publication),
            "lobster.AAPL.trade" => {
                let fields: Vec<&str> = trades.next().expect("a trade").split(',').collect();
                let trade = data(&publication);
                assert_eq!(trade["px"], json!(px(fields[4].parse().expect("a price"))));
                assert_eq!(trade["qty"], json!(fields[3]));
                assert_eq!(trade["side"], json!(if fields[5] == "1" { "sell" } else { "buy" }));
                assert_eq!(trade.get("hidden").is_some(), fields[1] == "5");
                traded += 1;
            }
            "lobster.AAPL.quote" => {
                let levels = |side: &str| book[side].as_object().expect("a side");
                let quote = data(&publication);
                // Prices of this sample have the same number of digits.
                assert_eq!(quote["bid"].as_str(), levels("bids").keys().max().map(String::as_str));
                assert_eq!(quote["ask"].as_str(), levels("asks").keys().min().map(String::as_str));
            }
            other => panic!("{other}"),
        }
        next = feed.next();
        // The rows of records that changed nothing are those of the record before.
        let now = feed.counts().records;
        if next.is_none() || now != record {
            let passed = rows.by_ref().take((record - read) as usize).last().expect("a row");
            read = record;
            let [bids, asks] = row_book(passed);
            assert_eq!((book["bids"].as_object(), book["asks"].as_object()), (Some(&bids), Some(&asks)), "{record}");
        }
    }
    assert_eq!(traded, 98 + 61);
    // There are no gaps: the book always follows from the message.
    assert_eq!(feed.counts(), Counts { records: 999, ..Counts::default() });

    // The messages alone: the orders since the beginning, added up naively.
    let (timed, bad, counts) = of_text(&messages);
    assert_eq!(bad, []);
    let mut orders: BTreeMap<&str, (bool, i64, i64)> = BTreeMap::new();
    let mut unknown = 0;
    for line in messages.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let size: i64 = fields[3].parse().expect("a size");
        match fields[1] {
            "1" => _ = orders.insert(fields[2], (fields[5] == "1", fields[4].parse().expect("a price"), size)),
            "2" | "3" | "4" => match orders.get_mut(fields[2]) {
                Some(order) => order.2 -= size,
                None => unknown += 1,
            },
            _ => {}
        }
    }
    assert_eq!((counts.records, counts.venue_gaps), (999, unknown));
    let mut levels: [BTreeMap<String, i64>; 2] = Default::default();
    for (bid, price, size) in orders.into_values().filter(|(.., size)| *size > 0) {
        *levels[usize::from(!bid)].entry(px(price)).or_default() += size;
    }
    let mut book = Value::Null;
    timed
        .iter()
        .filter(|timed| timed.publication.topic == "lobster.LOBSTER.book")
        .for_each(|timed| apply(&mut book, &timed.publication));
    for (side, levels) in ["bids", "asks"].into_iter().zip(levels) {
        let levels: Map<String, Value> = levels.into_iter().map(|(px, size)| (px, json!(size.to_string()))).collect();
        assert_eq!(book[side].as_object(), Some(&levels));
        assert!(levels.len() > 5);
    }
}

const MESSAGES: &str = "XY_2026-01-05_34200000_57600000_message_2.csv";
const ROWS: &str = "XY_2026-01-05_34200000_57600000_orderbook_2.csv";

/// All types; the second bid is from before the recording.
fn messages() -> String {
    synthetic_text(MESSAGES)
}

/// The book after each message.
fn rows() -> String {
    synthetic_text(ROWS)
}

#[test]
fn every_type_with_the_book_beside_it() {
    let (timed, bad, counts) = opened(&synthetic(MESSAGES));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 10, ..Counts::default() });
    let (book, quote, trade, status) = ("lobster.XY.book", "lobster.XY.quote", "lobster.XY.trade", "lobster.XY.status");
    let expected = [
        (book, "state", r#"{"bids":{"100.0000":"100","99.0000":"5"},"asks":{},"venue_time_ns":34200500000000}"#),
        (
            quote,
            "state",
            r#"{"bid":"100.0000","bid_qty":"100","ask":null,"ask_qty":null,"venue_time_ns":34200500000000}"#,
        ),
        (book, "patch", r#"{"asks":{"101.0000":"50"},"venue_time_ns":34201000000001}"#),
        (
            quote,
            "state",
            r#"{"bid":"100.0000","bid_qty":"100","ask":"101.0000","ask_qty":"50","venue_time_ns":34201000000001}"#,
        ),
        (book, "patch", r#"{"asks":{"101.0000":"30"},"venue_time_ns":34202250000000}"#),
        (
            quote,
            "state",
            r#"{"bid":"100.0000","bid_qty":"100","ask":"101.0000","ask_qty":"30","venue_time_ns":34202250000000}"#,
        ),
        (trade, "event", r#"{"id":4,"px":"101.0000","qty":"10","side":"buy","venue_time_ns":34203000000000}"#),
        (book, "patch", r#"{"asks":{"101.0000":"20"},"venue_time_ns":34203000000000}"#),
        (
            quote,
            "state",
            r#"{"bid":"100.0000","bid_qty":"100","ask":"101.0000","ask_qty":"20","venue_time_ns":34203000000000}"#,
        ),
        (
            trade,
            "event",
            r#"{"id":5,"px":"100.5000","qty":"7","side":"sell","hidden":true,"venue_time_ns":34204000000000}"#,
        ),
        (trade, "event", r#"{"id":6,"px":"100.5000","qty":"500","cross":true,"venue_time_ns":34205000000000}"#),
        (status, "state", r#"{"status":"halted","venue_time_ns":34206000000000}"#),
        (status, "state", r#"{"status":"auction","venue_time_ns":34207000000000}"#),
        (status, "state", r#"{"status":"open","venue_time_ns":34208000000000}"#),
        (book, "patch", r#"{"bids":{"100.0000":null},"venue_time_ns":34209000000000}"#),
        (
            quote,
            "state",
            r#"{"bid":"99.0000","bid_qty":"5","ask":"101.0000","ask_qty":"20","venue_time_ns":34209000000000}"#,
        ),
    ];
    assert_eq!(lines(&timed), expected);
    assert_eq!(timed.last().expect("some").due_us, 8_500_000);
}

#[test]
fn files_that_do_not_belong_together() {
    let (folder, messages, all_rows) = (tempfile::tempdir().expect("a folder"), messages(), rows());
    // One level has another size in one row, so the rows contradict the messages twice: in that row and in the next.
    let rows = all_rows.replacen("1010000,30", "1010000,31", 1);
    assert_eq!(opened(&pair(folder.path(), &messages, &rows)).2.venue_gaps, 2);

    let short: String = all_rows.lines().take(6).map(|line| format!("{line}\n")).collect();
    let (_, bad, counts) = opened(&pair(folder.path(), &messages, &short));
    assert_eq!((counts.records, bad.len()), (7, 1));
    assert!(bad[0].ends_recording && bad[0].position == "line 7 of the order book file", "{}", bad[0]);

    let (timed, bad, counts) = opened(&pair(folder.path(), &messages, &format!("{all_rows}1,1,0,1\n")));
    assert_eq!((timed.len(), counts.records, bad.len()), (16, 11, 1));
    assert!(bad[0].reason.contains("the order book file goes on"), "{}", bad[0]);

    for (row, reason) in [
        ("1,2,3", "4 columns"),
        ("1010000,x,1000000,100", "not a number"),
        ("1010000,20,1000000,100,1010000,5,990000,5", "is not worse than that of the level before it"),
        ("1010000,20,1000000,100,1020000,5,1000001,5", "is not worse than that of the level before it"),
    ] {
        let rows: Vec<&str> =
            all_rows.lines().enumerate().map(|(nth, line)| if nth == 5 { row } else { line }).collect();
        let (timed, bad, counts) = opened(&pair(folder.path(), &messages, &rows.join("\n")));
        // Only the trade of that line is missing.
        assert_eq!((timed.len(), counts.records, counts.bad, counts.venue_gaps), (15, 10, 1, 0), "{row}");
        assert!(bad[0].reason.contains(reason) && bad[0].position == "line 6 of the order book file", "{}", bad[0]);
    }
}

#[test]
fn the_messages_alone() {
    let (timed, bad, counts) = of_text(&format!("{}34210,3,10,5,990000,1\n34211,4,10,5,990000,1", messages()));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 12, venue_gaps: 2, ..Counts::default() });
    let lines = lines(&timed);
    assert_eq!(lines[0].2, r#"{"bids":{"100.0000":"100"},"asks":{},"venue_time_ns":34200500000000}"#);
    assert_eq!(
        lines.last().expect("some").2,
        r#"{"id":12,"px":"99.0000","qty":"5","side":"sell","venue_time_ns":34211000000000}"#
    );
}

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    for (line, reason) in [
        ("34200.5,1,11,100,1000000", "6 columns"),
        ("soon,1,11,100,1000000,1", "not a time"),
        ("34200.5,8,11,100,1000000,1", "no type"),
        ("34200.5,1,x,100,1000000,1", "order id"),
        ("34200.5,1,11,-1,1000000,1", "size"),
        ("34200.5,1,11,0,1000000,1", "quantity of 0"),
        ("34200.5,1,11,5000000000,1000000,1", "too large"),
        ("34200.5,1,11,100,1e6,1", "price"),
        ("34200.5,1,11,100,1000000,0", "neither 1 nor -1"),
        ("34200.5,7,0,0,2,-1", "-1, 0 or 1"),
        ("34200.5,1,1,1,1000000,1", "already in the book"),
        ("34200.5,4,1,11,1000000,1", "a quantity of 10, which cannot be reduced by 11"),
    ] {
        let text = format!("34200.1,1,1,10,1000000,1\n{line}\n34200.6,3,1,10,1000000,1,null");
        let (timed, bad, counts) = of_text(&text);
        assert_eq!((timed.len(), bad.len(), counts.records, counts.bad), (4, 1, 3, 1), "{line}");
        assert_eq!(bad[0].position, "line 2");
        assert!(bad[0].reason.contains(reason), "{}", bad[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With any damage to the two files, everything published is JSON, and each bad record is counted once.
    #[test]
    fn damaged_files(edits in prop::collection::vec((0..2_000usize, any::<u8>()), 0..12)) {
        let (messages, rows) = (messages(), rows());
        let mut bytes = format!("{messages}{rows}").into_bytes();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let (messages, rows) = bytes.split_at(messages.len());
        let folder = tempfile::tempdir().expect("a folder");
        let path = pair(folder.path(), "", "");
        std::fs::write(&path, messages).expect("it is written");
        std::fs::write(folder.path().join(ROWS), rows).expect("it is written");
        let (timed, bad, counts) = opened(&path);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
