//! What an instrument publishes, as bytes.

use std::fmt::Write;

use super::{Book, Level, Side, Tick};
use crate::publication::{Kind, Publication};

/// Every so many book messages the whole book comes as `state`: a broker that was restarted has a whole book again soon.
const BOOK_MESSAGES_PER_STATE: u64 = 256;

/// A trade that happened.
pub(super) struct Trade {
    pub(super) aggressor: Side,
    pub(super) ticks: u32,
    pub(super) qty: u32,
}

/// The instrument's topics, its counters and its last quote.
pub(super) struct Messages {
    quote_topic: String,
    trade_topic: String,
    book_topic: String,
    tick: Tick,
    venue_seq: u64,
    trade_id: u64,
    book_messages: u64,
    quoted: Option<(Level, Level)>,
}

impl Messages {
    pub(super) fn new(symbol: &str, tick: Tick) -> Self {
        Messages {
            quote_topic: format!("stocks.{symbol}.quote"),
            trade_topic: format!("stocks.{symbol}.trade"),
            book_topic: format!("stocks.{symbol}.book"),
            tick,
            venue_seq: 0,
            trade_id: 0,
            book_messages: 0,
            quoted: None,
        }
    }

    pub(super) fn trade(&mut self, trade: Trade) -> Publication {
        self.venue_seq += 1;
        self.trade_id += 1;
        let side = match trade.aggressor {
            Side::Bid => "buy",
            Side::Ask => "sell",
        };
        let data = format!(
            r#"{{"id":{},"px":"{}","qty":"{}","side":"{side}","venue_seq":{}}}"#,
            self.trade_id,
            self.tick.price(trade.ticks),
            trade.qty,
            self.venue_seq
        );
        Publication::new(&self.trade_topic, Kind::Event, data)
    }

    /// The quote, if it is another one than before.
    pub(super) fn quote(&mut self, book: &Book) -> Option<Publication> {
        let quote = (book.best(Side::Bid)?, book.best(Side::Ask)?);
        if self.quoted == Some(quote) {
            return None;
        }
        self.quoted = Some(quote);
        self.venue_seq += 1;
        let (bid, ask) = quote;
        let data = format!(
            r#"{{"bid":"{}","bid_qty":"{}","ask":"{}","ask_qty":"{}","venue_seq":{}}}"#,
            self.tick.price(bid.ticks),
            bid.qty,
            self.tick.price(ask.ticks),
            ask.qty,
            self.venue_seq
        );
        Some(Publication::new(&self.quote_topic, Kind::State, data))
    }

    /// The levels that changed, each once; or the whole book when that is due.
    pub(super) fn book(&mut self, book: &Book, changed: &[(Side, u32)]) -> Publication {
        self.venue_seq += 1;
        let whole = self.book_messages.is_multiple_of(BOOK_MESSAGES_PER_STATE);
        self.book_messages += 1;
        let mut data = format!(r#"{{"venue_seq":{}"#, self.venue_seq);
        for side in [Side::Bid, Side::Ask] {
            if whole {
                self.push_side(&mut data, side, book.levels(side));
            } else {
                let levels = changed.iter().filter(|(changed, _)| *changed == side);
                self.push_side(&mut data, side, levels.map(|&(_, ticks)| Level { ticks, qty: book.qty(side, ticks) }));
            }
        }
        data.push('}');
        Publication::new(&self.book_topic, if whole { Kind::State } else { Kind::Patch }, data)
    }

    fn push_side(&self, data: &mut String, side: Side, levels: impl Iterator<Item = Level>) {
        let mut separator = match side {
            Side::Bid => r#","bids":{"#,
            Side::Ask => r#","asks":{"#,
        };
        let mut any = false;
        for level in levels {
            any = true;
            data.push_str(separator);
            separator = ",";
            let price = self.tick.price(level.ticks);
            let written = match level.qty {
                0 => write!(data, r#""{price}":null"#),
                qty => write!(data, r#""{price}":"{qty}""#),
            };
            written.expect("a String takes everything");
        }
        if any {
            data.push('}');
        }
    }
}
