//! Stocks: quotes, trades and books that agree with each other, because all three are read off one simulated limit order
//! book per instrument.

mod book;
mod instrument;
mod listing;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Scenario;
use crate::publication::{Publication, Timed};
use crate::random::Random;
use instrument::Instrument;

/// What `feed-sim describe stocks` prints.
pub const DESCRIPTION: &str = "\
Per instrument SYM, from one simulated limit order book:
  stocks.SYM.quote  state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_seq\"}: the best levels of the book
  stocks.SYM.trade  event  {\"id\",\"px\",\"qty\",\"side\",\"venue_seq\"}: at a price that the book showed; `side` is the aggressor's
  stocks.SYM.book   patch  {\"venue_seq\",\"bids\":{PX:QTY},\"asks\":{PX:QTY}}: QTY null where a level is gone. The first message
                           and every 256th is the whole book as `state`, so that a broker that was restarted has it again
Prices and quantities are decimal strings on the instrument's tick: 0.01, below one dollar 0.0001. `venue_seq` counts the
messages of an instrument over its three topics, in the order trades, book, quote; `id` its trades. Never crossed.";

/// How far apart the acts of one instrument are on average: an order placed, taken back, or filled.
const ACT_GAP_MEAN_US: u32 = 200_000;

/// Publications per act, measured; the test `the_rate_is_what_it_says` keeps it true.
const UPDATES_PER_ACT: f64 = 1.8;

/// The scenario `stocks`.
pub struct Stocks {
    instruments: Vec<(Instrument, Random)>,
    /// When each instrument acts next; of two at once the one listed first.
    next_act: BinaryHeap<Reverse<(u64, usize)>>,
    /// What the last act published and nobody took yet.
    pending: VecDeque<Publication>,
    now_us: u64,
}

impl Stocks {
    /// `instruments` books, each from its own stream of `seed`.
    pub fn new(seed: u64, instruments: u32) -> Self {
        let mut next_act = BinaryHeap::new();
        let instruments = (0..instruments.max(1))
            .map(|number| {
                // Two streams, so that a change of the market's behaviour does not change when it acts.
                let mut timing = Random::new(seed, 2 * u64::from(number) + 1);
                next_act.push(Reverse((timing.gap_us(ACT_GAP_MEAN_US), number as usize)));
                (Instrument::new(listing::listing(number), Random::new(seed, 2 * u64::from(number))), timing)
            })
            .collect();
        Stocks { instruments, next_act, pending: VecDeque::new(), now_us: 0 }
    }
}

impl Scenario for Stocks {
    fn next(&mut self) -> Timed {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Timed { due_us: self.now_us, publication };
            }
            let Reverse((due_us, number)) = self.next_act.pop().expect("each instrument has its next act in the heap");
            let (instrument, timing) = &mut self.instruments[number];
            instrument.act(&mut self.pending);
            self.now_us = due_us;
            self.next_act.push(Reverse((due_us + timing.gap_us(ACT_GAP_MEAN_US), number)));
        }
    }

    fn updates_per_s(&self) -> f64 {
        self.instruments.len() as f64 * UPDATES_PER_ACT * 1e6 / f64::from(ACT_GAP_MEAN_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_it_says() {
        let mut stocks = Stocks::new(3, 10);
        let updates = 200_000;
        let last_us = (0..updates).map(|_| stocks.next().due_us).last().expect("some");
        let rate = f64::from(updates) * 1e6 / last_us as f64;
        let ratio = rate / stocks.updates_per_s();
        assert!((0.97..1.03).contains(&ratio), "{rate} updates/s, {ratio} of what it says");
    }
}
