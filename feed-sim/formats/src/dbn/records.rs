//! The fields of records that are used.

use ::dbn::{
    BboMsg, BidAskPair, HasRType, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, RType, Record, RecordHeader,
    RecordRef, StatusAction, StatusMsg, SymbolMappingMsg, TradeMsg, UNDEF_PRICE, UNDEF_TIMESTAMP, rtype, v1, v2,
};

use crate::levels::{Level, Side};

/// A record. Times are nanoseconds since the UNIX epoch, prices have nine decimals.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) publisher_id: u16,
    pub(super) instrument_id: u32,
    /// The venue's own time.
    pub(super) event_ns: u64,
    /// The time that orders the records: when they were received, if that is known.
    pub(super) time_ns: u64,
    pub(super) sequence: Option<u32>,
    pub(super) body: Body,
}

/// The content of a record.
#[derive(Debug)]
pub(super) enum Body {
    Order(OrderRecord),
    Trade(Traded),
    /// The best levels, bid and ask, and the trade that led to them, if any.
    Quote([Option<Level>; 2], Option<Traded>),
    /// The levels of both sides, the best first.
    Book {
        sides: [Vec<Level>; 2],
        trade: Option<Traded>,
        last: bool,
    },
    Bar {
        what: &'static str,
        prices: [i64; 4],
        volume: u64,
    },
    Status {
        action: u16,
        status: Option<&'static str>,
    },
    Definition {
        symbol: String,
        tick: i64,
    },
    Mapping(String),
    Nothing,
}

/// A trade, with the side of the aggressor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traded {
    pub(super) price: i64,
    pub(super) qty: u64,
    pub(super) aggressor: Option<Side>,
}

/// A change of an order in market by order.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderRecord {
    pub(super) action: u8,
    pub(super) order_id: u64,
    pub(super) side: Option<Side>,
    /// `None` if the record has no price.
    pub(super) price: Option<i64>,
    pub(super) size: u32,
    /// Whether it is the last record of an event.
    pub(super) last: bool,
    /// Whether it is about the best level of its side and not about an order.
    pub(super) top_of_book: bool,
}

impl Content {
    /// Reads a record from a file of this version.
    pub(super) fn of(record: RecordRef<'_>, version: u8) -> Result<Content, String> {
        let header = record.header();
        let content = |body: Body, received_ns: Option<u64>, sequence: Option<u32>| Content {
            publisher_id: header.publisher_id,
            instrument_id: header.instrument_id,
            event_ns: header.ts_event,
            time_ns: received_ns.filter(|&ns| ns != UNDEF_TIMESTAMP).unwrap_or(header.ts_event),
            sequence,
            body,
        };
        if let Some(mbo) = view::<MboMsg>(&record)? {
            return Ok(content(order(mbo)?, Some(mbo.ts_recv), Some(mbo.sequence)));
        }
        if let Some(trade) = view::<TradeMsg>(&record)? {
            let body = Body::Trade(traded(trade.price, trade.size, trade.side));
            return Ok(content(body, Some(trade.ts_recv), Some(trade.sequence)));
        }
        if let Some(mbp) = view::<Mbp1Msg>(&record)? {
            let trade = (mbp.action as u8 == b'T').then(|| traded(mbp.price, mbp.size, mbp.side));
            return Ok(content(Body::Quote(best(&mbp.levels[0]), trade), Some(mbp.ts_recv), Some(mbp.sequence)));
        }
        if let Some(mbp) = view::<Mbp10Msg>(&record)? {
            let trade = (mbp.action as u8 == b'T').then(|| traded(mbp.price, mbp.size, mbp.side));
            let sides = [0, 1].map(|side| mbp.levels.iter().filter_map(|pair| best(pair)[side]).collect());
            let body = Body::Book { sides, trade, last: mbp.flags.is_last() };
            return Ok(content(body, Some(mbp.ts_recv), Some(mbp.sequence)));
        }
        if let Some(bbo) = view::<BboMsg>(&record)? {
            return Ok(content(Body::Quote(best(&bbo.levels[0]), None), Some(bbo.ts_recv), Some(bbo.sequence)));
        }
        if let Some(bar) = view::<OhlcvMsg>(&record)? {
            let what = match header.rtype {
                rtype::OHLCV_1S => "bar_1s",
                rtype::OHLCV_1M => "bar_1m",
                rtype::OHLCV_1H => "bar_1h",
                _ => "bar_1d",
            };
            let prices = [bar.open, bar.high, bar.low, bar.close];
            return Ok(content(Body::Bar { what, prices, volume: bar.volume }, None, None));
        }
        if let Some(status) = view::<StatusMsg>(&record)? {
            let action = status.action;
            return Ok(content(Body::Status { action, status: status_of(action)? }, Some(status.ts_recv), None));
        }
        match header.rtype {
            rtype::INSTRUMENT_DEF => {
                let (symbol, tick, received_ns) = definition(&record, version)?;
                Ok(content(Body::Definition { symbol, tick }, Some(received_ns), None))
            }
            rtype::SYMBOL_MAPPING => Ok(content(Body::Mapping(mapping(&record, version)?), None, None)),
            other => match RType::try_from(other) {
                Ok(_) => Ok(content(Body::Nothing, None, None)),
                Err(_) => Err(format!("there is no record type {other:#04x}")),
            },
        }
    }
}

/// Returns the record as one of that type, if it is one. An error if it is too short for its type.
fn view<'a, T: HasRType<Header = RecordHeader>>(record: &RecordRef<'a>) -> Result<Option<&'a T>, String> {
    let (length, needed) = (record.record_size(), size_of::<T>());
    if record.has::<T>() && length < needed {
        return Err(format!(
            "a record of type {:#04x} has {needed} bytes, but this one has {length}",
            record.header().rtype
        ));
    }
    Ok(record.get::<T>())
}

fn order(mbo: &MboMsg) -> Result<Body, String> {
    let action = mbo.action as u8;
    if !b"ACMRTFN".contains(&action) {
        return Err(format!("there is no action {:?}", char::from(action)));
    }
    if action == b'T' {
        return Ok(Body::Trade(traded(mbo.price, mbo.size, mbo.side)));
    }
    Ok(Body::Order(OrderRecord {
        action,
        order_id: mbo.order_id,
        side: side(mbo.side),
        price: (mbo.price != UNDEF_PRICE).then_some(mbo.price),
        size: mbo.size,
        last: mbo.flags.is_last(),
        top_of_book: mbo.flags.is_tob(),
    }))
}

fn traded(price: i64, size: u32, aggressor: std::ffi::c_char) -> Traded {
    Traded { price, qty: u64::from(size), aggressor: side(aggressor) }
}

fn side(code: std::ffi::c_char) -> Option<Side> {
    match code as u8 {
        b'B' => Some(Side::Bid),
        b'A' => Some(Side::Ask),
        _ => None,
    }
}

/// Returns the bid and the ask of a level.
fn best(pair: &BidAskPair) -> [Option<Level>; 2] {
    let level =
        |price: i64, qty: u32| (price != UNDEF_PRICE && qty > 0).then_some(Level { price, qty: u64::from(qty) });
    [level(pair.bid_px, pair.bid_sz), level(pair.ask_px, pair.ask_sz)]
}

/// Returns the status of trading; `None` if the record is about something else.
fn status_of(action: u16) -> Result<Option<&'static str>, String> {
    let action = StatusAction::try_from(action).map_err(|_| format!("there is no status action {action}"))?;
    Ok(match action {
        StatusAction::PreOpen => Some("pre_open"),
        StatusAction::PreCross
        | StatusAction::Quoting
        | StatusAction::Cross
        | StatusAction::Rotation
        | StatusAction::NewPriceIndication
        | StatusAction::PreClose => Some("auction"),
        StatusAction::Trading => Some("open"),
        StatusAction::Halt | StatusAction::Pause | StatusAction::Suspend | StatusAction::NotAvailableForTrading => {
            Some("halted")
        }
        StatusAction::Close | StatusAction::PostClose => Some("closed"),
        _ => None,
    })
}

/// Reads symbol, tick and receive time. These are the same in all three versions; only the lengths differ.
fn definition(record: &RecordRef<'_>, version: u8) -> Result<(String, i64, u64), String> {
    let (symbol, tick, received_ns) = match version {
        1 => view::<v1::InstrumentDefMsg>(record)?.map(|it| (it.raw_symbol(), it.min_price_increment, it.ts_recv)),
        2 => view::<v2::InstrumentDefMsg>(record)?.map(|it| (it.raw_symbol(), it.min_price_increment, it.ts_recv)),
        _ => view::<InstrumentDefMsg>(record)?.map(|it| (it.raw_symbol(), it.min_price_increment, it.ts_recv)),
    }
    .ok_or("no definition")?;
    Ok((symbol.map_err(|error| error.to_string())?.to_owned(), tick, received_ns))
}

fn mapping(record: &RecordRef<'_>, version: u8) -> Result<String, String> {
    let symbol = match version {
        1 => view::<v1::SymbolMappingMsg>(record)?.map(v1::SymbolMappingMsg::stype_out_symbol),
        _ => view::<SymbolMappingMsg>(record)?.map(SymbolMappingMsg::stype_out_symbol),
    }
    .ok_or("no symbol mapping")?;
    symbol.map(str::to_owned).map_err(|error| error.to_string())
}
