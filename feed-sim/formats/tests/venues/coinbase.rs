//! Coinbase Exchange.

use std::collections::{BTreeMap, HashMap};

use feed_player::publication::{Counts, Kind, Timed};
use serde_json::{Value, json};

use crate::common::{decimal, recording, synthetic_text};
use crate::{check_bad_lines, count, decompressed, images, lines, of_file, of_text, side, take};

/// One of each message.
pub(crate) fn fixture() -> String {
    synthetic_text("coinbase.txt")
}

#[test]
fn each_message() {
    let (timed, bad, counts) = of_text("coinbase", &fixture());
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 10, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(
        lines(&timed),
        [
            r#"500000 coinbase.AB-C.book state {"bids":{"9.90":"1.0","9.80":"2"},"asks":{"10.00":"3"}}"#,
            r#"500000 coinbase.AB-C.quote state {"bid":"9.90","bid_qty":"1.0","ask":"10.00","ask_qty":"3"}"#,
            r#"750000 coinbase.AB-C.trade event {"id":7,"px":"9.95","qty":"0.5","side":"buy","venue_ts":11700000,"venue_seq":70}"#,
            r#"1000000 coinbase.AB-C.book patch {"venue_ts":11999999,"bids":{"9.90":null},"asks":{"10.00":"4.0","10.10":"1"}}"#,
            r#"1000000 coinbase.AB-C.quote state {"bid":"9.80","bid_qty":"2","ask":"10.00","ask_qty":"4.0","venue_ts":11999999}"#,
            r#"1000000 coinbase.AB-C.trade event {"id":8,"px":"10.00","qty":"1","side":"sell","venue_ts":12000000,"venue_seq":71}"#,
            r#"1500000 coinbase.AB-C.ticker state {"type":"ticker","sequence":71,"product_id":"AB-C","price":"10.00","best_bid":"9.80"}"#,
        ]
    );
}

#[test]
fn plain_lines_are_the_same_feed() {
    let fixture = fixture();
    let received = fixture.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let plain: String = received.map(|line| line.replacen(": ", " ", 1) + "\n").collect();
    let (timed, bad, _) = of_text("coinbase", &plain);
    assert_eq!(bad, []);
    assert_eq!(lines(&timed), lines(&of_text("coinbase", &fixture).0));
}

#[test]
fn trades_that_are_lost_or_sent_twice() {
    let trade = |kind: &str, id: u64| {
        format!(r#"11 {{"type":"{kind}","trade_id":{id},"side":"buy","size":"1","price":"1","product_id":"A-B"}}"#)
    };
    let heartbeat = |id: u64| format!(r#"11 {{"type":"heartbeat","last_trade_id":{id},"product_id":"A-B"}}"#);
    let text = [
        heartbeat(3),
        trade("last_match", 5),
        trade("match", 6),
        trade("match", 8),
        trade("last_match", 8),
        heartbeat(8),
        heartbeat(9),
        trade("match", 10),
        trade("match", 1 << 60),
    ];
    let (timed, bad, counts) = of_text("coinbase", &text.join("\n"));
    assert_eq!(bad, []);
    assert_eq!((counts.superseded, counts.venue_gaps), (1, 3));
    assert_eq!(count(&timed, Kind::Event, ".trade"), 5);
    assert!(timed[4].publication.data.starts_with(r#"{"id":"1152921504606846976","#), "above 2^53 an id is a string");
}

#[test]
fn a_new_snapshot_is_a_new_book_and_every_256th_message_is_whole() {
    let mut text = fixture();
    let mut expected = BTreeMap::from([("9.80".to_owned(), "2".to_owned())]);
    let mut expected_then = Vec::new();
    for nth in 0..600 {
        let (px, qty) = (format!("9.{:02}", nth % 70), nth % 5);
        text += &format!(r#"13 {{"type":"l2update","product_id":"AB-C","changes":[["buy","{px}","{qty}"]]}}"#);
        text.push('\n');
        expected.insert(px, qty.to_string());
        expected.retain(|_, qty| qty != "0");
        expected_then.push(expected.clone());
    }
    text += r#"14 {"type":"snapshot","product_id":"AB-C","bids":[],"asks":[["11","1"]]}"#;
    let (timed, bad, _) = of_text("coinbase", &text);
    assert_eq!(bad, []);
    let books: Vec<&Timed> = timed.iter().filter(|timed| timed.publication.topic.ends_with("book")).collect();
    let whole: Vec<usize> = (0..books.len()).filter(|&nth| books[nth].publication.kind == Kind::State).collect();
    assert_eq!(whole, [0, 256, 512, 602]);
    for nth in [256, 512] {
        // Two messages came before the first of the 600.
        assert_eq!(side(&crate::common::data(&books[nth].publication), "bids"), expected_then[nth - 2]);
    }
    let images = self::images(&timed);
    assert_eq!(images["coinbase.AB-C.book"], json!({"bids": {}, "asks": {"11": "1"}}));
    assert_eq!(images["coinbase.AB-C.quote"], json!({"bid": null, "bid_qty": null, "ask": "11", "ask_qty": "1"}));
}

#[test]
fn a_book_that_is_too_large_for_one_message() {
    let levels =
        |from: u32| (from..from + 5_000).map(|px| json!([format!("{px}.00"), "1.00000000"])).collect::<Vec<_>>();
    let snapshot = json!({"type": "snapshot", "product_id": "A-B", "bids": levels(10_000), "asks": levels(20_000)});
    let mut text = format!("11 {snapshot}\n");
    for nth in 0..2_000 {
        text += &format!(
            "12 {{\"type\":\"l2update\",\"product_id\":\"A-B\",\"changes\":[[\"buy\",\"{}.00\",\"{}\"]]}}\n",
            10_000 + nth * 7 % 5_000,
            nth % 3
        );
    }
    let (timed, bad, _) = of_text("coinbase", &text);
    assert_eq!(bad, []);
    assert!(timed.iter().all(|timed| timed.publication.data.len() < 65_000), "each fits a message of 64 KiB");
    assert_eq!(count(&timed, Kind::State, ".book"), 1, "there is no moment at which the book is not whole");
    let first = side(&crate::common::data(&timed[0].publication), "bids");
    assert!(first.contains_key("14999.00") && !first.contains_key("10000.00"), "the best levels come first");

    // A subscriber that lost the book after the snapshot has it again: all of it is repeated, part by part.
    let whole = images(&timed);
    let mut later = BTreeMap::from([("coinbase.A-B.book".to_owned(), json!({}))]);
    for timed in timed.iter().filter(|timed| timed.due_us > 0 && timed.publication.topic.ends_with("book")) {
        take(&mut later, &timed.publication);
    }
    assert_eq!(later["coinbase.A-B.book"], whole["coinbase.A-B.book"]);
    assert_eq!(side(&whole["coinbase.A-B.book"], "asks").len(), 5_000);
}

#[test]
fn bad_records() {
    let update = |changes: &str| format!(r#"13 {{"type":"l2update","product_id":"AB-C","changes":{changes}}}"#);
    check_bad_lines(
        "coinbase",
        &fixture(),
        &[
            ("13", "no blank"),
            ("soon {}", "receive time"),
            ("13 {", "EOF"),
            ("13 []", ""),
            (r#"13 {"type":"done","product_id":"AB-C"}"#, "is not supported"),
            (r#"13 {"type":"error","message":"Failed \"so\""}"#, "Failed \"so\""),
            (r#"13 {"type":"ticker"}"#, "without product_id"),
            (r#"13 {"type":"ticker","product_id":"A.>"}"#, "part of a topic"),
            (r#"13 {"type":"snapshot","product_id":"AB-C","bids":[]}"#, "without bids and asks"),
            (r#"13 {"type":"l2update","product_id":"XY-Z","changes":[]}"#, "before its snapshot"),
            (&update(r#"[["buy","1","1"],["sell","-1","1"]]"#), "\"-1\" is not a decimal"),
            (&update(r#"[["buy","1","1\""]]"#), ""),
            (&update(r#"[["bid","1","1"]]"#), "neither"),
            (&update(r#"[["buy","1"]]"#), ""),
            (
                r#"13 {"type":"match","product_id":"AB-C","trade_id":9,"side":"buy","price":"1","size":"x"}"#,
                "\"x\" is not",
            ),
            (r#"13 {"type":"match","product_id":"AB-C","trade_id":-9,"side":"buy","price":"1","size":"1"}"#, ""),
            (
                r#"13 {"type":"match","product_id":"AB-C","trade_id":9,"side":"buy","price":"1","size":"1","time":"noon"}"#,
                "time \"noon\"",
            ),
        ],
    );
}

#[test]
fn the_recorded_capture() {
    let Some(path) = recording("coinbase_level2_cryptofeed.ws.gz") else { return };
    let text = decompressed(&path);
    assert_eq!(text.lines().count(), 9_952);
    let (timed, bad, counts) = of_file("coinbase", &path);
    assert_eq!(bad, []);
    // Two of the 9,952 lines are empty.
    assert_eq!(counts, Counts { records: 9_950, bad: 0, superseded: 0, venue_gaps: 0, ..Counts::default() });
    assert_eq!(count(&timed, Kind::State, ".book") + count(&timed, Kind::Patch, ".book"), 10 + 9_719);
    assert_eq!(count(&timed, Kind::Event, ".trade"), 10 + 97);
    assert_eq!(count(&timed, Kind::State, ".ticker"), 107);
    assert!(timed.iter().all(|timed| timed.publication.data.len() < 65_000), "each fits a message of 64 KiB");

    // The books are those of a naive reading of the file.
    let mut naive: HashMap<String, [BTreeMap<String, String>; 2]> = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())) {
        let message: Value = serde_json::from_str(line.split_once(": ").expect("a time").1).expect("JSON");
        let product = message["product_id"].as_str().unwrap_or_default().to_owned();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        match message["type"].as_str() {
            Some("snapshot") => {
                let levels = |side: &str| {
                    let levels = message[side].as_array().expect("levels");
                    levels.iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
                };
                naive.insert(product, [levels("bids"), levels("asks")]);
            }
            Some("l2update") => {
                for change in message["changes"].as_array().expect("changes") {
                    let book = naive.get_mut(&product).expect("a snapshot came before");
                    let side = &mut book[usize::from(change[0] == "sell")];
                    if decimal(&change[2]) == 0 {
                        side.remove(change[1].as_str().expect("a price"));
                    } else {
                        side.insert(text(&change[1]), text(&change[2]));
                    }
                }
            }
            _ => {}
        }
    }
    let images = images(&timed);
    assert_eq!(naive.len(), 10);
    for (product, [bids, asks]) in &naive {
        let book = &images[&format!("coinbase.{product}.book")];
        assert_eq!((&side(book, "bids"), &side(book, "asks")), (bids, asks), "{product}");
    }

    // No book is ever crossed, and the quote is its best levels.
    let mut held = BTreeMap::new();
    let mut quotes = 0;
    for Timed { publication, .. } in &timed {
        take(&mut held, publication);
        if let Some(symbol) = publication.topic.strip_suffix(".quote") {
            let book = &held[&format!("{symbol}.book")];
            let px = |side: &str| {
                let mut prices: Vec<_> = crate::side(book, side).into_keys().collect();
                prices.sort_by_key(|px| decimal(&json!(px)));
                prices
            };
            let (bid, ask) = (px("bids").pop().expect("a bid"), px("asks").swap_remove(0));
            assert!(decimal(&json!(bid)) < decimal(&json!(ask)), "{symbol} is crossed: {bid} {ask}");
            let quote = &held[&publication.topic];
            assert_eq!((&quote["bid"], &quote["ask"]), (&json!(bid), &json!(ask)));
            assert_eq!((&quote["bid_qty"], &quote["ask_qty"]), (&book["bids"][&bid], &book["asks"][&ask]));
            quotes += 1;
        }
    }
    assert!(quotes > 100, "{quotes} quotes were compared");
}
