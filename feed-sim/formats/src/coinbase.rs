//! Recorded Coinbase Exchange WebSocket feeds.
//!
//! The messages are those of the public documentation ("Exchange WebSocket Channels"): `snapshot` and `l2update` of the
//! channel `level2` (and `level2_batch`), `match` and `last_match` of `matches`, `ticker`, `heartbeat`. Prices and
//! sizes are strings and are published with every digit.

mod fields;

use std::collections::{HashMap, VecDeque};

use crate::Reader;
use crate::decimal;
use crate::venue::book::{ASKS, BIDS, Book};
use crate::venue::capture::{Captured, captured};
use crate::venue::level::Change;
use crate::venue::line_feed::{Decode, LineFeed};
use crate::venue::text::{Aggressor, id_text, push_venue_ts, rfc3339_us, segment, unchanged};
use feed_player::publication::{Feed, Kind, Publication};
use fields::Message;

/// What `feed-sim describe coinbase` prints.
pub(super) const DESCRIPTION: &str = "\
Coinbase Exchange WebSocket, as captured by cryptofeed (`wss://… <-> t`, `wss://… <- t: json`, `t: json`) or as plain
lines `<receive time> <json>`:
  coinbase.SYM.book    state  the snapshot, and every 256th message: {\"venue_ts\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}
                       patch  l2update, with QTY null if a level is gone
  coinbase.SYM.quote   state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_ts\"}, the best levels of the book, when they change
  coinbase.SYM.trade   event  match and last_match: {\"id\",\"px\",\"qty\",\"side\",\"venue_ts\",\"venue_seq\"}; the venue gives the side of
                              the resting order, `side` here is the aggressor's
  coinbase.SYM.ticker  state  ticker, as the venue wrote it
Messages to the venue, its answers to subscriptions and its heartbeats publish nothing. A gap in the ids of the trades is a gap
in the venue's sequence; a trade that was sent before (`last_match` after a reconnect) is superseded.";

/// The most symbols in one recording; the venue has a few hundred.
const SYMBOLS_MAX: usize = 65_536;

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> impl Feed {
    LineFeed::new(reader, Coinbase::default())
}

#[derive(Default)]
struct Coinbase {
    products: HashMap<String, Product>,
    superseded: u64,
    venue_gaps: u64,
}

#[derive(Default)]
struct Product {
    /// `None` before the first snapshot.
    book: Option<Book>,
    trade_id: Option<u64>,
}

impl Decode for Coinbase {
    fn decode(&mut self, line: &[u8], out: &mut VecDeque<Publication>) -> Result<Option<u64>, String> {
        match captured(line)? {
            Captured::Received { at_ns, json } => self.message(json, out).map(|()| Some(at_ns)),
            Captured::Other => Ok(None),
        }
    }

    fn superseded(&self) -> u64 {
        self.superseded
    }

    fn venue_gaps(&self) -> u64 {
        self.venue_gaps
    }
}

impl Coinbase {
    fn message(&mut self, json: &str, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let message: Message<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        match message.kind {
            "snapshot" => self.snapshot(&message, out),
            "l2update" => self.update(&message, out),
            "match" | "last_match" => self.trade(&message, out),
            "ticker" | "ticker_batch" => {
                let topic = format!("coinbase.{}.ticker", message.symbol()?);
                out.push_back(Publication::new(&topic, Kind::State, unchanged(json)?));
                Ok(())
            }
            "heartbeat" => self.heartbeat(&message),
            "subscriptions" | "status" => Ok(()),
            "error" => {
                Err(format!("the venue reported an error: {}", message.message.as_deref().unwrap_or("no reason")))
            }
            other => Err(format!("message type {other:?} is not supported")),
        }
    }

    fn snapshot(&mut self, message: &Message<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let symbol = message.symbol()?;
        let (Some(bids), Some(asks)) = (&message.bids, &message.asks) else {
            return Err("a snapshot without bids and asks".to_owned());
        };
        let level = |side| move |&(px, qty): &(&str, &str)| Change::of_price(side, px, qty);
        let changes: Vec<Change> =
            bids.iter().map(level(BIDS)).chain(asks.iter().map(level(ASKS))).collect::<Result<_, _>>()?;
        let venue_ts = message.venue_ts()?;
        let product = self.product(symbol)?;
        let book = product.book.get_or_insert_with(|| Book::of_exchange("coinbase", symbol));
        book.replace(changes)?;
        publish(book, venue_ts, out);
        Ok(())
    }

    fn update(&mut self, message: &Message<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let symbol = message.symbol()?;
        let changes: Vec<Change> = message
            .changes
            .as_ref()
            .ok_or("an l2update without changes")?
            .iter()
            .map(|&(side, px, qty)| match side {
                "buy" => Change::of_price(BIDS, px, qty),
                "sell" => Change::of_price(ASKS, px, qty),
                other => Err(format!("{other:?} is neither \"buy\" nor \"sell\"")),
            })
            .collect::<Result<_, _>>()?;
        let venue_ts = message.venue_ts()?;
        let book = self.products.get_mut(symbol).and_then(|product| product.book.as_mut());
        let book = book.ok_or_else(|| format!("an update of {symbol} before its snapshot"))?;
        book.change(changes)?;
        publish(book, venue_ts, out);
        Ok(())
    }

    fn trade(&mut self, message: &Message<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let symbol = message.symbol()?;
        let id = message.trade_id.ok_or("a match without trade_id")?;
        let (px, qty) = (message.price.ok_or("a match without price")?, message.size.ok_or("a match without size")?);
        decimal::read(px).and(decimal::read(qty))?;
        let aggressor = match message.side {
            Some("buy") => Aggressor::Sell,
            Some("sell") => Aggressor::Buy,
            other => return Err(format!("{other:?} is neither \"buy\" nor \"sell\"")),
        };
        let venue_ts = message.venue_ts()?;
        if self.is_new(symbol, id)? {
            let mut data = format!(r#"{{"id":{},"px":"{px}","qty":"{qty}","side":"{}""#, id_text(id), aggressor.name());
            push_venue_ts(&mut data, venue_ts);
            if let Some(sequence) = message.sequence {
                data += &format!(r#","venue_seq":{}"#, id_text(sequence));
            }
            data.push('}');
            out.push_back(Publication::new(&format!("coinbase.{symbol}.trade"), Kind::Event, data));
        }
        Ok(())
    }

    /// Notes a trade's id, and returns whether it is new.
    fn is_new(&mut self, symbol: &str, id: u64) -> Result<bool, String> {
        let product = self.product(symbol)?;
        let last_id = product.trade_id;
        if last_id.is_some_and(|last_id| id <= last_id) {
            self.superseded += 1;
            return Ok(false);
        }
        product.trade_id = Some(id);
        if let Some(last_id) = last_id.filter(|last_id| id > last_id + 1) {
            self.venue_gaps += 1;
            tracing::warn!(symbol, after = last_id, next = id, "the recording lacks trades");
        }
        Ok(true)
    }

    /// Counts a gap if trades are missing: a heartbeat has the id of the newest trade.
    fn heartbeat(&mut self, message: &Message<'_>) -> Result<(), String> {
        let product = self.products.get_mut(message.symbol()?);
        if let Some(product) = product
            && let (Some(last_id), Some(newest_id)) = (product.trade_id, message.last_trade_id)
            && newest_id > last_id
        {
            self.venue_gaps += 1;
            tracing::warn!(symbol = message.product_id, after = last_id, newest_id, "the recording lacks trades");
            product.trade_id = Some(newest_id);
        }
        Ok(())
    }

    fn product(&mut self, symbol: &str) -> Result<&mut Product, String> {
        if !self.products.contains_key(symbol) {
            if self.products.len() >= SYMBOLS_MAX {
                return Err(format!("more than {SYMBOLS_MAX} symbols in one recording: {symbol}"));
            }
            self.products.insert(symbol.to_owned(), Product::default());
        }
        self.products.get_mut(symbol).ok_or_else(|| "no product".to_owned())
    }
}

fn publish(book: &mut Book, venue_ts: Option<i64>, out: &mut VecDeque<Publication>) {
    let fields = venue_ts.map_or(String::new(), |venue_ts| format!(r#""venue_ts":{venue_ts}"#));
    book.publish(&fields, venue_ts, out);
}

impl<'a> Message<'a> {
    fn symbol(&self) -> Result<&'a str, String> {
        segment(self.product_id.ok_or_else(|| format!("a message of type {:?} without product_id", self.kind))?)
    }

    fn venue_ts(&self) -> Result<Option<i64>, String> {
        self.time.map(rfc3339_us).transpose()
    }
}
