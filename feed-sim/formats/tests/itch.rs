//! NASDAQ TotalView-ITCH: the recorded sample against a naive rebuild, and made-up messages of every type.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::io::Read;

use common::{all, apply, data, recording};
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Publication, Timed};
use proptest::prelude::*;
use serde_json::{Value, json};

/// All types of the specification with their lengths, prefix not counted.
const LENGTHS: [(u8, usize); 23] = [
    (b'S', 12),
    (b'R', 39),
    (b'H', 25),
    (b'Y', 20),
    (b'L', 26),
    (b'V', 35),
    (b'W', 12),
    (b'K', 28),
    (b'J', 35),
    (b'h', 21),
    (b'A', 36),
    (b'F', 40),
    (b'E', 31),
    (b'C', 36),
    (b'X', 23),
    (b'D', 19),
    (b'U', 35),
    (b'P', 44),
    (b'Q', 40),
    (b'B', 19),
    (b'I', 50),
    (b'N', 20),
    (b'O', 48),
];

/// How long a message of that type is.
fn length(kind: u8) -> usize {
    LENGTHS.iter().find(|(known, _)| *known == kind).expect("a type").1
}

fn replayed(bytes: Vec<u8>) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("itch").expect("a format").of_bytes(bytes).expect("readable"))
}

/// A field of a message that is made up.
enum Field<'a> {
    U8(u8),
    U32(u32),
    U64(u64),
    /// Filled up with blanks.
    Text(&'a str, usize),
}
use Field::{Text, U8, U32, U64};

/// A message of stock 7 with these fields, and zeros up to the length of its type.
fn message(kind: u8, time_ns: u64, fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 7, 0, 0];
    bytes.extend_from_slice(&time_ns.to_be_bytes()[2..]);
    for field in fields {
        match field {
            U8(byte) => bytes.push(*byte),
            U32(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            U64(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Text(text, width) => bytes.extend_from_slice(format!("{text:<width$}").as_bytes()),
        }
    }
    assert!(bytes.len() <= length(kind), "{}", char::from(kind));
    bytes.resize(length(kind), 0);
    bytes
}

/// With its length before it, as the exchange's files have it.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// With 00 00 before it.
fn unframed(message: &[u8]) -> Vec<u8> {
    [&[0, 0], message].concat()
}

fn add(time_ns: u64, order: u64, side: u8, shares: u32, price: u32) -> Vec<u8> {
    message(b'A', time_ns, &[U64(order), U8(side), U32(shares), Text("XY.A", 8), U32(price)])
}

/// A day with each type that publishes something, one after the other.
fn day() -> Vec<Vec<u8>> {
    vec![
        message(b'S', 1, &[U8(b'O')]),
        message(b'R', 2, &[Text("XY.A", 8), U8(b'Q'), U8(b'N'), U32(100), Text("NCZ PNN1N", 9)]),
        message(b'H', 3, &[Text("XY.A", 8), U8(b'T'), U8(b' '), Text("IPO1", 4)]),
        message(b'S', 4, &[U8(b'Q')]),
        add(5, 1, b'B', 300, 99_900),
        message(b'F', 6, &[U64(2), U8(b'S'), U32(200), Text("XY.A", 8), U32(100_100), Text("MAKR", 4)]),
        message(b'E', 7, &[U64(2), U32(50), U64(901)]),
        message(b'C', 8, &[U64(2), U32(50), U64(902), U8(b'N'), U32(100_050)]),
        message(b'X', 9, &[U64(1), U32(100)]),
        message(b'U', 10, &[U64(1), U64(3), U32(400), U32(99_800)]),
        message(b'P', 11, &[U64(0), U8(b'B'), U32(10), Text("XY.A", 8), U32(100_000), U64(1 << 53)]),
        message(b'Q', 12, &[U64(5_000_000_000), Text("XY.A", 8), U32(100_000), U64(904), U8(b'O')]),
        message(b'Q', 13, &[U64(0), Text("XY.A", 8), U32(0), U64(905), U8(b'C')]),
        message(b'B', 14, &[U64(901)]),
        message(b'I', 15, &[U64(10), U64(20), U8(b'B'), Text("XY.A", 8), U32(1), U32(2), U32(3), U8(b'C'), U8(b'L')]),
        message(b'D', 16, &[U64(3)]),
        message(b'H', 17, &[Text("XY.A", 8), U8(b'P'), U8(b' '), Text("LUDP", 4)]),
        message(b'S', 18, &[U8(b'M')]),
    ]
}

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
        // Letters everywhere, so that codes and symbols are in order as far as they can be.
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
fn bad_records_are_reported_skipped_and_counted() {
    let begin = [framed(&message(b'S', 1, &[U8(b'O')])), framed(&add(1, 1, b'B', 300, 99_900))].concat();
    let position = format!("byte {}", begin.len());
    let end = framed(&add(9, 2, b'S', 300, 100_900));
    let order = |kind: u8, order: u64, shares: u32| message(kind, 2, &[U64(order), U32(shares)]);
    for (record, reason) in [
        (vec![b'Z', 1, 2], "no message type 'Z'"),
        (message(b'S', 24 * 3_600 * 1_000_000_000, &[U8(b'O')]), "no time of day"),
        (message(b'S', 2, &[U8(b'o')]), "no system event 'o'"),
        (message(b'H', 2, &[Text("XY.A", 8), U8(b'x')]), "no trading state 'x'"),
        (add(2, 9, b'b', 1, 1), "no side 'b'"),
        (add(2, 9, b'B', 0, 1), "quantity of 0"),
        (add(2, 1, b'B', 1, 1), "order 1 is in the book already"),
        (order(b'E', 1, 301), "a quantity of 300, and 301"),
        (order(b'X', 1, 301), "a quantity of 300, and 301"),
        (message(b'U', 2, &[U64(1), U64(1), U32(0), U32(1)]), "quantity of 0"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), Text("OTHER", 8), U32(1)]), "stock 7 is XY.A and not OTHER"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), U64(u64::MAX)]), "is no text"),
        (message(b'A', 2, &[U64(9), U8(b'B'), U32(1), Text("", 8)]), "no symbol"),
        (message(b'C', 2, &[U64(1), U32(1), U64(1), U8(b'?')]), "no printable '?'"),
        ([&[b'D', 0, 8], &message(b'D', 2, &[U64(1)])[3..]].concat(), "what stock 8 is"),
    ] {
        let (timed, bad, counts) = replayed([begin.clone(), framed(&record), end.clone()].concat());
        assert_eq!(bad.len(), 1, "{reason}");
        assert!(bad[0].reason.contains(reason) && !bad[0].ends_recording, "{}", bad[0]);
        assert_eq!(bad[0].position, position);
        assert_eq!((counts.records, counts.bad, counts.venue_gaps), (4, 1, 0));
        // The book is as if it had not been there.
        let mut book = Value::Null;
        timed
            .iter()
            .filter(|it| it.publication.topic.ends_with("book"))
            .for_each(|it| apply(&mut book, &it.publication));
        assert_eq!(book, json!({"bids":{"9.9900":"300"},"asks":{"10.0900":"300"},"venue_time_ns":9}));
    }
}

#[test]
fn orders_from_before_the_recording_are_gaps() {
    let bytes = [
        add(1, 1, b'B', 300, 99_900),
        message(b'E', 2, &[U64(9), U32(1), U64(50)]),
        message(b'C', 3, &[U64(9), U32(5), U64(51), U8(b'Y'), U32(99_900)]),
        message(b'X', 4, &[U64(9), U32(1)]),
        message(b'D', 5, &[U64(9)]),
        message(b'U', 6, &[U64(9), U64(10), U32(1), U32(1)]),
    ];
    let (timed, bad, counts) = replayed(bytes.iter().flat_map(|message| framed(message)).collect());
    assert_eq!(bad, []);
    assert_eq!((counts.records, counts.venue_gaps), (6, 5));
    // Of a trade with a price it is known that it happened.
    assert_eq!(timed.len(), 3);
    assert_eq!(data(&timed[2].publication), json!({"id":51,"px":"9.9900","qty":"5","venue_time_ns":3}));
}

#[test]
fn framing_that_is_lost_ends_the_recording() {
    let good = framed(&message(b'S', 1, &[U8(b'Q')]));
    let (timed, bad, counts) = replayed([&good[..], &[0, 0, b'z'], &good[..]].concat());
    assert_eq!((timed.len(), counts.records), (1, 2));
    assert!(bad[0].ends_recording && bad[0].reason.contains("where the next record begins is unknown"), "{}", bad[0]);

    // A length of 0 at the end is the exchange's mark for it.
    let (timed, bad, counts) = replayed([&good[..], &[0, 0]].concat());
    assert_eq!((timed.len(), bad.len(), counts.records), (1, 0, 1));

    // Text instead of a recording.
    let (timed, bad, counts) = replayed(b"0123456789abcdef".repeat(4_000_000));
    assert_eq!(timed.len(), 0);
    assert!(counts.records <= 1_000);
    assert!(bad.last().is_some_and(|bad| bad.ends_recording));
}

#[test]
fn a_recording_that_is_cut_says_so() {
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for (nth, message) in day().iter().enumerate() {
        bytes.extend(if nth % 2 == 0 { framed(message) } else { unframed(message) });
        ends.push(bytes.len());
    }
    let (whole, ..) = replayed(bytes.clone());
    for cut in 0..bytes.len() {
        let (timed, bad, _) = replayed(bytes[..cut].to_vec());
        assert_eq!(timed, whole[..timed.len()]);
        // After the two zeros of a record of the second kind it looks like the exchange's mark for the end.
        let looks_whole =
            ends.contains(&cut) || (cut >= 2 && ends.contains(&(cut - 2)) && bytes[cut - 2..cut] == [0, 0]);
        assert_eq!(bad.len(), usize::from(!looks_whole), "{cut}");
        assert!(bad.iter().all(|bad| bad.ends_recording));
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

/// An order of the naive rebuild.
struct Resting {
    id: u64,
    stock: u16,
    bid: bool,
    shares: u32,
    price: u32,
}

/// The levels of a stock, summed up anew from all orders.
fn levels(orders: &[Resting], stock: u16, bid: bool) -> BTreeMap<u32, u64> {
    let mut levels = BTreeMap::new();
    for order in orders.iter().filter(|order| order.stock == stock && order.bid == bid) {
        *levels.entry(order.price).or_insert(0) += u64::from(order.shares);
    }
    levels
}

fn px(price: u32) -> String {
    format!("{}.{:04}", price / 10_000, price % 10_000)
}

#[test]
fn the_recorded_sample() {
    let Some(path) = recording("itch50_example.gz") else { return };
    let mut raw = Vec::new();
    let file = std::fs::File::open(&path).expect("it opens");
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut raw).expect("it is whole");

    // What each record published.
    let mut feed = find("itch").expect("a format").open(&path).expect("it opens");
    let mut published: BTreeMap<u64, Vec<Publication>> = BTreeMap::new();
    while let Some(item) = feed.next() {
        published.entry(feed.counts().records).or_default().push(item.expect("no bad record").publication);
    }
    assert_eq!(feed.counts(), Counts { records: 12_012, bad: 0, superseded: 0, venue_gaps: 117, ..Counts::default() });

    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    let (mut orders, mut names) = (Vec::<Resting>::new(), BTreeMap::new());
    let (mut books, mut quotes): (BTreeMap<u16, Value>, BTreeMap<u16, Value>) = Default::default();
    let (mut rest, mut record, mut gaps, mut compared, mut trades) = (&raw[..], 0, 0, 0, 0);
    while !rest.is_empty() {
        let (message, next) = rest[2..].split_at(length(rest[2]));
        rest = next;
        record += 1;
        let stock = number(&message[1..3]) as u16;
        let at = |id: u64, orders: &[Resting]| orders.iter().position(|order| order.id == id);
        let id = number(&message[11..19.min(message.len())]);
        let mut trade = None;
        match message[0] {
            b'R' => {
                let name = str::from_utf8(&message[11..19]).expect("a symbol").trim_end();
                names.insert(stock, name.to_owned());
            }
            b'A' | b'F' => orders.push(Resting {
                id,
                stock,
                bid: message[19] == b'B',
                shares: number(&message[20..24]) as u32,
                price: number(&message[32..36]) as u32,
            }),
            kind @ (b'E' | b'X') => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => {
                    let shares = number(&message[19..23]) as u32;
                    if kind == b'E' {
                        let side = if orders[at].bid { "sell" } else { "buy" };
                        trade = Some(
                            json!({"id": number(&message[23..31]), "px": px(orders[at].price), "qty": shares.to_string(), "side": side}),
                        );
                    }
                    orders[at].shares -= shares;
                    orders.retain(|order| order.shares > 0);
                }
            },
            b'D' => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => _ = orders.remove(at),
            },
            b'U' => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => {
                    let bid = orders.remove(at).bid;
                    let (shares, price) = (number(&message[27..31]) as u32, number(&message[31..35]) as u32);
                    orders.push(Resting { id: number(&message[19..27]), stock, bid, shares, price });
                }
            },
            b'P' => {
                let price = px(number(&message[32..36]) as u32);
                let qty = number(&message[20..24]).to_string();
                trade = Some(json!({"id": number(&message[36..44]), "px": price, "qty": qty, "hidden": true}));
            }
            _ => {}
        }
        for publication in published.remove(&record).unwrap_or_default() {
            if publication.topic == "itch.system" {
                continue;
            }
            let (name, what) = publication.topic["itch.".len()..].split_once('.').expect("three segments");
            assert_eq!(name, names[&stock]);
            match what {
                "book" => apply(books.entry(stock).or_default(), &publication),
                "quote" => _ = quotes.insert(stock, data(&publication)),
                "trade" => {
                    let mut expected = trade.take().expect("the record is a trade");
                    expected["venue_time_ns"] = json!(number(&message[5..11]));
                    assert_eq!(data(&publication), expected);
                    trades += 1;
                }
                _ => {}
            }
        }
        assert_eq!(trade, None, "each trade was published");
        let Some(book) = books.get(&stock) else { continue };
        for (side, bid) in [("bids", true), ("asks", false)] {
            let levels = levels(&orders, stock, bid);
            let best = if bid { levels.last_key_value() } else { levels.first_key_value() };
            let quote = &quotes[&stock];
            let name = if bid { "bid" } else { "ask" };
            assert_eq!(quote[name], json!(best.map(|(price, _)| px(*price))), "record {record}");
            assert_eq!(quote[format!("{name}_qty")], json!(best.map(|(_, shares)| shares.to_string())));
            // The whole book costs more than the rest: that of each 64th record and of the last one will do.
            if !record.is_multiple_of(64) && !rest.is_empty() {
                continue;
            }
            let levels: serde_json::Map<String, Value> =
                levels.into_iter().map(|(price, shares)| (px(price), json!(shares.to_string()))).collect();
            assert_eq!(book[side].as_object(), Some(&levels), "record {record}");
            compared += levels.len();
        }
    }
    assert_eq!(published, BTreeMap::new());
    assert_eq!((record, gaps, books.len()), (12_012, 117, 3));
    assert!(trades > 5_000 && compared > 10_000, "{trades} trades and {compared} levels were compared");
}

proptest! {
    /// Whatever is in a file: every record is counted once, and what goes out is JSON.
    #[test]
    fn damaged_recordings(edits in prop::collection::vec((0..1_000usize, any::<u8>()), 0..20), zeros: bool) {
        let frame = if zeros { unframed } else { framed };
        let mut bytes: Vec<u8> = day().iter().flat_map(|message| frame(message)).collect();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let (timed, bad, counts) = replayed(bytes);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let (timed, bad, counts) = replayed(bytes);
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
