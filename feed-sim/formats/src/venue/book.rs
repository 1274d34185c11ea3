//! A book of price levels and its publication: the first message and every 256th is the whole book, the others are
//! changes.

use std::collections::{BTreeMap, VecDeque};

use rust_decimal::Decimal;

use super::level::{Best, Change, Level, Side, level_bytes};
use super::text::push_venue_ts;
use feed_player::publication::{Kind, Publication};

/// The most bytes of levels in one message; more go out in several messages. A broker accepts messages up to 64 KiB by
/// default, and the rest of the message needs room too.
const MESSAGE_LEVEL_BYTES_MAX: usize = 62_000;
/// How many messages there are from one whole book to the next: a broker that was restarted has lost it.
const WHOLE_EVERY: u32 = 256;
/// The most levels of a book. The deepest that a venue publishes has about ten thousand levels per side.
const LEVELS_MAX: usize = 1 << 20;

/// A book, and what has been published of it.
pub(crate) struct Book {
    topic: String,
    quote_topic: Option<String>,
    quote: Option<String>,
    sides: Vec<Side>,
    touched: BTreeMap<(usize, Decimal), Box<str>>,
    /// How many messages there were since the whole book went out; `None` if it is to go out next.
    since_whole: Option<u32>,
    /// The side and the rank up to which a book that is too large for one message has been repeated.
    repeated: (usize, Option<Decimal>),
}

/// The two sides of an exchange's book, in the order of [`Book::sides`].
pub(crate) const BIDS: usize = 0;
/// See [`BIDS`].
pub(crate) const ASKS: usize = 1;

impl Book {
    /// Makes an empty book with these sides. With a `quote_topic` the best levels of the first two are published there.
    pub(crate) fn new(topic: String, quote_topic: Option<String>, sides: &[(&'static str, Best)]) -> Self {
        Book {
            topic,
            quote_topic,
            quote: None,
            sides: sides.iter().map(|&(name, best)| Side::new(name, best)).collect(),
            touched: BTreeMap::new(),
            since_whole: None,
            repeated: (0, None),
        }
    }

    /// Makes the book of an exchange: `PREFIX.SYM.book` with bids and asks, and `PREFIX.SYM.quote`.
    pub(crate) fn of_exchange(prefix: &str, symbol: &str) -> Self {
        let topic = |what: &str| format!("{prefix}.{symbol}.{what}");
        Book::new(topic("book"), Some(topic("quote")), &[("bids", Best::Highest), ("asks", Best::Lowest)])
    }

    /// Returns its sides.
    pub(crate) fn sides(&self) -> &[Side] {
        &self.sides
    }

    /// Makes the next publication the whole book.
    pub(crate) fn whole_next(&mut self) {
        self.touched.clear();
        self.since_whole = None;
        self.repeated = (0, None);
    }

    /// Replaces all levels; the next publication is the whole book. An error changes nothing.
    pub(crate) fn replace(&mut self, levels: Vec<Change>) -> Result<(), String> {
        self.has_room(0, levels.len())?;
        self.sides.iter_mut().for_each(Side::clear);
        self.apply(levels);
        self.whole_next();
        Ok(())
    }

    /// Applies changes in their order; [`Book::publish`] publishes them. An error changes nothing.
    pub(crate) fn change(&mut self, changes: Vec<Change>) -> Result<(), String> {
        self.has_room(self.sides.iter().map(Side::len).sum(), changes.len())?;
        self.apply(changes);
        Ok(())
    }

    fn has_room(&self, levels: usize, more: usize) -> Result<(), String> {
        if levels + more <= LEVELS_MAX {
            Ok(())
        } else {
            Err(format!("{} would have more than {LEVELS_MAX} levels", self.topic))
        }
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            if let Some(side) = self.sides.get_mut(change.side) {
                let at = (change.side, change.rank);
                let key = side.apply(change);
                self.touched.insert(at, key);
            }
        }
    }

    /// Removes all but the `depth` best levels of each side.
    pub(crate) fn truncate(&mut self, depth: usize) {
        for (nth, side) in self.sides.iter_mut().enumerate() {
            for (rank, key) in side.truncate(depth) {
                self.touched.insert((nth, rank), key);
            }
        }
    }

    /// Publishes what changed since the last call, and the quote if it changed. `fields` go before the levels in each
    /// message: `"venue_ts":1,"conflated":true`, or nothing.
    pub(crate) fn publish(&mut self, fields: &str, venue_ts: Option<i64>, out: &mut VecDeque<Publication>) {
        let bytes: usize = self.sides.iter().map(Side::bytes).sum();
        match self.since_whole {
            None => {
                self.push_whole(fields, out);
                self.since_whole = Some(1);
            }
            Some(_) if self.touched.is_empty() => {}
            Some(since) if since >= WHOLE_EVERY && bytes <= MESSAGE_LEVEL_BYTES_MAX => {
                self.push_whole(fields, out);
                self.since_whole = Some(1);
            }
            Some(since) => {
                self.push_changes(fields, out);
                self.since_whole = Some(since + 1);
                if since >= WHOLE_EVERY {
                    self.push_next_part(fields, out);
                    self.since_whole = Some(1);
                }
            }
        }
        self.touched.clear();
        self.push_quote(venue_ts, out);
    }

    /// Publishes the whole book: a state and, if it is too large for one message, patches onto it; the best levels
    /// first.
    fn push_whole(&self, fields: &str, out: &mut VecDeque<Publication>) {
        let mut message = Message::new(&self.topic, fields, &self.sides, Kind::State);
        let mut sides: Vec<_> = self.sides.iter().map(Side::best_first).collect();
        loop {
            let mut more = false;
            for (nth, levels) in sides.iter_mut().enumerate() {
                if let Some(level) = levels.next() {
                    message.push(nth, level, out);
                    more = true;
                }
            }
            if !more {
                break;
            }
        }
        message.finish(out);
    }

    fn push_changes(&self, fields: &str, out: &mut VecDeque<Publication>) {
        let mut message = Message::new(&self.topic, fields, &self.sides, Kind::Patch);
        for ((nth, rank), key) in &self.touched {
            match self.sides[*nth].get(rank) {
                Some(level) => message.push(*nth, level, out),
                None => message.push(*nth, &Level { key: key.clone(), value: "null".into() }, out),
            }
        }
        message.finish(out);
    }

    /// Repeats the next part of a book that is too large for one message, as a patch: a state would for a moment remove
    /// most of the book at the subscribers.
    fn push_next_part(&mut self, fields: &str, out: &mut VecDeque<Publication>) {
        let mut message = Message::new(&self.topic, fields, &self.sides, Kind::Patch);
        let (mut nth, mut rank) = self.repeated;
        let mut bytes = 0;
        'part: while let Some(side) = self.sides.get(nth) {
            for (&next, level) in side.after(rank) {
                bytes += level_bytes(&level.key, &level.value);
                if bytes > MESSAGE_LEVEL_BYTES_MAX {
                    break 'part;
                }
                message.push(nth, level, out);
                rank = Some(next);
            }
            (nth, rank) = (nth + 1, None);
        }
        self.repeated = if nth < self.sides.len() { (nth, rank) } else { (0, None) };
        message.finish(out);
    }

    fn push_quote(&mut self, venue_ts: Option<i64>, out: &mut VecDeque<Publication>) {
        let (Some(topic), [bids, asks, ..]) = (&self.quote_topic, self.sides.as_slice()) else { return };
        let quote = quote_fields(top(bids), top(asks));
        if self.quote.as_ref() != Some(&quote) {
            out.push_back(quote_publication(topic, &quote, venue_ts));
            self.quote = Some(quote);
        }
    }
}

/// The price and the quantity of the best level of a side.
pub(crate) type Top<'a> = Option<(&'a str, &'a str)>;

fn top(side: &Side) -> Top<'_> {
    side.best().map(|level| (&*level.key, level.qty()))
}

/// Returns the fields of a quote. Its prices and quantities have been checked to be numbers.
pub(crate) fn quote_fields(bid: Top<'_>, ask: Top<'_>) -> String {
    let mut fields = String::with_capacity(100);
    for (px_name, qty_name, top) in [("bid", "bid_qty", bid), ("ask", "ask_qty", ask)] {
        let comma = if fields.is_empty() { "" } else { "," };
        fields += &match top {
            Some((px, qty)) => format!(r#"{comma}"{px_name}":"{px}","{qty_name}":"{qty}""#),
            None => format!(r#"{comma}"{px_name}":null,"{qty_name}":null"#),
        };
    }
    fields
}

/// Returns the publication of a quote with these fields.
pub(crate) fn quote_publication(topic: &str, fields: &str, venue_ts: Option<i64>) -> Publication {
    let mut data = format!("{{{fields}");
    push_venue_ts(&mut data, venue_ts);
    data.push('}');
    Publication::new(topic, Kind::State, data)
}

/// A message of levels that is being built. When it is full it is sent, and a patch is begun.
struct Message<'a> {
    topic: &'a str,
    fields: &'a str,
    sides: &'a [Side],
    kind: Kind,
    levels: Vec<String>,
    bytes: usize,
}

impl<'a> Message<'a> {
    fn new(topic: &'a str, fields: &'a str, sides: &'a [Side], kind: Kind) -> Self {
        Message { topic, fields, sides, kind, levels: vec![String::new(); sides.len()], bytes: 0 }
    }

    fn push(&mut self, nth: usize, level: &Level, out: &mut VecDeque<Publication>) {
        let bytes = level_bytes(&level.key, &level.value);
        if self.bytes + bytes > MESSAGE_LEVEL_BYTES_MAX {
            self.send(out);
        }
        self.bytes += bytes;
        let levels = &mut self.levels[nth];
        levels.push_str(if levels.is_empty() { "\"" } else { ",\"" });
        levels.push_str(&level.key);
        levels.push_str("\":");
        levels.push_str(&level.value);
    }

    /// Sends the rest; a state even if it is empty.
    fn finish(mut self, out: &mut VecDeque<Publication>) {
        if self.kind == Kind::State || self.bytes > 0 {
            self.send(out);
        }
    }

    fn send(&mut self, out: &mut VecDeque<Publication>) {
        let mut data = String::with_capacity(self.bytes + self.fields.len() + 64);
        data.push('{');
        data.push_str(self.fields);
        for (side, levels) in self.sides.iter().zip(&mut self.levels) {
            // A state has every side, even an empty one.
            if levels.is_empty() && self.kind == Kind::Patch {
                continue;
            }
            data.push_str(if data.len() == 1 { "\"" } else { ",\"" });
            data.push_str(side.name);
            data.push_str("\":{");
            data.push_str(levels);
            data.push('}');
            levels.clear();
        }
        data.push('}');
        out.push_back(Publication::new(self.topic, self.kind, data));
        self.kind = Kind::Patch;
        self.bytes = 0;
    }
}
