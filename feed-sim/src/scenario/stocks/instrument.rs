//! One stock and the market in it.
//!
//! The market knows a fair price, which wanders. Orders are placed, taken back and filled at random; those who cross the
//! spread buy while the market is below the fair price and sell while it is above, so that the book follows.

mod messages;

use std::collections::VecDeque;

use super::book::{Book, Level, Side};
use super::listing::{Listing, Tick};
use crate::publication::Publication;
use crate::random::Random;
use messages::{Messages, Trade};

/// Levels that a side keeps: fewer are refilled from behind, more are dropped there.
const LEVELS_MIN: usize = 6;
const LEVELS_MAX: usize = 16;
/// How many levels one order may sweep. Below `LEVELS_MIN`, so that a side never becomes empty.
const SWEPT_LEVELS_MAX: usize = 3;
/// A spread above this closes again before anything else happens.
const WIDE_SPREAD_TICKS: u32 = 3;
/// Steps of the fair price per tick.
const FAIR_STEPS: i64 = 64;

/// A stock: its book, its fair price and its messages.
pub(super) struct Instrument {
    book: Book,
    random: Random,
    /// In 1/`FAIR_STEPS` of a tick, between half and twice the first price.
    fair: i64,
    fair_min: i64,
    fair_max: i64,
    messages: Messages,
    /// What the running act changed: levels of the book and trades.
    changed: Vec<(Side, u32)>,
    trades: Vec<Trade>,
    /// The book has been shown: nothing trades before.
    open: bool,
}

impl Instrument {
    pub(super) fn new(listing: Listing, random: Random) -> Self {
        let Listing { symbol, start_ticks, tick } = listing;
        let fair = i64::from(start_ticks) * FAIR_STEPS;
        let mut instrument = Instrument {
            book: Book::default(),
            random,
            fair,
            fair_min: fair / 2,
            fair_max: fair * 2,
            messages: Messages::new(&symbol, tick),
            changed: Vec::new(),
            trades: Vec::new(),
            open: false,
        };
        for away in 0..LEVELS_MIN as u32 {
            for (side, ticks) in [(Side::Bid, start_ticks - 1 - away), (Side::Ask, start_ticks + 1 + away)] {
                let qty = instrument.order_qty();
                instrument.place(side, Level { ticks, qty });
            }
        }
        instrument
    }

    /// Lets one thing happen in the market, and tells it: trades, then the book, then the quote if it changed. The first
    /// thing that happens is that the market opens.
    pub(super) fn act(&mut self, out: &mut VecDeque<Publication>) {
        if std::mem::replace(&mut self.open, true) {
            self.something_happens();
        }
        for trade in self.trades.drain(..) {
            out.push_back(self.messages.trade(trade));
        }
        if !self.changed.is_empty() {
            self.changed.sort_unstable();
            self.changed.dedup();
            out.push_back(self.messages.book(&self.book, &self.changed));
            self.changed.clear();
            out.extend(self.messages.quote(&self.book));
        }
    }

    fn something_happens(&mut self) {
        self.move_fair();
        let spread = self.best(Side::Ask).ticks - self.best(Side::Bid).ticks;
        match self.random.below(100) {
            // Nobody pays a wide spread, and nobody leaves it: there is money in it for who offers a better price.
            _ if spread > WIDE_SPREAD_TICKS => self.somebody_places(),
            0..48 => self.somebody_places(),
            48..80 => self.somebody_cancels(),
            _ => self.somebody_crosses(),
        }
        for side in [Side::Bid, Side::Ask] {
            self.keep_depth(side);
        }
    }

    fn move_fair(&mut self) {
        let mut step = i64::from(self.random.below(65)) - 32;
        // News, now and then.
        if self.random.chance(2) {
            step *= 24;
        }
        self.fair = (self.fair + step).clamp(self.fair_min, self.fair_max);
    }

    /// Who is under pressure: the fair price against the middle of the market, in steps.
    fn pressure(&self) -> i64 {
        let (bid, ask) = (self.best(Side::Bid).ticks, self.best(Side::Ask).ticks);
        self.fair - i64::from(bid + ask) * FAIR_STEPS / 2
    }

    /// A side, rather the bid the further the fair price is above the market.
    fn side_by_pressure(&mut self) -> Side {
        let towards_bid = (512 + self.pressure() * 4).clamp(64, 960) as u32;
        if self.random.chance(towards_bid) { Side::Bid } else { Side::Ask }
    }

    fn somebody_places(&mut self) {
        let side = self.side_by_pressure();
        let (own, other) = (self.best(side).ticks, self.best(side.opposite()).ticks);
        let spread = own.abs_diff(other);
        let qty = self.order_qty();
        // Into a wide spread comes a better price; otherwise orders are near the market rather than far from it.
        let ticks = if spread > WIDE_SPREAD_TICKS || (spread > 1 && self.random.chance(384)) {
            let better = 1 + self.random.below((spread / 2).max(1));
            away_from(side, own, -(better as i32))
        } else {
            away_from(side, own, self.random.heads(LEVELS_MAX as u32) as i32)
        };
        self.place(side, Level { ticks, qty });
    }

    fn somebody_cancels(&mut self) {
        let side = self.side_by_pressure().opposite();
        // The further from the market, the sooner an order is given up.
        let depth = self.book.depth(side) as u32;
        let nth = self.random.below(depth).max(self.random.below(depth)) as usize;
        let Some(level) = self.book.levels(side).nth(nth) else { return };
        let qty = if self.random.chance(400) { level.qty } else { 1 + self.random.below(level.qty) };
        self.book.take(side, level.ticks, qty);
        self.changed.push((side, level.ticks));
    }

    fn somebody_crosses(&mut self) {
        let aggressor = self.side_by_pressure();
        let side = aggressor.opposite();
        let mut wanted = self.order_qty() * (1 + self.random.heads(3));
        let swept: Vec<Level> = self.book.levels(side).take(SWEPT_LEVELS_MAX).collect();
        for level in swept {
            let qty = self.book.take(side, level.ticks, wanted);
            self.changed.push((side, level.ticks));
            self.trades.push(Trade { aggressor, ticks: level.ticks, qty });
            wanted -= qty;
            if wanted == 0 {
                break;
            }
        }
    }

    fn keep_depth(&mut self, side: Side) {
        while self.book.depth(side) > LEVELS_MAX {
            let level = self.book.furthest(side).expect("it has more than LEVELS_MAX levels");
            self.book.take(side, level.ticks, level.qty);
            self.changed.push((side, level.ticks));
        }
        while self.book.depth(side) < LEVELS_MIN {
            let furthest = self.book.furthest(side).expect("a sweep leaves a level").ticks;
            let away = 1 + self.random.heads(3);
            let qty = self.order_qty();
            self.place(side, Level { ticks: away_from(side, furthest, away as i32), qty });
        }
    }

    fn place(&mut self, side: Side, order: Level) {
        self.book.add(side, order);
        self.changed.push((side, order.ticks));
    }

    /// Mostly round lots of a hundred, some odd ones.
    fn order_qty(&mut self) -> u32 {
        if self.random.chance(160) {
            1 + self.random.below(99)
        } else {
            100 * (1 + self.random.heads(4) + self.random.below(3))
        }
    }

    fn best(&self, side: Side) -> Level {
        self.book.best(side).expect("LEVELS_MIN levels are kept on each side")
    }
}

/// `ticks` moved away from the market (towards it where `steps` is negative).
fn away_from(side: Side, ticks: u32, steps: i32) -> u32 {
    let ticks = match side {
        Side::Bid => ticks.checked_add_signed(-steps),
        Side::Ask => ticks.checked_add_signed(steps),
    };
    ticks.expect("prices stay near the fair price, which is bounded")
}
