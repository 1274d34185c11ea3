//! Version 2: `{"channel":…,"type":"snapshot"|"update","data":[…]}`.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::books::{BookMessage, Books};
use super::{Trade, parse, ticker};
use crate::decimal;
use crate::venue::book::{ASKS, BIDS};
use crate::venue::level::Change;
use crate::venue::text::{Aggressor, rfc3339_us, segment};
use feed_player::publication::Publication;

#[derive(Deserialize)]
struct BookData<'a> {
    symbol: &'a str,
    #[serde(borrow, default)]
    bids: Vec<LevelData<'a>>,
    #[serde(borrow, default)]
    asks: Vec<LevelData<'a>>,
    checksum: Option<u32>,
    timestamp: Option<&'a str>,
}

#[derive(Deserialize)]
struct LevelData<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

#[derive(Deserialize)]
struct TradeData<'a> {
    symbol: &'a str,
    side: &'a str,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    trade_id: u64,
    timestamp: &'a str,
}

/// Returns the text of a number; some recorders write numbers as strings, so that no digit is lost.
fn number(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Channel `book`.
pub(super) fn books(
    data: &str,
    snapshot: bool,
    books: &mut Books,
    out: &mut VecDeque<Publication>,
) -> Result<(), String> {
    let data: Vec<BookData<'_>> = parse(data)?;
    let level = |side| move |level: &LevelData<'_>| Change::of_price(side, number(level.price), number(level.qty));
    let messages: Vec<BookMessage<'_>> = data
        .iter()
        .map(|book| {
            let changes = book.bids.iter().map(level(BIDS)).chain(book.asks.iter().map(level(ASKS)));
            Ok(BookMessage {
                pair: segment(book.symbol)?,
                snapshot,
                depth: None,
                changes: changes.collect::<Result<_, String>>()?,
                checksum: book.checksum,
                venue_ts: book.timestamp.map(rfc3339_us).transpose()?,
            })
        })
        .collect::<Result<_, String>>()?;
    messages.into_iter().try_for_each(|message| books.take(message, out))
}

/// Channel `trade`.
pub(super) fn trades(data: &str) -> Result<Vec<Trade<'_>>, String> {
    let data: Vec<TradeData<'_>> = parse(data)?;
    data.into_iter()
        .map(|trade| {
            let (px, qty) = (number(trade.price), number(trade.qty));
            decimal::read(px).and(decimal::read(qty))?;
            let aggressor = match trade.side {
                "buy" => Aggressor::Buy,
                "sell" => Aggressor::Sell,
                other => return Err(format!("{other:?} is neither \"buy\" nor \"sell\"")),
            };
            let (pair, venue_ts) = (segment(trade.symbol)?, rfc3339_us(trade.timestamp)?);
            Ok(Trade { pair, id: Some(trade.trade_id), px, qty, aggressor, venue_ts })
        })
        .collect()
}

/// Channel `ticker`.
pub(super) fn tickers(data: &str, out: &mut VecDeque<Publication>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        symbol: &'a str,
    }
    let data: Vec<&RawValue> = parse(data)?;
    let tickers: Vec<Publication> = data
        .iter()
        .map(|raw| ticker(segment(parse::<Identified<'_>>(raw.get())?.symbol)?, raw.get()))
        .collect::<Result<_, String>>()?;
    out.extend(tickers);
    Ok(())
}
