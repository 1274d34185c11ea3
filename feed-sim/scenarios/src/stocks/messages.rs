//! The messages of an instrument, as bytes.

use super::bars::Bar;
use super::book::{Book, Level, Side};
use super::listing::Tick;
use super::session::Phase;
use feed_player::publication::{Kind, Publication};

/// Every this many book messages the whole book is sent as `state`, so that a broker that was restarted soon has it
/// again.
const BOOK_MESSAGES_PER_STATE: u64 = 256;

/// A trade that happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trade {
    pub(super) ticks: u32,
    pub(super) qty: u32,
    pub(super) origin: Origin,
}

/// The origin of a trade.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// An order that crossed the spread, and the order that it met.
    Aggressor { side: Side, maker_order_id: u64 },
    /// An auction, by name.
    Auction(&'static str),
}

/// The instrument's names, its counters and its last quote.
pub(super) struct Messages {
    symbol: String,
    tick: Tick,
    venue_seq: u64,
    trade_id: u64,
    book_messages: u64,
    quoted: Option<[Option<Level>; 2]>,
}

impl Messages {
    pub(super) fn new(symbol: String, tick: Tick) -> Self {
        Messages { symbol, tick, venue_seq: 0, trade_id: 0, book_messages: 0, quoted: None }
    }

    pub(super) fn trade(&mut self, trade: Trade) -> Publication {
        let mut data = String::with_capacity(128);
        self.trade_id += 1;
        push_number(&mut data, "{\"id\":", self.trade_id);
        self.push_price(&mut data, ",\"px\":", trade.ticks);
        push_quantity(&mut data, ",\"qty\":", trade.qty);
        match trade.origin {
            Origin::Aggressor { side, maker_order_id } => {
                data.push_str(match side {
                    Side::Bid => ",\"side\":\"buy\"",
                    Side::Ask => ",\"side\":\"sell\"",
                });
                push_number(&mut data, ",\"maker_order_id\":", maker_order_id);
            }
            Origin::Auction(name) => push_text(&mut data, ",\"auction\":", name),
        }
        self.push_venue_seq(&mut data);
        self.publication("trade", Kind::Event, data)
    }

    /// The quote, if it has changed. Outside of continuous trading no price is firm, and both sides are null.
    pub(super) fn quote(&mut self, book: &Book, phase: Phase) -> Option<Publication> {
        let quote = match phase {
            Phase::Open => [book.best(Side::Bid), book.best(Side::Ask)],
            _ => [None, None],
        };
        if self.quoted == Some(quote) {
            return None;
        }
        self.quoted = Some(quote);
        let mut data = String::with_capacity(96);
        let names = [("{\"bid\":", ",\"bid_qty\":"), (",\"ask\":", ",\"ask_qty\":")];
        for (level, (price, qty)) in quote.into_iter().zip(names) {
            match level {
                Some(level) => {
                    self.push_price(&mut data, price, level.ticks);
                    push_quantity(&mut data, qty, level.qty);
                }
                None => [price, "null", qty, "null"].into_iter().for_each(|part| data.push_str(part)),
            }
        }
        self.push_venue_seq(&mut data);
        Some(self.publication("quote", Kind::State, data))
    }

    /// The levels that changed, each once and sorted, or the whole book if that is due.
    pub(super) fn book(&mut self, book: &Book, changed: &[(Side, u32)]) -> Publication {
        let whole = self.book_messages.is_multiple_of(BOOK_MESSAGES_PER_STATE);
        self.book_messages += 1;
        let mut data = String::with_capacity(if whole { 1_024 } else { 96 });
        self.venue_seq += 1;
        push_number(&mut data, "{\"venue_seq\":", self.venue_seq);
        for (side, name) in [(Side::Bid, ",\"bids\":{"), (Side::Ask, ",\"asks\":{")] {
            if whole {
                self.push_levels(&mut data, name, book.levels(side));
                if book.depth(side) == 0 {
                    data.push_str(name);
                    data.push('}');
                }
            } else {
                let levels = changed.iter().filter(|(changed, _)| *changed == side);
                let levels = levels.map(|&(_, ticks)| Level { ticks, qty: book.qty(side, ticks) });
                self.push_levels(&mut data, name, levels);
            }
        }
        data.push('}');
        self.publication("book", if whole { Kind::State } else { Kind::Patch }, data)
    }

    /// The phase of the day, and in a call the price and quantity at which it would trade.
    pub(super) fn status(&mut self, phase: Phase, indicative: Option<Level>) -> Publication {
        let mut data = String::with_capacity(96);
        push_text(&mut data, "{\"status\":", phase.status());
        if let Some(auction) = phase.auction() {
            push_text(&mut data, ",\"auction\":", auction);
            match indicative {
                Some(level) => {
                    self.push_price(&mut data, ",\"indicative_px\":", level.ticks);
                    push_quantity(&mut data, ",\"indicative_qty\":", level.qty);
                }
                None => data.push_str(",\"indicative_px\":null,\"indicative_qty\":null"),
            }
        }
        if phase == Phase::Halted {
            data.push_str(",\"reason\":\"volatility\"");
        }
        self.push_venue_seq(&mut data);
        self.publication("status", Kind::State, data)
    }

    /// A bar that is over.
    pub(super) fn second_bar(&self, bar: &Bar) -> Publication {
        let mut data = self.bar(bar);
        data.push('}');
        self.publication("bar_1s", Kind::State, data)
    }

    /// A bar that may not be over yet.
    pub(super) fn minute_bar(&self, bar: &Bar, over: bool) -> Publication {
        let mut data = self.bar(bar);
        data.push_str(if over { ",\"closed\":true}" } else { ",\"closed\":false}" });
        self.publication("bar_1m", Kind::State, data)
    }

    fn bar(&self, bar: &Bar) -> String {
        let mut data = String::with_capacity(160);
        push_number(&mut data, "{\"start\":", bar.start_us);
        for (name, ticks) in
            [(",\"open\":", bar.open), (",\"high\":", bar.high), (",\"low\":", bar.low), (",\"close\":", bar.close)]
        {
            self.push_price(&mut data, name, ticks);
        }
        push_number(&mut data, ",\"volume\":\"", bar.volume);
        push_number(&mut data, "\",\"trades\":", u64::from(bar.trades));
        data
    }

    fn publication(&self, what: &str, kind: Kind, data: String) -> Publication {
        let mut topic = String::with_capacity(8 + self.symbol.len() + what.len());
        for part in ["stocks.", &self.symbol, ".", what] {
            topic.push_str(part);
        }
        Publication { topic, kind, data, source_offset_us: 0 }
    }

    fn push_levels(&self, data: &mut String, name: &str, levels: impl Iterator<Item = Level>) {
        let mut any = false;
        for level in levels {
            data.push_str(if any { "," } else { name });
            any = true;
            self.push_price(data, "", level.ticks);
            match level.qty {
                0 => data.push_str(":null"),
                qty => push_quantity(data, ":", qty),
            }
        }
        if any {
            data.push('}');
        }
    }

    fn push_price(&self, data: &mut String, name: &str, ticks: u32) {
        data.push_str(name);
        data.push('"');
        self.tick.push_price(data, ticks);
        data.push('"');
    }

    fn push_venue_seq(&mut self, data: &mut String) {
        self.venue_seq += 1;
        push_number(data, ",\"venue_seq\":", self.venue_seq);
        data.push('}');
    }
}

fn push_number(data: &mut String, name: &str, number: u64) {
    data.push_str(name);
    data.push_str(itoa::Buffer::new().format(number));
}

fn push_quantity(data: &mut String, name: &str, qty: u32) {
    data.push_str(name);
    data.push('"');
    data.push_str(itoa::Buffer::new().format(qty));
    data.push('"');
}

/// Appends one of our own words, which need no escape.
fn push_text(data: &mut String, name: &str, text: &str) {
    data.push_str(name);
    data.push('"');
    data.push_str(text);
    data.push('"');
}
