//! The beginning of a DBN file, and records of market by order. Tests make more of them.

use ::dbn::encode::dbn::MetadataEncoder;
use ::dbn::{
    FlagSet, HasRType, MappingInterval, MboMsg, Metadata, Record, RecordHeader, SType, Schema, SymbolMapping,
    UNDEF_PRICE, flags, rtype,
};

/// 2026-01-05 14:30 UTC.
pub(crate) const START_NS: u64 = 1_767_623_400_000_000_000;

/// The beginning of a file in which instrument 17 is XY.A, on that day and the next.
pub(crate) fn metadata(version: u8) -> Vec<u8> {
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

/// The head of the nth record.
pub(crate) fn header<T: HasRType>(rtype: u8, instrument_id: u32, nth: u64) -> RecordHeader {
    RecordHeader::new::<T>(rtype, 2, instrument_id, START_NS + nth)
}

/// A record of market by order. Its price is in quarters; 0 is none.
pub(crate) fn mbo(nth: u64, action: u8, side: u8, id: u64, quarters: i64, size: u32, last: bool) -> MboMsg {
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
