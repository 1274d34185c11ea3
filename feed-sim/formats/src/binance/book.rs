//! Makes a book from depth updates and a snapshot, as the venue's manual says: hold updates until the snapshot comes,
//! leave out those that it includes (`u <= lastUpdateId`), then apply the rest in order.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::fields::{Depth, Level, Snapshot};
use crate::decimal;
use feed_player::publication::{Kind, Publication};

/// The most updates that are held for a snapshot: five minutes of a stream of 100 ms. After that the book continues
/// without one.
const HELD_UPDATES_MAX: usize = 3_000;
/// The most symbols in one recording; the venue has a few thousand.
const SYMBOLS_MAX: usize = 65_536;
/// The most bytes of levels in one message. A larger snapshot goes out in pieces, the first as the state and the others
/// as patches onto it: a broker accepts messages up to 64 KiB by default, and the rest of the message needs room too.
const PIECE_BYTES_MAX: usize = 64_000;

/// The books of all symbols of a recording.
#[derive(Default)]
pub(super) struct Books {
    books: BTreeMap<String, Book>,
    /// How many updates a snapshot included.
    pub(super) superseded: u64,
    /// How many updates lack their predecessor in the recording.
    pub(super) venue_gaps: u64,
}

#[derive(Default)]
struct Book {
    /// `u` of the last update.
    last_id: Option<u64>,
    /// Whether updates are published at once: after a snapshot, or after too many updates without one.
    live: bool,
    /// The updates that wait for the snapshot: first and last number, and publication.
    held: VecDeque<(u64, u64, Publication)>,
}

impl Books {
    /// Applies an update.
    pub(super) fn depth(
        &mut self,
        symbol: &str,
        depth: &Depth<'_>,
        out: &mut VecDeque<Publication>,
    ) -> Result<(), String> {
        if depth.first_id > depth.last_id {
            return Err(format!("first id {} is above the last, {}", depth.first_id, depth.last_id));
        }
        let mut data = format!(r#"{{"E":{},"u":{}"#, depth.event_ms, depth.last_id);
        push_side(&mut data, "bids", &depth.bids)?;
        push_side(&mut data, "asks", &depth.asks)?;
        data.push('}');
        let publication = Publication::new(&topic(symbol), Kind::Patch, data);

        if !self.books.contains_key(symbol) {
            if self.books.len() >= SYMBOLS_MAX {
                return Err(format!("more than {SYMBOLS_MAX} symbols in one recording: {symbol}"));
            }
            self.books.insert(symbol.to_owned(), Book::default());
        }
        let Some(book) = self.books.get_mut(symbol) else { return Err("no book".to_owned()) };
        match book.last_id {
            Some(last_id) if depth.last_id <= last_id => {
                self.superseded += 1;
                return Ok(());
            }
            Some(last_id) if depth.first_id > last_id + 1 => {
                self.venue_gaps += 1;
                tracing::warn!(symbol, after = last_id, next = depth.first_id, "the recording lacks depth updates");
            }
            _ => {}
        }
        book.last_id = Some(depth.last_id);
        if book.live {
            out.push_back(publication);
        } else {
            book.held.push_back((depth.first_id, depth.last_id, publication));
            if book.held.len() > HELD_UPDATES_MAX {
                tracing::warn!(symbol, "no snapshot came: the book continues without one");
                book.release(out);
            }
        }
        Ok(())
    }

    /// Applies a snapshot to the book whose updates are around it: the snapshot has no symbol.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let last_id = snapshot.last_id;
        let fits = |book: &Book| {
            // The newest update is not far from a snapshot that was requested during the recording.
            let near = book.last_id.is_some_and(|newest| last_id.abs_diff(newest) < NEAR_IDS);
            let first = book.held.front().map(|(first_id, ..)| *first_id);
            near && (book.live || first.is_some_and(|first_id| first_id <= last_id.saturating_add(1)))
        };
        let mut fitting = self.books.iter_mut().filter(|(_, book)| fits(book));
        let Some((symbol, book)) = fitting.next() else {
            return Err(format!("snapshot {last_id} belongs to no book"));
        };
        if fitting.next().is_some() {
            return Err(format!("snapshot {last_id} may belong to more than one book"));
        }
        let pieces = pieces(symbol, snapshot)?;
        if book.live && book.last_id > Some(last_id) {
            self.superseded += 1;
            return Ok(());
        }
        out.extend(pieces);
        for (_, update_id, publication) in book.held.drain(..) {
            if update_id <= last_id {
                self.superseded += 1;
            } else {
                out.push_back(publication);
            }
        }
        book.last_id = book.last_id.max(Some(last_id));
        book.live = true;
        Ok(())
    }

    /// Publishes the updates that still wait for a snapshot.
    pub(super) fn release(&mut self, out: &mut VecDeque<Publication>) {
        for (symbol, book) in &mut self.books {
            if !book.held.is_empty() {
                tracing::warn!(symbol, "the recording ends without the snapshot of this book");
                book.release(out);
            }
        }
    }
}

/// How far a snapshot's number may be from its book's newest: the busiest symbol has a few thousand per second.
const NEAR_IDS: u64 = 1_000_000;

impl Book {
    fn release(&mut self, out: &mut VecDeque<Publication>) {
        out.extend(self.held.drain(..).map(|(_, _, publication)| publication));
        self.live = true;
    }
}

fn topic(symbol: &str) -> String {
    format!("binance.{symbol}.depth")
}

/// Returns the snapshot as a state and, if it is too large for one message, patches: levels near the market first.
fn pieces(symbol: &str, snapshot: &Snapshot<'_>) -> Result<Vec<Publication>, String> {
    // A level is written as `"price":"quantity",`.
    let level_bytes = |level: &Level<'_>| level.0.len() + level.1.len() + 6;
    let bytes: usize = snapshot.bids.iter().chain(&snapshot.asks).map(level_bytes).sum();
    let count = bytes.div_ceil(PIECE_BYTES_MAX).max(1);
    let (bids_each, asks_each) = (snapshot.bids.len().div_ceil(count), snapshot.asks.len().div_ceil(count));
    (0..count)
        .map(|piece| {
            let mut data = format!(r#"{{"u":{}"#, snapshot.last_id);
            push_side(&mut data, "bids", part(&snapshot.bids, piece * bids_each, bids_each))?;
            push_side(&mut data, "asks", part(&snapshot.asks, piece * asks_each, asks_each))?;
            data.push('}');
            let kind = if piece == 0 { Kind::State } else { Kind::Patch };
            Ok(Publication::new(&topic(symbol), kind, data))
        })
        .collect()
}

fn part<'a, 'b>(levels: &'b [Level<'a>], from: usize, count: usize) -> &'b [Level<'a>] {
    let from = from.min(levels.len());
    &levels[from..levels.len().min(from + count)]
}

/// Appends a side; a quantity of zero means that the level is gone. Prices and quantities are untrusted text: only
/// decimal numbers pass.
fn push_side(data: &mut String, side: &str, levels: &[Level<'_>]) -> Result<(), String> {
    if levels.is_empty() {
        return Ok(());
    }
    let mut prices = HashSet::with_capacity(levels.len());
    data.push_str(",\"");
    data.push_str(side);
    data.push_str("\":{");
    for (nth, (price, qty)) in levels.iter().enumerate() {
        let (Ok(_), Ok(quantity)) = (decimal::read(price), decimal::read(qty)) else {
            return Err(format!("level {price:?}: {qty:?} is not a price and a quantity"));
        };
        // A merge patch must not have a key twice.
        if !prices.insert(price) {
            return Err(format!("the price {price} is given twice"));
        }
        let comma = if nth == 0 { "" } else { "," };
        data.push_str(comma);
        data.push('"');
        data.push_str(price);
        if quantity.is_zero() {
            data.push_str("\":null");
        } else {
            data.push_str("\":\"");
            data.push_str(qty);
            data.push('"');
        }
    }
    data.push('}');
    Ok(())
}
