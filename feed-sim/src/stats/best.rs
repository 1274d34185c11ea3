//! The best prices of an instrument that publishes its book and no quotes.

use std::collections::BTreeSet;

use super::decimal::Price;
use super::observe::Level;

/// Levels kept per side; beyond that, those farthest from the market are forgotten.
const LEVELS_MAX: usize = 20_000;

/// The prices at which there are orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Best {
    bids: BTreeSet<Price>,
    asks: BTreeSet<Price>,
}

impl Best {
    /// Takes in levels, and returns the best prices after them.
    pub(super) fn book(&mut self, whole: bool, bids: &[Level], asks: &[Level]) -> (Option<Price>, Option<Price>) {
        if whole {
            self.bids.clear();
            self.asks.clear();
        }
        apply(&mut self.bids, bids);
        apply(&mut self.asks, asks);
        while self.bids.len() > LEVELS_MAX {
            self.bids.pop_first();
        }
        while self.asks.len() > LEVELS_MAX {
            self.asks.pop_last();
        }
        (self.bids.last().copied(), self.asks.first().copied())
    }
}

fn apply(side: &mut BTreeSet<Price>, levels: &[Level]) {
    for (price, there) in levels {
        if *there {
            side.insert(*price);
        } else {
            side.remove(price);
        }
    }
}
