//! Stocks: trades, quotes, books, bars and status that agree with each other, because all of them are read off one simulated
//! limit order book per instrument.
//!
//! ```text
//! factor      where the market, its sectors and each stock would be worth their price
//! hawkes      when orders arrive, and of which class         ─┐
//! session     which phase of the day it is                   ─┼─▶ market, call   what they do to the book
//! order_size  how large they are, how far away they go       ─┘        │
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
                            aggressor's, `maker_order_id` the resting order's. An auction's has \"auction\" (its name) for both
  stocks.SYM.quote   state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_seq\"}: the best levels of the book; null while not `open`
  stocks.SYM.book    patch  {\"venue_seq\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}: QTY null where a level is gone. The first message
                            and every 256th is the whole book as `state`, so that a broker that was restarted has it again
  stocks.SYM.status  state  {\"status\",\"venue_seq\"}: pre_open, auction, open, halted or closed. An auction's has \"auction\" (opening,
                            reopening, closing), \"indicative_px\", \"indicative_qty\"; a halt's has \"reason\"
  stocks.SYM.bar_1s  state  {\"start\",\"open\",\"high\",\"low\",\"close\",\"volume\",\"trades\"}: at the end of each second that had trades
  stocks.SYM.bar_1m  state  the same and \"closed\": once a second while there are trades, and when the minute is over
Prices and quantities are decimal strings on the instrument's tick: 0.01, below one dollar 0.0001. `venue_seq` counts the
messages of an instrument over trade, quote, book and status, in the order in which they come; `id` its trades; `start` is in
microseconds of the feed's clock. Never crossed while `open`; in a call bids may be above asks, until they trade at one price.

A day is half an hour: pre_open, from 1.5 s auction, from about 4 s open, from 29:30 auction, from about 29:40 closed. Now and
then news halt a stock for 10 s and an auction. Orders arrive by a Hawkes process, of the first stock 12 a second on average,
of the k-th k^-0.6 times as many, more at both ends of the day; prices move with a common market and eleven sectors.
docs/market.md has the model, its parameters with units and sources, and the timetable.";

/// Publications per arriving order or cancellation, and per instrument and second beside them (calls, status, bars that end),
/// measured over whole days; the test `the_rate_is_what_it_says` keeps them true.
const UPDATES_PER_EVENT: f64 = 1.85;
const UPDATES_PER_INSTRUMENT_S: f64 = 0.02;

/// Away from the streams of the instruments.
const FACTOR_STREAM: u64 = 1 << 41;

/// What all instruments use, one after the other.
struct Desk {
    factors: Factors,
    placement: Placement,
    /// What the running act changed: levels of the book and trades.
    changed: Vec<(Side, u32)>,
    trades: Vec<Trade>,
    /// What was published and nobody took yet.
    pending: VecDeque<Publication>,
}

/// The scenario `stocks`.
pub(super) struct Stocks {
    instruments: Vec<Instrument>,
    /// When something happens in each instrument; of two at once in the one listed first.
    next: BinaryHeap<Reverse<(u64, u32)>>,
    desk: Desk,
    now_us: u64,
    updates_per_s: f64,
}

impl Stocks {
    /// `instruments` books, each from its own streams of `seed`.
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
    fn the_rate_is_what_it_says() {
        for (instruments, seed) in [(1, 3), (12, 4)] {
            let mut stocks = Stocks::new(seed, instruments);
            let day_us = 1_800_000_000;
            let updates = std::iter::repeat_with(|| stocks.next().due_us).take_while(|&due_us| due_us < day_us).count();
            let rate = updates as f64 / 1_800.0;
            let ratio = rate / stocks.updates_per_s();
            assert!((0.9..1.1).contains(&ratio), "{instruments}: {rate} updates/s, {ratio} of what it says");
        }
    }
}
