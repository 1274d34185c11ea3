//! Databento DBN: the recorded sample against the crate's own reader and a naive book, and made-up records.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use ::dbn::decode::dbn::Decoder;
use ::dbn::encode::dbn::MetadataEncoder;
use ::dbn::record::str_to_c_chars;
use ::dbn::{
    BboMsg, BidAskPair, FlagSet, InstrumentDefMsg, MappingInterval, MboMsg, Mbp1Msg, Mbp10Msg, Metadata, OhlcvMsg,
    Record, RecordHeader, SType, Schema, StatusMsg, SymbolMapping, SymbolMappingMsg, TradeMsg, UNDEF_PRICE, flags,
    rtype, v1,
};
use common::{all, apply, data, decimal, recording};
use feed_formats::find;
use feed_player::publication::{BadRecord, Counts, Publication, Timed};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// 2026-01-05 14:30 UTC.
const START_NS: u64 = 1_767_623_400_000_000_000;

fn replayed(bytes: Vec<u8>) -> (Vec<Timed>, Vec<BadRecord>, Counts) {
    all(find("dbn").expect("a format").of_bytes(bytes).expect("readable"))
}

/// The beginning of a file in which 17 is XY.A, on that day and the next.
fn metadata(version: u8) -> Vec<u8> {
    let day = MboMsg { ts_recv: START_NS, ..MboMsg::default() }.index_date().expect("a date");
    let interval = MappingInterval {
        start_date: day,
        end_date: day.next_day().and_then(|day| day.next_day()).expect("a date"),
        symbol: "17".to_owned(),
    };
    let metadata = Metadata::builder()
        .version(version)
        .dataset("XNAS.ITCH".to_owned())
        .schema(Some(Schema::Mbo))
        .start(START_NS)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .mappings(vec![SymbolMapping { raw_symbol: "XY.A".to_owned(), intervals: vec![interval] }])
        .build();
    let mut bytes = Vec::new();
    MetadataEncoder::new(&mut bytes).encode(&metadata).expect("it is written");
    bytes
}

fn file(records: &[&[u8]]) -> Vec<u8> {
    [&[metadata(3).as_slice()], records].concat().concat()
}

fn header<T: ::dbn::HasRType>(rtype: u8, instrument_id: u32, nth: u64) -> RecordHeader {
    RecordHeader::new::<T>(rtype, 2, instrument_id, START_NS + nth)
}

/// Prices in units of 0.25.
fn mbo(nth: u64, action: u8, side: u8, id: u64, quarters: i64, size: u32, last: bool) -> MboMsg {
    MboMsg {
        hd: header::<MboMsg>(rtype::MBO, 17, nth),
        order_id: id,
        price: if quarters == 0 { UNDEF_PRICE } else { quarters * 250_000_000 },
        size,
        flags: FlagSet::new(if last { flags::LAST } else { 0 }),
        action: action as _,
        side: side as _,
        ts_recv: START_NS + nth * 1_000_000,
        sequence: nth as u32,
        ..MboMsg::default()
    }
}

fn lines(timed: &[Timed]) -> Vec<(&str, &str, Value)> {
    timed
        .iter()
        .map(|Timed { publication, .. }| {
            let mut data = data(publication);
            let members = data.as_object_mut().expect("an object");
            for name in ["venue_ts", "venue_ts_ns", "venue_seq"] {
                members.remove(name);
            }
            (publication.topic.as_str(), publication.kind.as_str(), data)
        })
        .collect()
}

#[test]
fn a_book_from_market_by_order() {
    let records = [
        mbo(1, b'R', b'N', 0, 0, 0, false),
        mbo(1, b'A', b'B', 1, 400, 10, false),
        mbo(1, b'A', b'A', 2, 401, 5, true),
        mbo(2, b'T', b'B', 0, 401, 3, false),
        mbo(2, b'F', b'A', 2, 401, 3, false),
        mbo(2, b'C', b'A', 2, 401, 3, true),
        mbo(3, b'M', b'B', 1, 399, 12, true),
        // From before the recording: the change makes it known.
        mbo(4, b'C', b'B', 8, 399, 1, true),
        mbo(5, b'M', b'B', 9, 398, 1, true),
        mbo(6, b'R', b'N', 0, 0, 0, true),
        mbo(7, b'A', b'A', 3, -1, 5, true),
    ];
    let records: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
    let (timed, bad, counts) = replayed(file(&records));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 11, venue_gaps: 2, ..Counts::default() });
    let quote = |bid: Option<(&str, &str)>, ask: Option<(&str, &str)>| {
        let ((bid, bid_qty), (ask, ask_qty)) = (bid.unzip(), ask.unzip());
        ("dbn.XY_A.quote", "state", json!({"bid": bid, "bid_qty": bid_qty, "ask": ask, "ask_qty": ask_qty}))
    };
    let book = |kind, data| ("dbn.XY_A.book", kind, data);
    let expected = [
        book("state", json!({"bids":{"100.00":"10"},"asks":{"100.25":"5"}})),
        quote(Some(("100.00", "10")), Some(("100.25", "5"))),
        ("dbn.XY_A.trade", "event", json!({"id":4,"px":"100.25","qty":"3","side":"buy"})),
        book("patch", json!({"asks":{"100.25":"2"}})),
        quote(Some(("100.00", "10")), Some(("100.25", "2"))),
        book("patch", json!({"bids":{"100.00":null,"99.75":"12"}})),
        quote(Some(("99.75", "12")), Some(("100.25", "2"))),
        book("patch", json!({"bids":{"99.50":"1"}})),
        book("state", json!({"bids":{},"asks":{}})),
        quote(None, None),
        book("patch", json!({"asks":{"-0.25":"5"}})),
        quote(None, Some(("-0.25", "5"))),
    ];
    assert_eq!(lines(&timed), expected);
    assert!(
        timed[2]
            .publication
            .data
            .ends_with(r#","venue_ts":1767623400000000,"venue_ts_ns":"1767623400000000002","venue_seq":2}"#)
    );
    assert_eq!(timed.last().expect("some").due_us, 6_000);
}

#[test]
fn the_other_schemas() {
    let level = |bid: i64, ask: i64| BidAskPair {
        bid_px: bid * 1_000_000_000,
        ask_px: if ask == 0 { UNDEF_PRICE } else { ask * 1_000_000_000 },
        bid_sz: 7,
        ask_sz: 8,
        ..BidAskPair::default()
    };
    let trade = TradeMsg {
        hd: header::<TradeMsg>(rtype::MBP_0, 17, 1),
        price: 1_500_000_000,
        size: 4,
        action: b'T' as _,
        side: b'N' as _,
        ..TradeMsg::default()
    };
    let mbp = Mbp1Msg {
        hd: header::<Mbp1Msg>(rtype::MBP_1, 17, 2),
        price: 1_000_000_000,
        size: 2,
        action: b'T' as _,
        side: b'A' as _,
        levels: [level(1, 2)],
        ..Mbp1Msg::default()
    };
    let bbo = BboMsg {
        hd: header::<BboMsg>(rtype::BBO_1S, 17, 3),
        levels: [level(1, 0)],
        ..BboMsg::default_for_schema(Schema::Bbo1S)
    };
    let mut levels: [BidAskPair; 10] = Default::default();
    (levels[0], levels[1]) = (level(5, 6), level(4, 7));
    for pair in &mut levels[2..] {
        (pair.bid_px, pair.ask_px) = (UNDEF_PRICE, UNDEF_PRICE);
    }
    let ten = Mbp10Msg {
        hd: header::<Mbp10Msg>(rtype::MBP_10, 17, 4),
        action: b'A' as _,
        flags: FlagSet::new(flags::LAST),
        levels,
        ..Mbp10Msg::default()
    };
    let bar = |rtype: u8| OhlcvMsg {
        hd: header::<OhlcvMsg>(rtype, 17, 5_000),
        open: 2_000_000_000,
        high: 3_000_000_000,
        low: 1_000_000_000,
        close: 2_500_000_000,
        volume: 1 << 60,
    };
    let status =
        |action: u16| StatusMsg { hd: header::<StatusMsg>(rtype::STATUS, 17, 6), action, ..StatusMsg::default() };
    let definition = InstrumentDefMsg {
        hd: header::<InstrumentDefMsg>(rtype::INSTRUMENT_DEF, 99, 7),
        raw_symbol: str_to_c_chars("ESM6").expect("it fits"),
        min_price_increment: 250_000_000,
        ..InstrumentDefMsg::default()
    };
    let mapping = SymbolMappingMsg {
        hd: header::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 98, 8),
        stype_out_symbol: str_to_c_chars("NQM6").expect("it fits"),
        ..SymbolMappingMsg::default()
    };
    let other = |instrument_id: u32, publisher_id: u16| {
        let mut trade = trade.clone();
        (trade.hd.instrument_id, trade.hd.publisher_id) = (instrument_id, publisher_id);
        trade
    };
    let (nasdaq, elsewhere, nowhere) = (other(97, 2), other(17, 1), other(17, 65_000));
    let (bars, statuses) =
        ([bar(rtype::OHLCV_1S), bar(rtype::OHLCV_1D)], [status(7), status(8), status(14), status(12)]);
    let mut records: Vec<&[u8]> = vec![trade.as_ref(), mbp.as_ref(), bbo.as_ref(), ten.as_ref()];
    records.extend(bars.iter().map(AsRef::<[u8]>::as_ref));
    records.extend(statuses.iter().map(AsRef::<[u8]>::as_ref));
    let (by_definition, by_mapping) = (other(99, 2), other(98, 2));
    records.extend([definition.as_ref(), mapping.as_ref(), by_definition.as_ref(), by_mapping.as_ref()] as [&[u8]; 4]);
    records.extend([nasdaq.as_ref(), elsewhere.as_ref(), nowhere.as_ref()] as [&[u8]; 3]);
    let (timed, bad, counts) = replayed(file(&records));
    assert_eq!(bad, []);
    assert_eq!(counts, Counts { records: 17, ..Counts::default() });
    let bar = json!({"start":1_767_623_400_000_005u64,"open":"2.00","high":"3.00","low":"1.00","close":"2.50","volume":"1152921504606846976"});
    let trade = |topic, id: u64| (topic, "event", json!({"id":id,"px":"1.50","qty":"4"}));
    let expected = [
        trade("dbn.XY_A.trade", 1),
        ("dbn.XY_A.trade", "event", json!({"id":2,"px":"1.00","qty":"2","side":"sell"})),
        ("dbn.XY_A.quote", "state", json!({"bid":"1.00","bid_qty":"7","ask":"2.00","ask_qty":"8"})),
        ("dbn.XY_A.quote", "state", json!({"bid":"1.00","bid_qty":"7","ask":null,"ask_qty":null})),
        ("dbn.XY_A.book", "state", json!({"bids":{"5.00":"7","4.00":"7"},"asks":{"6.00":"8","7.00":"8"}})),
        ("dbn.XY_A.quote", "state", json!({"bid":"5.00","bid_qty":"7","ask":"6.00","ask_qty":"8"})),
        ("dbn.XY_A.bar_1s", "state", bar.clone()),
        ("dbn.XY_A.bar_1d", "state", bar),
        ("dbn.XY_A.status", "state", json!({"status":"open","action":7})),
        ("dbn.XY_A.status", "state", json!({"status":"halted","action":8})),
        ("dbn.XY_A.status", "state", json!({"status":"closed","action":12})),
        ("dbn.ESM6.definition", "state", json!({"symbol":"ESM6","instrument_id":99,"tick":"0.25"})),
        trade("dbn.ESM6.trade", 13),
        trade("dbn.NQM6.trade", 14),
        trade("dbn.97.trade", 15),
        trade("dbn.XY_A@GLBX.trade", 16),
        trade("dbn.XY_A@65000.trade", 17),
    ];
    for (line, expected) in lines(&timed).iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(timed.len(), expected.len());
}

#[test]
fn files_of_the_first_version() {
    let mapping = v1::SymbolMappingMsg {
        hd: header::<v1::SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 98, 1),
        stype_out_symbol: str_to_c_chars("NQM6").expect("it fits"),
        ..v1::SymbolMappingMsg::default()
    };
    let definition = v1::InstrumentDefMsg {
        hd: header::<v1::InstrumentDefMsg>(rtype::INSTRUMENT_DEF, 99, 2),
        raw_symbol: str_to_c_chars("ESM6").expect("it fits"),
        ..v1::InstrumentDefMsg::default()
    };
    let mut trade = TradeMsg { hd: header::<TradeMsg>(rtype::MBP_0, 98, 3), ..TradeMsg::default() };
    trade.price = 1;
    let bytes = [&metadata(1), mapping.as_ref(), definition.as_ref(), trade.as_ref()].concat();
    let (timed, bad, _) = replayed(bytes);
    assert_eq!(bad, []);
    let topics: Vec<&str> = timed.iter().map(|timed| timed.publication.topic.as_str()).collect();
    assert_eq!(topics, ["dbn.ESM6.definition", "dbn.NQM6.trade"]);
}

#[test]
fn bad_records_are_reported_skipped_and_counted() {
    let good = mbo(1, b'A', b'B', 1, 400, 10, true);
    let edited = |edit: fn(&mut [u8])| {
        let mut bytes: Vec<u8> = mbo(2, b'A', b'B', 2, 400, 10, true).as_ref().to_vec();
        edit(&mut bytes);
        bytes
    };
    let made = |message: MboMsg| message.as_ref().to_vec();
    let start = metadata(3).len() + good.as_ref().len();
    for (record, reason) in [
        (edited(|bytes| bytes[1] = 0xff), "no record type 0xff"),
        (edited(|bytes| bytes[1] = rtype::MBP_10), "type 0x0a has 368 bytes and this one 56"),
        (edited(|bytes| bytes[1] = rtype::INSTRUMENT_DEF), "type 0x13 has 520 bytes and this one 56"),
        (made(mbo(2, b'x', b'B', 2, 400, 10, true)), "no action 'x'"),
        (made(mbo(2, b'A', b'N', 2, 400, 10, true)), "no side"),
        (made(mbo(2, b'A', b'B', 2, 0, 10, true)), "no price"),
        (made(mbo(2, b'A', b'B', 2, 400, 0, true)), "quantity of 0"),
        (made(mbo(2, b'A', b'B', 1, 400, 1, true)), "order 1 is in the book already"),
        (made(mbo(2, b'C', b'B', 1, 400, 11, true)), "a quantity of 10, and 11"),
        (made(mbo(2, b'M', b'B', 1, 400, 0, true)), "quantity of 0"),
        (made(mbo(2, b'T', b'B', 0, 0, 1, true)), "the trade has no price"),
    ] {
        let (timed, bad, counts) =
            replayed(file(&[good.as_ref(), &record, mbo(3, b'C', b'B', 1, 400, 10, true).as_ref()]));
        assert_eq!((timed.len(), bad.len(), counts.records, counts.bad), (4, 1, 3, 1), "{reason}");
        assert!(bad[0].reason.contains(reason) && !bad[0].ends_recording, "{}", bad[0]);
        assert_eq!(bad[0].position, format!("byte {start}"));
    }
    // A length that no record has: nothing tells where the next one begins.
    for length in [0, 3, 13] {
        let mut record = made(mbo(2, b'A', b'B', 2, 400, 10, true));
        record[0] = length;
        let (timed, bad, counts) = replayed(file(&[good.as_ref(), &record, good.as_ref()]));
        assert_eq!((timed.len(), bad.len(), counts.records), (2, 1, 2));
        assert!(bad[0].ends_recording && bad[0].reason.contains("where the next one begins"), "{}", bad[0]);
    }
}

#[test]
fn a_recording_that_is_cut_says_so() {
    let (first, second) = (mbo(1, b'A', b'B', 1, 400, 10, true), mbo(2, b'A', b'B', 2, 400, 10, true));
    let bytes = file(&[first.as_ref(), second.as_ref()]);
    let begin = metadata(3).len();
    for cut in 0..bytes.len() {
        let feed = find("dbn").expect("a format").of_bytes(bytes[..cut].to_vec());
        assert_eq!(feed.is_ok(), cut >= begin, "{cut}");
        let Ok(feed) = feed else { continue };
        let (_, bad, _) = all(feed);
        assert_eq!(bad.len(), usize::from(!(cut - begin).is_multiple_of(56)), "{cut}");
        assert!(bad.iter().all(|bad| bad.ends_recording));
    }
    for (text, reason) in [
        ("DBZ.....", "does not begin"),
        ("DBN\x03\u{7f}\u{7f}\u{7f}\u{7f}", "more than"),
        ("DBN\u{63}\0\x02\0\0", "middle"),
    ] {
        let error = find("dbn").expect("a format").of_bytes(text.into()).err().expect("no DBN");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// An order of the naive book.
struct Resting {
    id: u64,
    bid: bool,
    price: i64,
    size: u32,
}

fn px(price: i64) -> String {
    let text = format!("{}.{:09}", price / 1_000_000_000, price % 1_000_000_000);
    let all_but_two = text.len() - 7;
    format!("{}{}", &text[..all_but_two], text[all_but_two..].trim_end_matches('0'))
}

#[test]
fn the_recorded_burst() {
    let Some(path) = recording("databento_mbo_2s.dbn.zst") else { return };
    let mut feed = find("dbn").expect("a format").open(&path).expect("it opens");
    let mut published: BTreeMap<u64, Vec<Publication>> = BTreeMap::new();
    while let Some(item) = feed.next() {
        published.entry(feed.counts().records).or_default().push(item.expect("no bad record").publication);
    }
    let counts = feed.counts();

    // The crate's own reader, from compressed bytes to the last record, and a list of orders.
    let file = zstd::stream::read::Decoder::new(File::open(&path).expect("it opens")).expect("zstd");
    let mut decoder = Decoder::new(file).expect("DBN");
    let (mut orders, mut record, mut compared, mut trades) = (Vec::<Resting>::new(), 0, 0, 0);
    let (mut book, mut quote, mut kinds) = (Value::Null, Value::Null, HashMap::new());
    while let Some(message) = decoder.decode_ref().expect("a record") {
        let mbo = message.get::<MboMsg>().expect("market by order");
        record += 1;
        match mbo.action as u8 {
            b'A' => {
                orders.push(Resting { id: mbo.order_id, bid: mbo.side as u8 == b'B', price: mbo.price, size: mbo.size })
            }
            b'C' => {
                let order = orders.iter_mut().find(|order| order.id == mbo.order_id).expect("it is known");
                order.size -= mbo.size;
                orders.retain(|order| order.size > 0);
            }
            b'M' => {
                let order = orders.iter_mut().find(|order| order.id == mbo.order_id).expect("it is known");
                (order.price, order.size) = (mbo.price, mbo.size);
            }
            b'R' => orders.clear(),
            _ => {}
        }
        let mut traded = false;
        for publication in published.remove(&record).unwrap_or_default() {
            *kinds.entry((publication.topic.clone(), publication.kind)).or_insert(0) += 1;
            let data = data(&publication);
            assert_eq!(data["venue_ts_ns"], json!(mbo.hd.ts_event.to_string()));
            assert!(publication.data.len() < 65_000);
            match publication.topic.as_str() {
                "dbn.ESM4.book" => apply(&mut book, &publication),
                "dbn.ESM4.quote" => quote = data,
                "dbn.ESM4.trade" => {
                    traded = true;
                    assert_eq!((&data["px"], &data["qty"]), (&json!(px(mbo.price)), &json!(mbo.size.to_string())));
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(traded, mbo.action as u8 == b'T');
        trades += u64::from(traded);
        if !mbo.flags.is_last() {
            continue;
        }
        let mut best = Vec::new();
        for (name, bid) in [("bid", true), ("ask", false)] {
            let mut levels: BTreeMap<i64, u64> = BTreeMap::new();
            for order in orders.iter().filter(|order| order.bid == bid) {
                *levels.entry(order.price).or_default() += u64::from(order.size);
            }
            let (price, size) = if bid { levels.last_key_value() } else { levels.first_key_value() }.expect("a level");
            assert_eq!(quote[name], json!(px(*price)));
            assert_eq!(quote[format!("{name}_qty")], json!(size.to_string()));
            best.push(decimal(&quote[name]));
            let levels: Map<String, Value> =
                levels.iter().map(|(price, size)| (px(*price), json!(size.to_string()))).collect();
            assert_eq!(book[format!("{name}s")].as_object(), Some(&levels), "record {record}");
            compared += levels.len();
        }
        assert!(best[0] < best[1], "the book is crossed at record {record}");
    }
    assert_eq!(published, BTreeMap::new());
    assert_eq!((record, trades), (13_796, 5));
    assert_eq!(counts, Counts { records: record, ..Counts::default() });
    assert!(compared > 100_000, "{compared} levels were compared");
}

proptest! {
    /// Whatever is in a file: it is no DBN, or every record is counted once, and what goes out is JSON.
    #[test]
    fn damaged_recordings(edits in prop::collection::vec((any::<u16>(), any::<u8>()), 0..12), only_records: bool) {
        let records: Vec<MboMsg> = (1..20).map(|nth| mbo(nth, b"ARCMTF"[nth as usize % 6], b'B', 1, 400, 10, true)).collect();
        let records: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
        let mut bytes = file(&records);
        let from = if only_records { metadata(3).len() } else { 0 };
        for (at, byte) in edits {
            let at = from + usize::from(at) % (bytes.len() - from);
            bytes[at] = byte;
        }
        if let Ok(feed) = find("dbn").expect("a format").of_bytes(bytes) {
            let (timed, bad, counts) = all(feed);
            prop_assert_eq!(counts.bad, bad.len() as u64);
            for timed in &timed {
                data(&timed.publication);
            }
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let (timed, bad, counts) = replayed(file(&[&bytes]));
        prop_assert_eq!(counts.bad, bad.len() as u64);
        for timed in &timed {
            data(&timed.publication);
        }
    }
}
