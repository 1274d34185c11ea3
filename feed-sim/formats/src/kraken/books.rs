//! The books of all pairs, verified by checksums.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;

use super::checksum::checksum;
use super::{PAIRS_MAX, parse};
use crate::venue::book::{ASKS, BIDS, Book};
use crate::venue::level::Change;
use crate::venue::text::segment;
use feed_player::publication::Publication;

/// The depths that can be subscribed to.
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// The books of all pairs.
#[derive(Default)]
pub(super) struct Books {
    books: HashMap<String, Verified>,
    /// The depths in the answers to subscriptions.
    depths: HashMap<String, usize>,
}

struct Verified {
    book: Book,
    depth: usize,
    /// Whether the last checksum did not match: the book differs from the venue's, and is not published.
    doubtful: bool,
}

/// A message about a book, of either version.
pub(super) struct BookMessage<'a> {
    pub(super) pair: &'a str,
    pub(super) snapshot: bool,
    /// The depth, if the message has it.
    pub(super) depth: Option<usize>,
    pub(super) changes: Vec<Change>,
    pub(super) checksum: Option<u32>,
    pub(super) venue_ts: Option<i64>,
}

/// The fields of the answer to a subscription that are used.
#[derive(Deserialize)]
struct Subscription<'a> {
    channel: Option<&'a str>,
    depth: Option<usize>,
    symbol: Option<&'a str>,
}

impl Books {
    /// Whether there is a book of this pair.
    pub(super) fn has(&self, pair: &str) -> bool {
        self.books.contains_key(pair)
    }

    /// Notes the depth in the `result` of a subscription.
    pub(super) fn subscribed(&mut self, result: &str) -> Result<(), String> {
        let subscription: Subscription<'_> = parse(result)?;
        if let Subscription { channel: Some("book"), depth: Some(depth), symbol: Some(pair) } = subscription
            && self.depths.len() < PAIRS_MAX
        {
            self.depths.insert(segment(pair)?.to_owned(), depth);
        }
        Ok(())
    }

    /// Applies a snapshot or an update, and appends what it publishes.
    pub(super) fn take(&mut self, message: BookMessage<'_>, out: &mut VecDeque<Publication>) -> Result<(), String> {
        let pair = segment(message.pair)?;
        let verified = if message.snapshot {
            let deepest = [BIDS, ASKS].map(|side| message.changes.iter().filter(|change| change.side == side).count());
            let depth = message.depth.or(self.depths.get(pair).copied()).unwrap_or_else(|| depth_of(deepest));
            let verified = self.of_pair(pair)?;
            verified.depth = depth;
            verified.book.replace(message.changes)?;
            verified
        } else {
            let verified =
                self.books.get_mut(pair).ok_or_else(|| format!("an update of {pair} before its snapshot"))?;
            verified.book.change(message.changes)?;
            verified
        };
        verified.book.truncate(verified.depth);
        if let Some(expected) = message.checksum {
            let found = checksum(&verified.book);
            verified.doubtful |= found != expected;
            if found != expected {
                return Err(format!("the checksum of {pair} is {expected}, that of the book so far is {found}"));
            }
            if std::mem::take(&mut verified.doubtful) {
                verified.book.whole_next();
            }
        }
        if message.snapshot && message.checksum.is_none() {
            // Version 1 has no checksums in snapshots. A snapshot replaces the whole book, so it is trusted.
            verified.doubtful = false;
        }
        if !verified.doubtful {
            let fields = message.venue_ts.map_or(String::new(), |venue_ts| format!(r#""venue_ts":{venue_ts}"#));
            verified.book.publish(&fields, message.venue_ts, out);
        }
        Ok(())
    }

    fn of_pair(&mut self, pair: &str) -> Result<&mut Verified, String> {
        if !self.books.contains_key(pair) {
            if self.books.len() >= PAIRS_MAX {
                return Err(format!("more than {PAIRS_MAX} pairs in one recording: {pair}"));
            }
            let book = Book::of_exchange("kraken", pair);
            self.books.insert(pair.to_owned(), Verified { book, depth: DEPTHS[0], doubtful: false });
        }
        self.books.get_mut(pair).ok_or_else(|| "no book".to_owned())
    }
}

/// Returns the depth of a subscription whose answer is missing: the smallest one that the snapshot fits into.
fn depth_of(levels: [usize; 2]) -> usize {
    let levels = levels[0].max(levels[1]);
    DEPTHS.into_iter().find(|depth| *depth >= levels).unwrap_or(levels)
}
