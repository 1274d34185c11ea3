//! A limit order book by price level.

use std::collections::BTreeMap;

/// A side of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Bid,
    Ask,
}

impl Side {
    pub(super) fn opposite(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }
}

/// Price in ticks and quantity in shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) ticks: u32,
    pub(super) qty: u32,
}

/// Quantities by price. Never crossed: an order that would be is an error of whoever places it.
#[derive(Debug, Default)]
pub(super) struct Book {
    bids: BTreeMap<u32, u32>,
    asks: BTreeMap<u32, u32>,
}

impl Book {
    /// The levels of a side from the best outwards.
    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (bids, asks) = match side {
            Side::Bid => (Some(self.bids.iter().rev()), None),
            Side::Ask => (None, Some(self.asks.iter())),
        };
        let levels = bids.into_iter().flatten().chain(asks.into_iter().flatten());
        levels.map(|(&ticks, &qty)| Level { ticks, qty })
    }

    /// The best level of a side.
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// The level furthest from the market.
    pub(super) fn furthest(&self, side: Side) -> Option<Level> {
        let level = match side {
            Side::Bid => self.bids.first_key_value(),
            Side::Ask => self.asks.last_key_value(),
        };
        level.map(|(&ticks, &qty)| Level { ticks, qty })
    }

    /// How many levels a side has.
    pub(super) fn depth(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// The quantity at a price; 0 where there is none.
    pub(super) fn qty(&self, side: Side, ticks: u32) -> u32 {
        self.side(side).get(&ticks).copied().unwrap_or(0)
    }

    /// Adds an order to its level.
    pub(super) fn add(&mut self, side: Side, order: Level) {
        let opposite = self.best(side.opposite());
        let crosses = opposite.is_some_and(|best| match side {
            Side::Bid => order.ticks >= best.ticks,
            Side::Ask => order.ticks <= best.ticks,
        });
        assert!(!crosses, "{side:?} at {} against {opposite:?}", order.ticks);
        *self.side_mut(side).entry(order.ticks).or_default() += order.qty;
    }

    /// Takes up to `qty` from a level and says how much that was; an empty level is gone.
    pub(super) fn take(&mut self, side: Side, ticks: u32, qty: u32) -> u32 {
        let levels = self.side_mut(side);
        let Some(there) = levels.get_mut(&ticks) else { return 0 };
        let taken = qty.min(*there);
        *there -= taken;
        if *there == 0 {
            levels.remove(&ticks);
        }
        taken
    }

    fn side(&self, side: Side) -> &BTreeMap<u32, u32> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<u32, u32> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}
