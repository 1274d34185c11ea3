//! Continuous trading in one instrument: the effect of an arriving order.
//!
//! Orders arrive by the Hawkes process, with a class and a side. Their effect depends on the book: such processes are
//! called state-dependent (Morariu-Patrichi and Pakkanen 2018). It depends on the book in three ways:
//!
//! - When the market is away from the fair price, orders trade towards it, are placed on that side and cancelled on the
//!   other: the side of an order may turn.
//! - A side with many orders loses some, a side with few gains some: a limit order may turn into a cancellation, or a
//!   cancellation into a limit order.
//! - Nobody pays a wide spread: a market order then turns into a limit order.
//!
//! If the fair price is far away, there is news: a market order takes everything offered short of it, limit orders
//! close the spread, and orders at prices that are too good are cancelled by whole levels.

use super::Desk;
use super::book::{Book, Level, Side};
use super::hawkes::{Class, Kind};
use super::listing::Listing;
use super::messages::{Origin, Trade};
use super::order_size::{limit_qty, market_qty};
use super::parameters::{
    EVENT_SHARES, HALT_BAND, INSIDE_MAX, INSIDE_PER_STEP, LEAN_FROM_STEPS, LEAN_FULL_STEPS, LEVELS_MAX, LEVELS_MIN,
    ORDERS_PER_SIDE, REDUCTION_SHARE, REFERENCE_MINUTES, SPREAD_STEPS_MAX, STEP_PER_TRADE_VOLATILITY, SWEEP_FROM_STEPS,
    TAKES_LEVEL_SHARE, VOLATILITY_PER_SQRT_S,
};
use feed_player::random::Random;

/// The smallest width of the halt band, in steps, for stocks that seldom trade.
const HALT_BAND_STEPS_MIN: u32 = 12;

/// An instrument's book, and the orders that act on it.
pub(super) struct Market {
    pub(super) book: Book,
    pub(super) random: Random,
    /// The unit of spreads and distances, in ticks.
    pub(super) step_ticks: u32,
    /// The centre of the halt band, in ticks.
    pub(super) reference_ticks: u32,
    lot: u32,
}

/// The outcome of an arrival.
pub(super) struct Outcome {
    /// The kind that it turned out to be.
    pub(super) kind: Kind,
    /// Whether it would have traded too far away, so that trading has to be halted.
    pub(super) halts: bool,
}

/// The direction in which the fair price pulls the market, and how strongly: 0 to 1.
struct Lean {
    toward: Side,
    strength: f64,
    /// Whether the fair price is so far away that there must be news.
    news: bool,
}

impl Market {
    pub(super) fn new(listing: &Listing, random: Random) -> Self {
        let trades_per_s = listing.events_per_s * EVENT_SHARES[Class::Market as usize];
        let per_trade = VOLATILITY_PER_SQRT_S / trades_per_s.sqrt() * f64::from(listing.start_ticks);
        Market {
            book: Book::new(),
            random,
            step_ticks: ((STEP_PER_TRADE_VOLATILITY * per_trade) as u32).max(1),
            reference_ticks: listing.start_ticks,
            lot: listing.lot,
        }
    }

    /// Lets an order arrive in continuous trading. `fair` is in ticks.
    pub(super) fn act(&mut self, arrived: Kind, fair: f64, may_halt: bool, desk: &mut Desk) -> Outcome {
        let lean = self.lean(fair);
        let kind = self.turn(arrived, &lean);
        let mut halts = false;
        match kind.class {
            Class::Limit => self.place(kind.side, &lean, desk),
            Class::Cancel => self.cancel(kind.side, &lean, desk),
            Class::Market => halts = self.cross(kind.side, fair, &lean, may_halt, desk),
        }
        self.keep_depth(desk);
        Outcome { kind, halts }
    }

    fn best(&self, side: Side) -> Level {
        self.book.best(side).expect("continuous trading has LEVELS_MIN levels on each side")
    }

    fn lean(&self, fair: f64) -> Lean {
        let middle = (f64::from(self.best(Side::Bid).ticks) + f64::from(self.best(Side::Ask).ticks)) / 2.0;
        let away_steps = (fair - middle) / f64::from(self.step_ticks);
        let toward = if away_steps > 0.0 { Side::Bid } else { Side::Ask };
        let away_steps = away_steps.abs();
        let strength = ((away_steps - LEAN_FROM_STEPS) / LEAN_FULL_STEPS).clamp(0.0, 1.0);
        Lean { toward, strength, news: away_steps > SWEEP_FROM_STEPS }
    }

    fn turn(&mut self, kind: Kind, lean: &Lean) -> Kind {
        let Kind { mut class, mut side } = kind;
        let helps = if class == Class::Cancel { lean.toward.opposite() } else { lean.toward };
        if side != helps && lean.strength > 0.0 && self.random.happens(lean.strength) {
            side = helps;
        }
        let excess = f64::from(self.book.orders(side)) / ORDERS_PER_SIDE - 1.0;
        match class {
            Class::Limit if excess > 0.0 && self.random.happens(excess) => class = Class::Cancel,
            Class::Cancel if excess < 0.0 && self.random.happens(-excess) => class = Class::Limit,
            Class::Market => {
                let spread = self.best(Side::Ask).ticks - self.best(Side::Bid).ticks;
                if f64::from(spread) > SPREAD_STEPS_MAX * f64::from(self.step_ticks) {
                    class = Class::Limit;
                }
            }
            Class::Limit | Class::Cancel => {}
        }
        Kind { class, side }
    }

    fn place(&mut self, side: Side, lean: &Lean, desk: &mut Desk) {
        let own = self.best(side).ticks;
        let spread = own.abs_diff(self.best(side.opposite()).ticks);
        let inside = INSIDE_PER_STEP * f64::from(spread) / f64::from(self.step_ticks);
        let ticks = if lean.news && side == lean.toward {
            away(side.opposite(), own, spread - 1)
        } else if spread > 1 && self.random.happens(inside.min(INSIDE_MAX)) {
            let better = 1 + self.random.below(spread - 1);
            away(side.opposite(), own, better)
        } else {
            match desk.placement.steps(&mut self.random) {
                0 => own,
                steps => away(side, own, 1 + (steps - 1) * self.step_ticks + self.random.below(self.step_ticks)),
            }
        };
        self.add(side, ticks, desk);
    }

    fn cancel(&mut self, side: Side, lean: &Lean, desk: &mut Desk) {
        let depth = self.book.depth(side) as u32;
        // Orders near the market come and go. Those whose price has become too good go first; with news, a whole level
        // goes.
        let stale = side != lean.toward && lean.strength > 0.0;
        if stale && lean.news {
            for _ in 0..self.book.queue_orders(side, 0) {
                let Some(taken) = self.book.cancel(side, 0, 0, u32::MAX) else { break };
                desk.changed.push((side, taken.ticks));
            }
            return;
        }
        let away = if stale { 0 } else { self.random.below(depth).min(self.random.below(depth)) } as usize;
        let ahead = self.random.below(self.book.queue_orders(side, away));
        let all = !self.random.happens(REDUCTION_SHARE);
        let qty = if all { u32::MAX } else { limit_qty(self.lot, &mut self.random) };
        if let Some(taken) = self.book.cancel(side, away, ahead, qty) {
            desk.changed.push((side, taken.ticks));
        }
    }

    /// Trades with the other side until the order is filled, or until its limit is reached. Returns whether it would
    /// have to trade outside the band.
    fn cross(&mut self, side: Side, fair: f64, lean: &Lean, may_halt: bool, desk: &mut Desk) -> bool {
        let other = side.opposite();
        let best = self.best(other);
        let informed = side == lean.toward && lean.strength > 0.0;
        let mut wanted = if informed && lean.news {
            u32::MAX
        } else if self.random.happens(TAKES_LEVEL_SHARE) {
            best.qty
        } else {
            market_qty(self.lot, &mut self.random) * if informed { 2 } else { 1 }
        };
        let reach = if self.random.happens(0.5) { self.step_ticks } else { 0 };
        let mut worst = away(other, best.ticks, reach);
        if informed && other.better(worst, fair as u32) {
            worst = fair as u32;
        }
        let band = ((f64::from(self.reference_ticks) * HALT_BAND) as u32).max(HALT_BAND_STEPS_MIN * self.step_ticks);
        while wanted > 0 && self.book.depth(other) > 1 {
            let ticks = self.best(other).ticks;
            if other.better(worst, ticks) {
                break;
            }
            if may_halt && ticks.abs_diff(self.reference_ticks) > band {
                return true;
            }
            let Some(taken) = self.book.fill(other, wanted) else { break };
            wanted -= taken.qty;
            desk.changed.push((other, taken.ticks));
            let origin = Origin::Aggressor { side, maker_order_id: taken.order_id };
            desk.trades.push(Trade { ticks: taken.ticks, qty: taken.qty, origin });
        }
        false
    }

    /// Ensures that each side has from [`LEVELS_MIN`] to [`LEVELS_MAX`] levels.
    pub(super) fn keep_depth(&mut self, desk: &mut Desk) {
        for side in [Side::Bid, Side::Ask] {
            while self.book.depth(side) > LEVELS_MAX {
                let furthest = self.book.depth(side) - 1;
                let Some(taken) = self.book.cancel(side, furthest, 0, u32::MAX) else { break };
                desk.changed.push((side, taken.ticks));
            }
            for _ in self.book.depth(side)..LEVELS_MIN {
                let Some(furthest) = self.book.furthest(side) else { break };
                let behind = 1 + self.random.below(2 * self.step_ticks);
                self.add(side, away(side, furthest.ticks, behind), desk);
            }
        }
    }

    /// Moves the reference price towards the close of a minute of trades.
    pub(super) fn move_reference(&mut self, close_ticks: u32) {
        let (reference, close) = (i64::from(self.reference_ticks), i64::from(close_ticks));
        self.reference_ticks = (reference + (close - reference) / REFERENCE_MINUTES) as u32;
    }

    /// Adds an order of a random size.
    pub(super) fn add(&mut self, side: Side, ticks: u32, desk: &mut Desk) {
        let qty = limit_qty(self.lot, &mut self.random);
        self.book.add(side, Level { ticks, qty });
        desk.changed.push((side, ticks));
    }
}

/// Moves `ticks` away from the other side, but never below one tick. No price comes near that, because all stay near a
/// fair price that is bounded.
pub(super) fn away(side: Side, ticks: u32, by: u32) -> u32 {
    match side {
        Side::Bid => ticks.saturating_sub(by).max(1),
        Side::Ask => ticks.saturating_add(by),
    }
}
