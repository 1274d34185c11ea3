//! Each schema, and files of the first version.

use ::dbn::record::str_to_c_chars;
use ::dbn::{
    BboMsg, BidAskPair, FlagSet, InstrumentDefMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, Schema, StatusMsg, SymbolMappingMsg,
    TradeMsg, UNDEF_PRICE, flags, rtype, v1,
};
use feed_formats::find;
use feed_player::publication::{Counts, Timed};
use serde_json::{Value, json};

use crate::common::{all, data, synthetic};
use crate::records::{header, metadata};
use crate::{file, replayed};

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
    let recording = find("dbn").expect("a format").open(&synthetic("databento_mbo.dbn"));
    let (timed, bad, counts) = all(recording.expect("it opens"));
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
