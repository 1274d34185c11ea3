//! Recorded Kraken spot WebSocket feeds, version 2 (JSON objects) and version 1 (JSON arrays).
//!
//! The messages are those of the public documentation ("Spot WebSocket API" v2 and v1, channels `book`, `trade`,
//! `ticker` and `spread`). Prices and quantities of version 2 are JSON numbers with every digit of the instrument:
//! their text is kept.

mod books;
mod checksum;
mod v1;
mod v2;

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Reader;
use crate::decimal;
use crate::venue::book::{Top, quote_fields, quote_publication};
use crate::venue::capture::{Captured, captured};
use crate::venue::line_feed::{Decode, LineFeed};
use crate::venue::text::{Aggressor, id_text, push_venue_ts, unchanged};
use books::Books;
use feed_player::publication::{Feed, Kind, Publication};

/// What `feed-sim describe kraken` prints.
pub(super) const DESCRIPTION: &str = "\
Kraken spot WebSocket, version 2 or 1, as captured by cryptofeed (`wss://… <-> t`, `wss://… <- t: json`, `t: json`) or as plain
lines `<receive time> <json>`; SYM is the venue's pair, such as BTC/USD:
  kraken.SYM.book    state  the snapshot, and every 256th message: {\"venue_ts\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}
                     patch  updates; QTY is null if a level is gone, or is beyond the depth that was subscribed
  kraken.SYM.quote   state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_ts\"}: the best levels of the book when they change; from
                            the channel `spread` (version 1) for a pair without a book
  kraken.SYM.trade   event  {\"id\",\"px\",\"qty\",\"side\",\"venue_ts\"}; version 1 has no id
  kraken.SYM.ticker  state  ticker, as the venue wrote it
Every checksum of a book is verified. One that does not match is a bad record, and the book is not published until a checksum
matches again or a snapshot comes; then it is published as a whole. Heartbeats, status and answers to subscriptions publish
nothing. A gap in the ids of the trades is a gap in the venue's sequence; a trade that was sent before is superseded.";

/// The most pairs in one recording; the venue has about a thousand.
const PAIRS_MAX: usize = 65_536;

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> impl Feed {
    LineFeed::new(reader, Kraken::default())
}

#[derive(Default)]
struct Kraken {
    books: Books,
    trade_ids: HashMap<String, u64>,
    superseded: u64,
    venue_gaps: u64,
}

/// The fields of messages that are objects: those of version 2, and the events of version 1. Each message has some of
/// them.
#[derive(Deserialize)]
struct Envelope<'a> {
    channel: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    event: Option<&'a str>,
}

impl Decode for Kraken {
    fn decode(&mut self, line: &[u8], out: &mut VecDeque<Publication>) -> Result<Option<u64>, String> {
        let Captured::Received { at_ns, json } = captured(line)? else { return Ok(None) };
        if json.trim_ascii_start().starts_with('[') {
            self.array(json, out)?;
        } else {
            self.object(json, out)?;
        }
        Ok(Some(at_ns))
    }

    fn superseded(&self) -> u64 {
        self.superseded
    }

    fn venue_gaps(&self) -> u64 {
        self.venue_gaps
    }
}

impl Kraken {
    fn object(&mut self, json: &str, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let envelope: Envelope<'_> = parse(json)?;
        match (envelope.channel, envelope.data) {
            (Some("book"), Some(data)) => {
                v2::books(data.get(), envelope.kind == Some("snapshot"), &mut self.books, out)
            }
            (Some("trade"), Some(data)) => self.trades(v2::trades(data.get())?, out),
            (Some("ticker"), Some(data)) => v2::tickers(data.get(), out),
            (Some("heartbeat" | "status" | "instrument"), _) => Ok(()),
            (Some(channel), _) => Err(format!("channel {channel:?} is not supported")),
            (None, _) if envelope.method.is_some() => {
                // The answer to a subscription has the depth of its book.
                match envelope.result {
                    Some(result) => self.books.subscribed(result.get()),
                    None => Ok(()),
                }
            }
            (None, _) if envelope.event.is_some() => Ok(()),
            (None, _) => Err("neither `channel` nor `method` nor `event`".to_owned()),
        }
    }

    fn array(&mut self, json: &str, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let message = v1::Message::read(json)?;
        match message.channel.split_once('-').map_or(message.channel, |(name, _)| name) {
            "book" => v1::book(&message, &mut self.books, out),
            "trade" => self.trades(v1::trades(&message)?, out),
            "ticker" => v1::ticker(&message, out),
            "spread" if self.books.has(message.pair) => Ok(()),
            "spread" => v1::spread(&message, out),
            _ => Err(format!("channel {:?} is not supported", message.channel)),
        }
    }

    fn trades(&mut self, trades: Vec<Trade<'_>>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let new_pairs = trades.iter().filter(|trade| !self.trade_ids.contains_key(trade.pair)).count();
        if self.trade_ids.len() + new_pairs > PAIRS_MAX {
            return Err(format!("more than {PAIRS_MAX} pairs in one recording"));
        }
        for trade in trades {
            if let Some(id) = trade.id {
                let last_id = self.trade_ids.get(trade.pair).copied();
                if last_id.is_some_and(|last_id| id <= last_id) {
                    self.superseded += 1;
                    continue;
                }
                if let Some(last_id) = last_id.filter(|last_id| id > last_id + 1) {
                    self.venue_gaps += 1;
                    tracing::warn!(pair = trade.pair, after = last_id, next = id, "the recording lacks trades");
                }
                match self.trade_ids.get_mut(trade.pair) {
                    Some(newest_id) => *newest_id = id,
                    None => _ = self.trade_ids.insert(trade.pair.to_owned(), id),
                }
            }
            out.push_back(trade.publication());
        }
        Ok(())
    }
}

/// A trade of either version; its numbers have been checked.
struct Trade<'a> {
    pair: &'a str,
    id: Option<u64>,
    px: &'a str,
    qty: &'a str,
    aggressor: Aggressor,
    venue_ts: i64,
}

impl Trade<'_> {
    fn publication(&self) -> Publication {
        let mut data = String::from("{");
        if let Some(id) = self.id {
            data += &format!(r#""id":{},"#, id_text(id));
        }
        data += &format!(r#""px":"{}","qty":"{}","side":"{}""#, self.px, self.qty, self.aggressor.name());
        push_venue_ts(&mut data, Some(self.venue_ts));
        data.push('}');
        Publication::new(&topic(self.pair, "trade"), Kind::Event, data)
    }
}

fn topic(pair: &str, what: &str) -> String {
    format!("kraken.{pair}.{what}")
}

fn ticker(pair: &str, json: &str) -> Result<Publication, String> {
    Ok(Publication::new(&topic(pair, "ticker"), Kind::State, unchanged(json)?))
}

fn quote(pair: &str, bid: Top<'_>, ask: Top<'_>, venue_ts: i64) -> Result<Publication, String> {
    for (px, qty) in [bid, ask].into_iter().flatten() {
        decimal::read(px).and(decimal::read(qty))?;
    }
    Ok(quote_publication(&topic(pair, "quote"), &quote_fields(bid, ask), Some(venue_ts)))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}
