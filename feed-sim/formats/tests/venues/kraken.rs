//! Kraken spot. There is no recording of the venue: the messages follow its documentation, and their checksums come
//! from a second implementation of its rule.

#[path = "../../examples/recordings/kraken/messages.rs"]
mod messages;

use std::collections::BTreeMap;

use feed_player::publication::{Counts, Kind};
use proptest::prelude::*;
use serde_json::json;

use crate::common::{data, synthetic_text};
use crate::{check_bad_lines, count, images, lines, of_text, side};
use messages::{Levels, book, crc, levels};

/// A capture of version 2 with one of each message.
pub(crate) fn fixture() -> String {
    synthetic_text("kraken_v2.txt")
}

#[test]
fn each_message_of_version_2() {
    let (timed, bad, counts) = of_text("kraken", &fixture());
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 9, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(
        lines(&timed),
        [
            r#"100000 kraken.AB/CD.book state {"venue_ts":9500000,"bids":{"0.7312":"1840.25000000","0.7311":"96.50000000"},"asks":{"0.7314":"215.75000000"}}"#,
            r#"100000 kraken.AB/CD.quote state {"bid":"0.7312","bid_qty":"1840.25000000","ask":"0.7314","ask_qty":"215.75000000","venue_ts":9500000}"#,
            r#"200000 kraken.AB/CD.book patch {"venue_ts":9500000,"bids":{"0.7311":"64.25000000","0.7312":null}}"#,
            r#"200000 kraken.AB/CD.quote state {"bid":"0.7311","bid_qty":"64.25000000","ask":"0.7314","ask_qty":"215.75000000","venue_ts":9500000}"#,
            r#"300000 kraken.AB/CD.trade event {"id":41,"px":"0.7311","qty":"3.00000000","side":"sell","venue_ts":10450000}"#,
            r#"300000 kraken.AB/CD.trade event {"id":42,"px":"0.7314","qty":"1.50","side":"buy","venue_ts":10460000}"#,
            r#"400000 kraken.AB/CD.ticker state {"symbol":"AB/CD","bid":0.7311,"bid_qty":64.25,"last":0.7314}"#,
        ]
    );
}

#[test]
fn each_message_of_version_1() {
    let text = synthetic_text("kraken_v1.txt");
    let (bids, asks) =
        (levels(&[("318.35000", "1.12500000")]), levels(&[("318.47000", "2.75000000"), ("318.90000", "0.64000000")]));
    let bids_after = levels(&[("318.41000", "4.00000000"), ("318.35000", "1.12500000")]);
    let asks_after = levels(&[("318.47000", "2.75000000"), ("319.20000", "1.00000000")]);
    let after = crc(&asks_after, &bids_after);
    assert!(text.contains(&format!(r#""c":"{after}""#)), "the update's checksum is that of the book after it");
    assert_ne!(crc(&asks, &bids), after, "the update changes the checksum");
    let (timed, bad, counts) = of_text("kraken", &text);
    assert_eq!(bad, []);
    assert_eq!(counts.records, 9);
    assert_eq!(
        lines(&timed),
        [
            // `venue_ts` is the venue's time in the message, 1.5 s.
            r#"0 kraken.AB/CD.quote state {"bid":"317.90000","bid_qty":"2.0","ask":"318.47000","ask_qty":"3.0","venue_ts":1500000}"#,
            r#"1000000 kraken.AB/CD.book state {"venue_ts":11250000,"bids":{"318.35000":"1.12500000"},"asks":{"318.47000":"2.75000000","318.90000":"0.64000000"}}"#,
            r#"1000000 kraken.AB/CD.quote state {"bid":"318.35000","bid_qty":"1.12500000","ask":"318.47000","ask_qty":"2.75000000","venue_ts":11250000}"#,
            r#"2000000 kraken.AB/CD.book patch {"venue_ts":12500000,"bids":{"318.41000":"4.00000000"},"asks":{"318.90000":null,"319.20000":"1.00000000"}}"#,
            r#"2000000 kraken.AB/CD.quote state {"bid":"318.41000","bid_qty":"4.00000000","ask":"318.47000","ask_qty":"2.75000000","venue_ts":12500000}"#,
            r#"3000000 kraken.AB/CD.trade event {"px":"318.35000","qty":"0.42160000","side":"sell","venue_ts":12900000}"#,
            r#"3000000 kraken.AB/CD.trade event {"px":"318.47000","qty":"1","side":"buy","venue_ts":12950000}"#,
            r#"4000000 kraken.AB/CD.ticker state {"a":["318.47000",1,"1.000"],"b":["318.41000",0,"1.000"],"c":["318.47000","1"]}"#,
        ]
    );
}

#[test]
fn a_checksum_that_does_not_match_holds_the_book_back() {
    let (bids, asks) = (levels(&[("1.1", "5")]), levels(&[("1.2", "6")]));
    let none = Levels::new();
    let change = |qty: &str| levels(&[("1.1", qty)]);
    let messages = [
        book("snapshot", &bids, &asks, crc(&asks, &bids)),
        book("update", &change("7"), &none, 1),
        book("update", &change("8"), &none, 2),
        book("update", &change("9"), &none, crc(&asks, &change("9"))),
        book("update", &change("10"), &none, crc(&asks, &change("10"))),
        book("update", &change("11"), &none, 3),
        book("snapshot", &bids, &asks, crc(&asks, &bids)),
        book("snapshot", &bids, &asks, 4),
    ];
    let text: String = messages.iter().map(|message| format!("10 {message}\n")).collect();
    let (timed, bad, counts) = of_text("kraken", &text);
    let positions: Vec<&str> = bad.iter().map(|bad| bad.position.as_str()).collect();
    assert_eq!(positions, ["line 2", "line 3", "line 6", "line 8"]);
    assert!(bad[0].reason.contains("the checksum of AB/CD is 1, "), "{}", bad[0]);
    assert_eq!((counts.records, counts.bad), (8, 4));
    let books: Vec<_> = timed.iter().filter(|timed| timed.publication.topic.ends_with("book")).collect();
    let kinds: Vec<Kind> = books.iter().map(|timed| timed.publication.kind).collect();
    assert_eq!(kinds, [Kind::State, Kind::State, Kind::Patch, Kind::State]);
    assert_eq!(data(&books[1].publication)["bids"], json!({"1.1": "9"}), "whole again, and right");
}

#[test]
fn levels_beyond_the_depth_are_gone() {
    // Without an answer to a subscription, the depth is the smallest one that fits: 25 for eleven levels.
    for (asks_there, depth) in [(10, 10), (11, 25)] {
        let asks: Levels = (0..asks_there).map(|nth| (format!("2.{nth:03}"), "1.0".to_owned())).collect();
        let mut text = format!("10 {}\n", book("snapshot", &Levels::new(), &asks, crc(&asks, &Levels::new())));
        let mut all = asks;
        for nth in 0..20 {
            let level = (format!("1.{:03}", 999 - nth), "1.0".to_owned());
            all.insert(0, level.clone());
            all.truncate(depth);
            text += &format!("11 {}\n", book("update", &Levels::new(), &vec![level], crc(&all, &Levels::new())));
        }
        let (timed, bad, _) = of_text("kraken", &text);
        assert_eq!(bad, []);
        assert_eq!(side(&images(&timed)["kraken.AB/CD.book"], "asks"), all.into_iter().collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn trades_that_are_lost_or_sent_twice() {
    let trade = |kind: &str, ids: &[u64]| {
        let trades: Vec<_> = ids
            .iter()
            .map(|id| json!({"symbol": "A/B", "side": "buy", "price": 1, "qty": 2, "trade_id": id, "timestamp": "1970-01-01T00:00:00Z"}))
            .collect();
        format!("10 {}\n", json!({"channel": "trade", "type": kind, "data": trades}))
    };
    let text = trade("snapshot", &[1, 2, 3]) + &trade("update", &[4, 6]) + &trade("snapshot", &[5, 6, 7]);
    let (timed, bad, counts) = of_text("kraken", &text);
    assert_eq!(bad, []);
    assert_eq!((counts.superseded, counts.venue_gaps), (2, 1));
    assert_eq!(count(&timed, Kind::Event, ".trade"), 6);
}

#[test]
fn bad_records() {
    let book = |level: &str| {
        format!(r#"11 {{"channel":"book","type":"snapshot","data":[{{"symbol":"AB/CD","bids":[{level}],"asks":[]}}]}}"#)
    };
    check_bad_lines(
        "kraken",
        &fixture(),
        &[
            ("11 {", "EOF"),
            ("11 {}", "neither"),
            ("11 []", "without channel and pair"),
            (r#"11 ["book-10","A/B"]"#, "without a payload"),
            (r#"11 [0,{},"ohlc-5","A/B"]"#, "\"ohlc-5\" is not supported"),
            (r#"11 [0,{},"book-10","A.B"]"#, "part of a topic"),
            (r#"11 [0,{"b":[]},"book-10","A/B"]"#, "before its snapshot"),
            (r#"11 [0,{"bs":[["1","2"]]},"book-10","A/B"]"#, "not price, volume and time"),
            (r#"11 [0,{"bs":[["1","2","x"]]},"book-10","A/B"]"#, "\"x\" is not a time"),
            (r#"11 [0,{"bs":[]},"book-deep","A/B"]"#, "not a depth"),
            (r#"11 [0,{"b":[],"c":"-1"},"book-10","A/B"]"#, "not a checksum"),
            (r#"11 [0,[["1","2","3","x"]],"trade","A/B"]"#, "neither \"b\" nor \"s\""),
            (r#"11 [0,[["1","-2","3","b"]],"trade","A/B"]"#, "not a decimal"),
            (r#"11 [0,[],[],"trade","A/B"]"#, "2 payloads"),
            (r#"11 [0,7,"ticker","A/B"]"#, "not an object"),
            (r#"11 [0,["1","2","3"],"spread","A/B"]"#, ""),
            (r#"11 [0,["1","2","3","4","x\""],"spread","A/B"]"#, ""),
            (r#"11 {"channel":"level3","data":[]}"#, "is not supported"),
            (r#"11 {"channel":"ticker","data":[{"symbol":"A/B"},{"symbol":"A.B"}]}"#, "part of a topic"),
            (r#"11 {"channel":"trade","data":[{"symbol":"A/B","side":"buy"}]}"#, "missing field"),
            (&book(r#"{"price":1e-5,"qty":1}"#), "not a decimal"),
            (&book(r#"{"price":-1,"qty":1}"#), "not a decimal"),
            (&book(r#"{"price":1,"qty":null}"#), "not a decimal"),
            (&book(r#"{"price":1}"#), "missing field"),
        ],
    );
}

proptest! {
    /// After any updates, each checksum of an independent book matches, and the published book is that book.
    #[test]
    fn any_updates(updates in prop::collection::vec((any::<bool>(), 0..40u32, 0..4u32), 1..300)) {
        let (mut bids, mut asks): (BTreeMap<u32, String>, BTreeMap<u32, String>) = (BTreeMap::new(), BTreeMap::new());
        let spelled = |px: u32| format!("{}.{:02}", px / 100, px % 100);
        let best_first = |bids: &BTreeMap<u32, String>, asks: &BTreeMap<u32, String>| {
            let level = |(px, qty): (&u32, &String)| (spelled(*px), qty.clone());
            (bids.iter().rev().map(level).collect::<Levels>(), asks.iter().map(level).collect::<Levels>())
        };
        let mut text = format!("10 {}\n", book("snapshot", &Levels::new(), &Levels::new(), crc(&Levels::new(), &Levels::new())));
        for (is_bid, at, qty) in updates {
            let (px, qty) = (if is_bid { 50 + at } else { 100 + at }, format!("{qty}.500").replace("0.500", "0.000"));
            let side = if is_bid { &mut bids } else { &mut asks };
            side.insert(px, qty.clone());
            side.retain(|_, qty| qty != "0.000");
            if is_bid && bids.len() > 10 {
                bids.pop_first();
            } else if asks.len() > 10 {
                asks.pop_last();
            }
            let level = vec![(spelled(px), qty)];
            let (bid_levels, ask_levels) = best_first(&bids, &asks);
            let (new_bids, new_asks) = if is_bid { (level, Levels::new()) } else { (Levels::new(), level) };
            text += &format!("11 {}\n", book("update", &new_bids, &new_asks, crc(&ask_levels, &bid_levels)));
        }
        let (timed, bad, _) = of_text("kraken", &text);
        prop_assert_eq!(bad, []);
        let (bid_levels, ask_levels) = best_first(&bids, &asks);
        let images = images(&timed);
        let book = &images["kraken.AB/CD.book"];
        prop_assert_eq!(side(book, "bids"), bid_levels.into_iter().collect());
        prop_assert_eq!(side(book, "asks"), ask_levels.into_iter().collect());
    }
}
