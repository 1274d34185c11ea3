//! What one instrument of a recording publishes: trades, quotes and its book, in the form that all feeds share.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::decimal::{Scale, push_id};
use super::levels::{Changed, Level, Levels, Side};
use feed_player::publication::{Kind, Publication};

/// How many book messages there are from one whole book, a `state`, to the next: a restarted broker has a whole book
/// again after that many.
const BOOK_MESSAGES_PER_STATE: u64 = 256;
/// The most levels of each side in one message of a whole book; the others follow as patches. A level takes at most 50
/// bytes, and a broker accepts messages up to 64 KiB by default.
const PIECE_LEVELS_MAX: usize = 600;

/// A trade as the venue reports it.
pub(super) struct Trade<'a> {
    pub(super) id: u64,
    pub(super) price: i64,
    pub(super) qty: u64,
    /// The side whose order rested in the book; the other side is the aggressor.
    pub(super) resting: Option<Side>,
    /// More JSON members, each with a comma before it.
    pub(super) more: &'a str,
}

/// An instrument's topics, and the quote that was published last.
pub(super) struct Instrument {
    /// `itch.ALC`
    root: String,
    book_topic: String,
    quote_topic: String,
    scale: Scale,
    book_messages: u64,
    quoted: [Option<Level>; 2],
}

impl Instrument {
    /// Makes an instrument; `feed` is the first segment of its topics.
    pub(super) fn new(feed: &str, symbol: &str, scale: Scale) -> Self {
        let root = format!("{feed}.{}", segment(symbol));
        Instrument {
            book_topic: format!("{root}.book"),
            quote_topic: format!("{root}.quote"),
            root,
            scale,
            book_messages: 0,
            quoted: [None; 2],
        }
    }

    /// Returns an update of `ROOT.what`; `members` are the members of its object.
    pub(super) fn publication(&self, what: &str, kind: Kind, members: &str) -> Publication {
        Publication::new(&format!("{}.{what}", self.root), kind, format!("{{{members}}}"))
    }

    /// Returns a price as text.
    pub(super) fn price(&self, price: i64) -> String {
        let mut text = String::new();
        self.scale.push(&mut text, price);
        text
    }

    /// Returns a trade. `stamp` has the members that say when it happened, here and below.
    pub(super) fn trade(&self, trade: &Trade<'_>, stamp: &str) -> Publication {
        let mut members = String::with_capacity(120);
        members.push_str(r#""id":"#);
        push_id(&mut members, trade.id);
        members.push_str(r#","px":""#);
        self.scale.push(&mut members, trade.price);
        push(&mut members, format_args!(r#"","qty":"{}""#, trade.qty));
        members.push_str(match trade.resting {
            Some(Side::Bid) => r#","side":"sell""#,
            Some(Side::Ask) => r#","side":"buy""#,
            None => "",
        });
        members.push_str(trade.more);
        members.push(',');
        members.push_str(stamp);
        self.publication("trade", Kind::Event, &members)
    }

    /// Publishes what changed in the book, and the quote if it changed.
    pub(super) fn changes(&mut self, levels: &mut Levels, stamp: &str, out: &mut VecDeque<Publication>) {
        let changed = levels.take_changed();
        if changed == Changed::Nothing {
            return;
        }
        let due = self.book_messages.is_multiple_of(BOOK_MESSAGES_PER_STATE);
        self.book_messages += 1;
        match changed {
            Changed::Levels(changed) if !due => out.push_back(self.patch(levels, &changed, stamp)),
            _ => self.whole(levels, stamp, out),
        }
        self.quote([levels.best(Side::Bid), levels.best(Side::Ask)], stamp, out);
    }

    /// Publishes the quote if it changed.
    pub(super) fn quote(&mut self, quote: [Option<Level>; 2], stamp: &str, out: &mut VecDeque<Publication>) {
        if self.quoted == quote {
            return;
        }
        self.quoted = quote;
        let mut data = String::with_capacity(140);
        for (level, name, separator) in [(quote[0], "bid", "{"), (quote[1], "ask", ",")] {
            push(&mut data, format_args!(r#"{separator}"{name}":"#));
            match level {
                Some(Level { price, qty }) => {
                    data.push('"');
                    self.scale.push(&mut data, price);
                    push(&mut data, format_args!(r#"","{name}_qty":"{qty}""#));
                }
                None => push(&mut data, format_args!(r#"null,"{name}_qty":null"#)),
            }
        }
        data.push(',');
        data.push_str(stamp);
        data.push('}');
        out.push_back(Publication::new(&self.quote_topic, Kind::State, data));
    }

    fn patch(&self, levels: &Levels, changed: &[(Side, i64)], stamp: &str) -> Publication {
        let side = |side: Side| {
            let prices = changed.iter().filter(move |(changed, _)| *changed == side);
            prices.map(move |&(_, price)| Level { price, qty: levels.qty(side, price) })
        };
        let data = self.book(stamp, false, side(Side::Bid), side(Side::Ask));
        Publication::new(&self.book_topic, Kind::Patch, data)
    }

    /// Publishes the whole book as a state and, if it is too large for one message, patches: levels near the market
    /// first.
    fn whole(&self, levels: &Levels, stamp: &str, out: &mut VecDeque<Publication>) {
        let depth = levels.depth(Side::Bid).max(levels.depth(Side::Ask));
        for from in (0..depth.max(1)).step_by(PIECE_LEVELS_MAX) {
            let piece = |side: Side| levels.levels(side).skip(from).take(PIECE_LEVELS_MAX);
            let data = self.book(stamp, from == 0, piece(Side::Bid), piece(Side::Ask));
            out.push_back(Publication::new(&self.book_topic, if from == 0 { Kind::State } else { Kind::Patch }, data));
        }
    }

    fn book(
        &self,
        stamp: &str,
        both_sides: bool,
        bids: impl Iterator<Item = Level>,
        asks: impl Iterator<Item = Level>,
    ) -> String {
        let mut data = String::with_capacity(140);
        self.push_side(&mut data, r#"{"bids":{"#, both_sides, bids);
        let separator = if data.is_empty() { '{' } else { ',' };
        let asks_open = format!(r#"{separator}"asks":{{"#);
        self.push_side(&mut data, &asks_open, both_sides, asks);
        data.push(',');
        data.push_str(stamp);
        data.push('}');
        data
    }

    fn push_side(&self, data: &mut String, open: &str, always: bool, levels: impl Iterator<Item = Level>) {
        let mut separator = open;
        for Level { price, qty } in levels {
            data.push_str(separator);
            separator = ",";
            data.push('"');
            self.scale.push(data, price);
            match qty {
                0 => data.push_str(r#"":null"#),
                qty => push(data, format_args!(r#"":"{qty}""#)),
            }
        }
        if separator == "," {
            data.push('}');
        } else if always {
            data.push_str(open);
            data.push('}');
        }
    }
}

/// Appends formatted text.
pub(super) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes everything");
}

/// Returns a symbol as a segment of a topic: dots and blanks become `_`, and other bytes that a topic must not have
/// become `~` and two hexadecimal digits.
fn segment(symbol: &str) -> String {
    let mut segment = String::with_capacity(symbol.len());
    for byte in symbol.bytes() {
        match byte {
            b'.' | b' ' => segment.push('_'),
            byte if byte.is_ascii_alphanumeric() || b"_-:/=+@^$".contains(&byte) => segment.push(char::from(byte)),
            byte => push(&mut segment, format_args!("~{byte:02X}")),
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_in_topics() {
        for (symbol, topic) in
            [("AAPL", "AAPL"), ("BRK.A", "BRK_A"), ("ABC#", "ABC~23"), ("UD:1V: VT 2", "UD:1V:_VT_2"), ("Ü", "~C3~9C")]
        {
            assert_eq!(segment(symbol), topic);
        }
    }

    #[test]
    fn a_large_book_goes_out_in_pieces() {
        let mut instrument = Instrument::new("x", "Y", Scale { decimals: 2, decimals_min: 2 });
        let (mut levels, mut out) = (Levels::default(), VecDeque::new());
        for price in 0..1_500 {
            levels.set(Side::Bid, -price, u64::MAX);
        }
        levels.set(Side::Ask, 7, 3);
        instrument.changes(&mut levels, r#""t":1"#, &mut out);
        let kinds: Vec<Kind> = out.iter().map(|publication| publication.kind).collect();
        assert_eq!(kinds, [Kind::State, Kind::Patch, Kind::Patch, Kind::State]);
        assert!(out.iter().all(|publication| publication.data.len() < 60_000));
        assert!(out[0].data.ends_with(r#"},"asks":{"0.07":"3"},"t":1}"#), "{}", out[0].data);
        assert_eq!(out[3].data, r#"{"bid":"0.00","bid_qty":"18446744073709551615","ask":"0.07","ask_qty":"3","t":1}"#);

        out.clear();
        levels.clear();
        instrument.changes(&mut levels, r#""t":2"#, &mut out);
        assert_eq!(out[0].data, r#"{"bids":{},"asks":{},"t":2}"#);
        assert_eq!(out[1].data, r#"{"bid":null,"bid_qty":null,"ask":null,"ask_qty":null,"t":2}"#);
        out.clear();
        levels.set(Side::Ask, 8, 1);
        instrument.changes(&mut levels, r#""t":3"#, &mut out);
        assert_eq!((out[0].kind, out[0].data.as_str()), (Kind::Patch, r#"{"asks":{"0.08":"1"},"t":3}"#));
    }
}
