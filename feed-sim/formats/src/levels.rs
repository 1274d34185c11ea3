//! A book by price level, and the levels that changed since it was published last.

use std::collections::BTreeMap;

/// A side of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Bid,
    Ask,
}

/// A price in the venue's smallest unit, and the quantity that rests there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) price: i64,
    pub(super) qty: u64,
}

/// The most changes that are kept one by one; after more, the whole book goes out again. So a patch fits into a message
/// of 64 KiB, which a broker accepts by default.
const CHANGED_LEVELS_MAX: usize = 1_000;

/// The part of a book that is to be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    /// These levels, each once.
    Levels(Vec<(Side, i64)>),
    /// All of it.
    Whole,
}

/// Quantities by price.
#[derive(Default)]
pub(super) struct Levels {
    bids: BTreeMap<i64, u64>,
    asks: BTreeMap<i64, u64>,
    changed: Vec<(Side, i64)>,
    changed_wholly: bool,
}

impl Levels {
    /// Returns the levels of a side, the best first.
    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (bids, asks) = match side {
            Side::Bid => (Some(self.bids.iter().rev()), None),
            Side::Ask => (None, Some(self.asks.iter())),
        };
        let levels = bids.into_iter().flatten().chain(asks.into_iter().flatten());
        levels.map(|(&price, &qty)| Level { price, qty })
    }

    /// Returns the best level of a side.
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// Returns how many levels a side has.
    pub(super) fn depth(&self, side: Side) -> usize {
        match side {
            Side::Bid => self.bids.len(),
            Side::Ask => self.asks.len(),
        }
    }

    /// Returns the quantity at a price; 0 if there is no such level.
    pub(super) fn qty(&self, side: Side, price: i64) -> u64 {
        match side {
            Side::Bid => self.bids.get(&price),
            Side::Ask => self.asks.get(&price),
        }
        .copied()
        .unwrap_or(0)
    }

    /// Sets the quantity at a price; 0 removes the level.
    pub(super) fn set(&mut self, side: Side, price: i64, qty: u64) {
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        let before = if qty == 0 { levels.remove(&price) } else { levels.insert(price, qty) };
        if before.unwrap_or(0) != qty {
            self.note(side, price);
        }
    }

    /// Replaces all levels of a side.
    pub(super) fn set_side(&mut self, side: Side, levels: &[Level]) {
        let gone: Vec<i64> = self
            .levels(side)
            .map(|level| level.price)
            .filter(|price| levels.iter().all(|level| level.price != *price))
            .collect();
        for price in gone {
            self.set(side, price, 0);
        }
        for level in levels {
            self.set(side, level.price, level.qty);
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.changed.clear();
        self.changed_wholly = true;
    }

    /// Returns what changed since the last call.
    pub(super) fn take_changed(&mut self) -> Changed {
        let changed = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.changed_wholly) {
            return Changed::Whole;
        }
        if changed.is_empty() { Changed::Nothing } else { Changed::Levels(changed) }
    }

    fn note(&mut self, side: Side, price: i64) {
        // The last entries are the most likely ones. The list is short except while a snapshot is read.
        if self.changed_wholly || self.changed.iter().rev().any(|changed| *changed == (side, price)) {
            return;
        }
        if self.changed.len() == CHANGED_LEVELS_MAX {
            self.changed.clear();
            self.changed_wholly = true;
        } else {
            self.changed.push((side, price));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once() {
        let mut book = Levels::default();
        assert_eq!(book.take_changed(), Changed::Nothing);
        book.set(Side::Bid, 10, 5);
        book.set(Side::Bid, 10, 6);
        book.set(Side::Ask, 10, 0);
        assert_eq!(book.take_changed(), Changed::Levels(vec![(Side::Bid, 10)]));
        book.set_side(Side::Bid, &[Level { price: 9, qty: 1 }, Level { price: 8, qty: 2 }]);
        assert_eq!(book.take_changed(), Changed::Levels(vec![(Side::Bid, 10), (Side::Bid, 9), (Side::Bid, 8)]));
        assert_eq!(book.best(Side::Bid), Some(Level { price: 9, qty: 1 }));
        book.clear();
        assert_eq!(book.take_changed(), Changed::Whole);
        assert_eq!(book.depth(Side::Bid), 0);
        for price in 0..=CHANGED_LEVELS_MAX as i64 {
            book.set(Side::Ask, price, 1);
        }
        assert_eq!(book.take_changed(), Changed::Whole);
    }
}
