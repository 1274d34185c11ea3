//! Stocks: trades, quotes, books, bars and status that agree with each other, because all of them are read off one
//! simulated limit order book per instrument.
//!
//! ```text
//! factor      the fair prices of the market, its sectors and each stock
//! hawkes      when orders arrive, and their class            ─┐
//! session     the phase of the day                           ─┼─▶ market, call   what orders do to the book
//! order_size  the size of orders, and their distance         ─┘        │
//!                                                                 book, auction, bars ─▶ messages
//! ```
//!
//! `parameters` has every number with its source; `docs/market.md` explains the model.

mod auction;
mod bars;
mod book;
mod call;
mod factor;
mod hawkes;
mod instrument;
mod listing;
mod market;
mod messages;
mod order_size;
mod parameters;
mod session;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Scenario;
use book::Side;
use factor::Factors;
use feed_player::publication::{Publication, Timed};
use feed_player::random::Random;
use instrument::{Instrument, Streams};
use messages::Trade;
use order_size::Placement;
use session::ACTIVITY;

/// What `feed-sim describe stocks` prints.
pub(super) const DESCRIPTION: &str = "\
Per instrument SYM, all from one simulated limit order book:
  stocks.SYM.trade   event  {\"id\",\"px\",\"qty\",\"side\",\"maker_order_id\",\"venue_seq\"}: at a price that the book showed; `side` is the
                            aggressor's, `maker_order_id` the resting order's. An auction's print has \"auction\" (its name) instead
  stocks.SYM.quote   state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_seq\"}: the best levels of the book; null while not `open`
  stocks.SYM.book    patch  {\"venue_seq\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}: null for the QTY of a level that is gone. The first
                            message and every 256th is the whole book as `state`, for a broker that was restarted
  stocks.SYM.status  state  {\"status\",\"venue_seq\"}: pre_open, auction, open, halted or closed. In an auction also \"auction\" (opening,
                            reopening, closing), \"indicative_px\", \"indicative_qty\"; in a halt \"reason\"
  stocks.SYM.bar_1s  state  {\"start\",\"open\",\"high\",\"low\",\"close\",\"volume\",\"trades\"}: at the end of each second that had trades
  stocks.SYM.bar_1m  state  the same and \"closed\": once a second while there are trades, and when the minute is over
Prices and quantities are decimal strings on the instrument's tick: 0.01, below one dollar 0.0001. `venue_seq` counts
the messages of an instrument over trade, quote, book and status, in their order; `id` counts its trades; `start` is in
microseconds of the feed's clock. Never crossed while `open`; in a call bids may be above asks, until they trade at one
price.

A day is half an hour: pre_open, from 1.5 s auction, from about 4 s open, from 29:30 auction, from about 29:40 closed.
Now and then news halts a stock for 10 s and a reopening auction. Orders arrive by a Hawkes process: 12 a second on
average for the first stock, k^-0.6 times as many for the k-th, more at both ends of the day. Prices move with a common
market and eleven sectors. docs/market.md has the model, its parameters with units and sources, and the timetable.";

/// Publications per arriving order or cancellation, and further ones per instrument and second (calls, status, bars
/// that end), measured over whole days; the test `the_stated_rate_is_right` checks them.
const UPDATES_PER_EVENT: f64 = 1.85;
const UPDATES_PER_INSTRUMENT_S: f64 = 0.02;

/// The random stream of the factors: distinct from those of the instruments.
const FACTOR_STREAM: u64 = 1 << 41;

/// State that all instruments share, used by one after the other.
struct Desk {
    factors: Factors,
    placement: Placement,
    /// The levels of the book that the current act changed.
    changed: Vec<(Side, u32)>,
    /// The trades of the current act.
    trades: Vec<Trade>,
    /// Publications that have not been taken yet.
    pending: VecDeque<Publication>,
}

/// The scenario `stocks`.
pub(super) struct Stocks {
    instruments: Vec<Instrument>,
    /// When something happens next in each instrument; if two are at once, in the one listed first.
    next: BinaryHeap<Reverse<(u64, u32)>>,
    desk: Desk,
    now_us: u64,
    updates_per_s: f64,
}

impl Stocks {
    /// Makes `instruments` books, each from its own streams of `seed`.
    pub(super) fn new(seed: u64, instruments: u32) -> Self {
        let mut updates_per_s = 0.0;
        let instruments: Vec<Instrument> = (0..instruments.max(1))
            .map(|number| {
                let stream = |which: u64| Random::new(seed, 4 * u64::from(number) + which);
                let listing = listing::listing(number);
                updates_per_s += UPDATES_PER_INSTRUMENT_S + UPDATES_PER_EVENT * listing.events_per_s;
                let streams = Streams { orders: stream(0), arrivals: stream(1), fair: stream(2), day: stream(3) };
                Instrument::new(listing, streams)
            })
            .collect();
        let desk = Desk {
            factors: Factors::new(Random::new(seed, FACTOR_STREAM)),
            placement: Placement::new(),
            changed: Vec::new(),
            trades: Vec::new(),
            pending: VecDeque::new(),
        };
        let next =
            (0..).zip(&instruments).map(|(number, instrument)| Reverse((instrument.next_us(), number))).collect();
        Stocks { instruments, next, desk, now_us: 0, updates_per_s }
    }
}

impl Scenario for Stocks {
    fn next(&mut self) -> Timed {
        loop {
            if let Some(publication) = self.desk.pending.pop_front() {
                return Timed { due_us: self.now_us, publication };
            }
            let mut next = self.next.peek_mut().expect("each instrument has its next moment in the heap");
            let Reverse((now_us, number)) = *next;
            let instrument = &mut self.instruments[number as usize];
            self.now_us = now_us;
            self.desk.factors.advance(now_us, ACTIVITY.at);
            instrument.wake(&mut self.desk);
            *next = Reverse((instrument.next_us(), number));
        }
    }

    fn updates_per_s(&self) -> f64 {
        self.updates_per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        for (instruments, seed) in [(1, 3), (12, 4)] {
            let mut stocks = Stocks::new(seed, instruments);
            let day_us = 1_800_000_000;
            let updates = std::iter::repeat_with(|| stocks.next().due_us).take_while(|&due_us| due_us < day_us).count();
            let rate = updates as f64 / 1_800.0;
            let ratio = rate / stocks.updates_per_s();
            assert!((0.9..1.1).contains(&ratio), "{instruments}: {rate} updates/s, {ratio} of the stated rate");
        }
    }
}
