//! Version 1: `[channel id, payload…, "channel name", "PAIR"]`, with one payload, or with two if both sides of a book
//! changed.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::books::{BookMessage, Books};
use super::{Trade, parse, quote};
use crate::decimal;
use crate::venue::book::{ASKS, BIDS};
use crate::venue::level::Change;
use crate::venue::text::{Aggressor, segment};
use feed_player::publication::Publication;

/// A message, with its channel and its pair.
pub(super) struct Message<'a> {
    payloads: Vec<&'a RawValue>,
    pub(super) channel: &'a str,
    pub(super) pair: &'a str,
}

impl<'a> Message<'a> {
    pub(super) fn read(json: &'a str) -> Result<Self, String> {
        let mut parts: Vec<&'a RawValue> = parse(json)?;
        let (Some(pair), Some(channel)) = (parts.pop(), parts.pop()) else {
            return Err("an array without channel and pair".to_owned());
        };
        if parts.len() < 2 {
            return Err("an array without a payload".to_owned());
        }
        parts.remove(0);
        let (channel, pair) = (parse(channel.get())?, segment(parse(pair.get())?)?);
        Ok(Message { payloads: parts, channel, pair })
    }

    fn payload(&self) -> Result<&'a str, String> {
        match self.payloads.as_slice() {
            [payload] => Ok(payload.get()),
            payloads => Err(format!("{} payloads instead of one", payloads.len())),
        }
    }
}

/// Price, volume, time, and `"r"` if a level is sent again.
type LevelData<'a> = Vec<&'a str>;

#[derive(Deserialize)]
struct BookData<'a> {
    #[serde(borrow, rename = "as")]
    asks_snapshot: Option<Vec<LevelData<'a>>>,
    #[serde(borrow, rename = "bs")]
    bids_snapshot: Option<Vec<LevelData<'a>>>,
    #[serde(borrow, rename = "a", default)]
    asks: Vec<LevelData<'a>>,
    #[serde(borrow, rename = "b", default)]
    bids: Vec<LevelData<'a>>,
    #[serde(rename = "c")]
    checksum: Option<&'a str>,
}

/// Channel `book-DEPTH`.
pub(super) fn book(message: &Message<'_>, books: &mut Books, out: &mut VecDeque<Publication>) -> Result<(), String> {
    let (mut snapshot, mut checksum, mut venue_ts) = (false, None, None);
    let mut changes = Vec::new();
    for payload in &message.payloads {
        let data: BookData<'_> = parse(payload.get())?;
        snapshot |= data.asks_snapshot.is_some() || data.bids_snapshot.is_some();
        let sides = [
            (ASKS, data.asks_snapshot.unwrap_or_default()),
            (BIDS, data.bids_snapshot.unwrap_or_default()),
            (ASKS, data.asks),
            (BIDS, data.bids),
        ];
        for (side, levels) in sides {
            for level in levels {
                let [px, qty, time, ..] = level.as_slice() else {
                    return Err(format!("level {level:?} is not price, volume and time"));
                };
                changes.push(Change::of_price(side, px, qty)?);
                venue_ts = venue_ts.max(Some(microseconds(time)?));
            }
        }
        if let Some(text) = data.checksum {
            checksum = Some(text.parse().map_err(|_| format!("{text:?} is not a checksum"))?);
        }
    }
    let depth = message.channel.split_once('-').map(|(_, depth)| depth);
    let depth = depth.map(|depth| depth.parse().map_err(|_| format!("{depth:?} is not a depth"))).transpose()?;
    books.take(BookMessage { pair: message.pair, snapshot, depth, changes, checksum, venue_ts }, out)
}

/// Channel `trade`: price, volume, time, side (`b`, `s`), order type (`m`, `l`), miscellaneous.
pub(super) fn trades<'a>(message: &Message<'a>) -> Result<Vec<Trade<'a>>, String> {
    let data: Vec<Vec<&'a str>> = parse(message.payload()?)?;
    data.into_iter()
        .map(|trade| {
            let [px, qty, time, side, ..] = trade.as_slice() else {
                return Err(format!("trade {trade:?} is not price, volume, time and side"));
            };
            decimal::read(px).and(decimal::read(qty))?;
            let aggressor = match *side {
                "b" => Aggressor::Buy,
                "s" => Aggressor::Sell,
                other => return Err(format!("{other:?} is neither \"b\" nor \"s\"")),
            };
            Ok(Trade { pair: message.pair, id: None, px, qty, aggressor, venue_ts: microseconds(time)? })
        })
        .collect()
}

/// Channel `ticker`.
pub(super) fn ticker(message: &Message<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
    let payload = message.payload()?;
    if !payload.starts_with('{') {
        return Err("the ticker is not an object".to_owned());
    }
    out.push_back(super::ticker(message.pair, payload)?);
    Ok(())
}

/// Channel `spread`: bid, ask, time, volume of the bid, volume of the ask.
pub(super) fn spread(message: &Message<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
    let (bid, ask, time, bid_qty, ask_qty): (&str, &str, &str, &str, &str) = parse(message.payload()?)?;
    out.push_back(quote(message.pair, Some((bid, bid_qty)), Some((ask, ask_qty)), microseconds(time)?)?);
    Ok(())
}

fn microseconds(seconds: &str) -> Result<i64, String> {
    let microseconds = decimal::whole_units(seconds, 6).and_then(|microseconds| i64::try_from(microseconds).ok());
    microseconds.ok_or_else(|| format!("{seconds:?} is not a time in seconds"))
}
