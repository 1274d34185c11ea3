//! NASDAQ TotalView-ITCH 5.0: every order of the exchange, from which the book of each stock is rebuilt.
//!
//! The parser is our own. The only one on crates.io that is in use (`itchy` 0.3) reads the stream itself, gives no
//! position of a bad message, stops for good at the first one, panics on a stock symbol that is not UTF-8, and lacks
//! the message `O`. Using it would save only a table of fields, which is in [`message`].
//!
//! Source of lengths, fields and codes: Nasdaq TotalView-ITCH 5.0 specification, sections 1.1 to 1.8.

mod framing;
mod market;
mod message;

use std::collections::VecDeque;

use super::Reader;
use super::played::{Played, Records};
use feed_player::publication::{BadRecord, Feed, Publication};
use framing::Frames;
use market::Market;
use message::parse;

/// What `feed-sim describe itch` prints.
pub(super) const DESCRIPTION: &str = "\
NASDAQ TotalView-ITCH 5.0, messages with a length of two bytes before each (as the exchange's files have them), or with 00 00
instead, in which case the length follows from the type:
  itch.SYM.book       state, patch  {\"bids\":{PX:QTY},\"asks\":{PX:QTY}}, rebuilt order by order from A, F, E, C, X, D and U
  itch.SYM.quote      state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\"}: the best levels of that book
  itch.SYM.trade      event  {\"id\",\"px\",\"qty\",\"side\"} of E and C (\"printable\":false where C says so), P (\"hidden\":true, no
                             side: the venue does not say it), Q (\"cross\":O|C|H|I; none for a cross of 0 shares), and B as a
                             correction of the trade with that id: {\"id\",\"broken\":true}
  itch.SYM.status     state  {\"status\":\"open\"|\"halted\"|\"auction\",\"trading_state\",\"reason\"} of H
  itch.SYM.directory  state  {\"symbol\",\"market_category\",\"financial_status\",\"round_lot\",\"etp\"} of R
  itch.SYM.imbalance  state  {\"paired\",\"imbalance\",\"direction\",\"far\",\"near\",\"ref\",\"cross\"} of I
  itch.system         state  {\"status\":\"pre_open\"|\"open\"|\"closed\",\"event\"} of S: the market as a whole
Everything has `venue_time_ns`, nanoseconds since midnight. The other types (Y, L, V, W, K, J, h, N, O) are read and publish nothing.
A dot in a symbol is a `_` in the topic. A message about an order from before the recording counts as a gap and leaves the
book unchanged. S \"O\" empties all books.";

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> impl Feed {
    Played::new(Itch { frames: Frames::new(reader), market: Market::default() })
}

struct Itch {
    frames: Frames,
    market: Market,
}

impl Records for Itch {
    fn read(&mut self, out: &mut VecDeque<Publication>) -> Option<Result<u64, BadRecord>> {
        let played = match self.frames.next()? {
            Ok(record) => parse(record).and_then(|(header, message)| {
                self.market.play(header, &message, out)?;
                Ok(header.time_ns)
            }),
            Err(bad) => return Some(Err(bad)),
        };
        Some(match played {
            Ok(time_ns) => {
                self.frames.usable();
                Ok(time_ns)
            }
            Err(reason) => Err(self.frames.bad(reason)),
        })
    }

    fn venue_gaps(&self) -> u64 {
        self.market.gaps
    }
}
