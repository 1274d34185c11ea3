//! Days with messages of every type.

use feed_player::publication::{Counts, Publication, Timed};
use serde_json::{Value, json};

use crate::common::data;
use crate::messages::Field::U8;
use crate::messages::{LENGTHS, add, framed, message};
use crate::{day, replayed, unframed};

#[test]
fn every_type_that_publishes() {
    let expected = [
        ("itch.system", "state", json!({"status":"pre_open","event":"O","venue_time_ns":1})),
        (
            "itch.XY_A.directory",
            "state",
            json!({"symbol":"XY.A","market_category":"Q","financial_status":"N","round_lot":"100","etp":"N","venue_time_ns":2}),
        ),
        ("itch.XY_A.status", "state", json!({"status":"open","trading_state":"T","reason":"IPO1","venue_time_ns":3})),
        ("itch.system", "state", json!({"status":"open","event":"Q","venue_time_ns":4})),
        ("itch.XY_A.book", "state", json!({"bids":{"9.9900":"300"},"asks":{},"venue_time_ns":5})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9900","bid_qty":"300","ask":null,"ask_qty":null,"venue_time_ns":5}),
        ),
        ("itch.XY_A.book", "patch", json!({"asks":{"10.0100":"200"},"venue_time_ns":6})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9900","bid_qty":"300","ask":"10.0100","ask_qty":"200","venue_time_ns":6}),
        ),
        ("itch.XY_A.trade", "event", json!({"id":901,"px":"10.0100","qty":"50","side":"buy","venue_time_ns":7})),
        ("itch.XY_A.book", "patch", json!({"asks":{"10.0100":"150"},"venue_time_ns":7})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9900","bid_qty":"300","ask":"10.0100","ask_qty":"150","venue_time_ns":7}),
        ),
        (
            "itch.XY_A.trade",
            "event",
            json!({"id":902,"px":"10.0050","qty":"50","side":"buy","printable":false,"venue_time_ns":8}),
        ),
        ("itch.XY_A.book", "patch", json!({"asks":{"10.0100":"100"},"venue_time_ns":8})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9900","bid_qty":"300","ask":"10.0100","ask_qty":"100","venue_time_ns":8}),
        ),
        ("itch.XY_A.book", "patch", json!({"bids":{"9.9900":"200"},"venue_time_ns":9})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9900","bid_qty":"200","ask":"10.0100","ask_qty":"100","venue_time_ns":9}),
        ),
        ("itch.XY_A.book", "patch", json!({"bids":{"9.9900":null,"9.9800":"400"},"venue_time_ns":10})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":"9.9800","bid_qty":"400","ask":"10.0100","ask_qty":"100","venue_time_ns":10}),
        ),
        (
            "itch.XY_A.trade",
            "event",
            json!({"id":"9007199254740992","px":"10.0000","qty":"10","hidden":true,"venue_time_ns":11}),
        ),
        (
            "itch.XY_A.trade",
            "event",
            json!({"id":904,"px":"10.0000","qty":"5000000000","cross":"O","venue_time_ns":12}),
        ),
        ("itch.XY_A.trade", "event", json!({"id":901,"broken":true,"venue_time_ns":14})),
        (
            "itch.XY_A.imbalance",
            "state",
            json!({"paired":"10","imbalance":"20","direction":"B","far":"0.0001","near":"0.0002","ref":"0.0003","cross":"C","venue_time_ns":15}),
        ),
        ("itch.XY_A.book", "patch", json!({"bids":{"9.9800":null},"venue_time_ns":16})),
        (
            "itch.XY_A.quote",
            "state",
            json!({"bid":null,"bid_qty":null,"ask":"10.0100","ask_qty":"100","venue_time_ns":16}),
        ),
        (
            "itch.XY_A.status",
            "state",
            json!({"status":"halted","trading_state":"P","reason":"LUDP","venue_time_ns":17}),
        ),
        ("itch.system", "state", json!({"status":"closed","event":"M","venue_time_ns":18})),
    ];
    for frame in [framed, unframed] {
        let (timed, bad, counts) = replayed(day().iter().flat_map(|message| frame(message)).collect());
        assert_eq!(bad, []);
        assert_eq!(counts, Counts { records: 18, ..Counts::default() });
        let published: Vec<(&str, &str, Value)> = timed
            .iter()
            .map(|Timed { publication, .. }| (publication.topic.as_str(), publication.kind.as_str(), data(publication)))
            .collect();
        for (published, expected) in published.iter().zip(&expected) {
            assert_eq!(published, expected);
        }
        assert_eq!(published.len(), expected.len());
    }
}

#[test]
fn every_type_has_its_length() {
    let good = message(b'S', 1, &[U8(b'Q')]);
    for (kind, length) in LENGTHS {
        // Letters everywhere, so that most codes and symbols are valid.
        let mut record = message(kind, 1, &[]);
        record[11..].fill(b'N');
        for frame in [framed, unframed] {
            let (_, bad, counts) = replayed([frame(&record), frame(&good)].concat());
            assert!(bad.iter().all(|bad| !bad.ends_recording && bad.position == "byte 0"), "{bad:?}");
            assert_eq!(counts.records, 2, "{}", char::from(kind));
        }
        record.push(0);
        let (timed, bad, counts) = replayed([framed(&record), framed(&good)].concat());
        assert_eq!((timed.len(), bad.len(), counts.records), (1, 1, 2));
        assert!(bad[0].reason.contains(&format!("has {length} bytes")), "{}", bad[0]);
    }
}

#[test]
fn a_new_day_begins_with_empty_books() {
    let day = [message(b'S', 1, &[U8(b'O')]), add(2, 1, b'B', 300, 99_900)];
    let bytes: Vec<u8> = day.iter().chain(&day).flat_map(|message| framed(message)).collect();
    let (timed, bad, _) = replayed(bytes);
    assert_eq!(bad, []);
    let books: Vec<&Publication> =
        timed.iter().map(|timed| &timed.publication).filter(|it| it.topic.ends_with("book")).collect();
    assert_eq!(books.len(), 2);
    assert_eq!(books[0], books[1]);
}
