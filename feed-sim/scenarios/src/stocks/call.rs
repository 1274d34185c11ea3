//! Trading by auction: a call collects orders, which then trade all at once at one price.

use super::Desk;
use super::auction::uncrossing;
use super::book::{Level, Side};
use super::market::{Market, away};
use super::messages::{Origin, Trade};
use super::parameters::{CALL_ORDERS, LEVELS_MIN, ORDERS_PER_SIDE};

impl Market {
    /// Fills an empty book around the fair price (in ticks) with the orders that wait for the day to begin.
    pub(super) fn fill_book(&mut self, fair: f64, desk: &mut Desk) {
        for side in [Side::Bid, Side::Ask] {
            for _ in 0..(ORDERS_PER_SIDE as u32 / 2) {
                let steps = 1 + desk.placement.steps(&mut self.random);
                let ticks = away(side, fair as u32, steps * self.step_ticks + self.random.below(self.step_ticks));
                self.add(side, ticks, desk);
            }
        }
        self.keep_depth(desk);
    }

    /// Begins a call: orders that the fair price has passed are cancelled, and the orders that waited for the call
    /// arrive.
    pub(super) fn begin_call(&mut self, fair: f64, desk: &mut Desk) {
        let fair_ticks = fair as u32;
        for side in [Side::Bid, Side::Ask] {
            while self.book.best(side).is_some_and(|best| side.better(best.ticks, fair_ticks)) {
                self.cancel_best(side, desk);
            }
            (0..CALL_ORDERS).for_each(|_| self.add_to_call(side, fair, desk));
        }
    }

    /// Places an order in a call, or cancels one.
    pub(super) fn act_in_call(&mut self, fair: f64, desk: &mut Desk) {
        let side = if self.random.happens(0.5) { Side::Bid } else { Side::Ask };
        let full = f64::from(self.book.orders(side)) > 2.0 * ORDERS_PER_SIDE;
        if full || self.random.happens(0.2) {
            let away = self.random.below(self.book.depth(side) as u32 + 1) as usize;
            if let Some(taken) = self.book.cancel(side, away, 0, u32::MAX) {
                desk.changed.push((side, taken.ticks));
            }
        } else {
            self.add_to_call(side, fair, desk);
        }
        self.keep_depth(desk);
    }

    /// Adds an order, mostly somewhat worse than the fair price and sometimes better, so that there is something to
    /// trade.
    fn add_to_call(&mut self, side: Side, fair: f64, desk: &mut Desk) {
        let steps = 1.5 * self.random.normal() + 0.7;
        let ticks = (steps.abs() * f64::from(self.step_ticks)) as u32;
        let from = if steps > 0.0 { side } else { side.opposite() };
        self.add(side, away(from, fair as u32, ticks), desk);
    }

    /// The price and quantity at which the orders would trade now.
    pub(super) fn indicative(&self) -> Option<Level> {
        uncrossing(&self.book, self.reference_ticks)
    }

    /// Ends a call: everything that can trade does so at one price, and each side of the book gets levels again.
    pub(super) fn uncross(&mut self, auction: &'static str, fair: f64, desk: &mut Desk) {
        if let Some(level) = self.indicative() {
            for side in [Side::Bid, Side::Ask] {
                let mut left = level.qty;
                while left > 0 {
                    let Some(taken) = self.book.fill(side, left) else { break };
                    desk.changed.push((side, taken.ticks));
                    left -= taken.qty;
                }
            }
            desk.trades.push(Trade { ticks: level.ticks, qty: level.qty, origin: Origin::Auction(auction) });
            self.reference_ticks = level.ticks;
        } else {
            self.reference_ticks = fair as u32;
        }
        for side in [Side::Bid, Side::Ask] {
            if self.book.depth(side) == 0 {
                let other = self.book.best(side.opposite()).map_or(self.reference_ticks, |best| best.ticks);
                self.add(side, away(side, other, LEVELS_MIN as u32), desk);
            }
        }
        self.keep_depth(desk);
    }

    /// Cancels all orders, because the day is over.
    pub(super) fn expire(&mut self, desk: &mut Desk) {
        for side in [Side::Bid, Side::Ask] {
            while self.book.depth(side) > 0 {
                self.cancel_best(side, desk);
            }
        }
    }

    fn cancel_best(&mut self, side: Side, desk: &mut Desk) {
        if let Some(taken) = self.book.cancel(side, 0, 0, u32::MAX) {
            desk.changed.push((side, taken.ticks));
        }
    }
}
