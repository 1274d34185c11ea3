//! The levels of a book: a number that orders them, and the text that the venue wrote.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal;

/// A change of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The index of the book's side.
    pub(crate) side: usize,
    /// The number that orders the side: the level's price, or its position in a ladder.
    pub(crate) rank: Decimal,
    /// The key under which the level is published if it is new.
    pub(crate) key: Box<str>,
    /// The new content as JSON; `None` if the level is gone.
    pub(crate) value: Option<Box<str>>,
}

impl Change {
    /// Makes a change of the quantity at a price; a quantity of zero means that the level is gone.
    pub(crate) fn of_price(side: usize, px: &str, qty: &str) -> Result<Self, String> {
        let rank = decimal::read(px)?;
        let value = if decimal::read(qty)?.is_zero() { None } else { Some(format!(r#""{qty}""#).into()) };
        Ok(Change { side, rank, key: px.into(), value })
    }
}

/// A level of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    /// The number in its first spelling; later spellings of the same number (`1.0`, `1.00`) are published under this
    /// key.
    pub(crate) key: Box<str>,
    /// The content as JSON.
    pub(crate) value: Box<str>,
}

impl Level {
    /// Returns the value without the quotes of a JSON string.
    pub(crate) fn qty(&self) -> &str {
        self.value.trim_matches('"')
    }

    fn bytes(&self) -> usize {
        level_bytes(&self.key, &self.value)
    }
}

/// Returns how many bytes a level takes when it is published as `"key":value,`.
pub(crate) fn level_bytes(key: &str, value: &str) -> usize {
    key.len() + value.len() + 4
}

/// The end of a side that is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Best {
    /// Of bids.
    Highest,
    /// Of asks, and of positions in a ladder.
    Lowest,
}

/// One side of a book.
#[derive(Debug)]
pub(crate) struct Side {
    /// The name in the published book.
    pub(crate) name: &'static str,
    best: Best,
    levels: BTreeMap<Decimal, Level>,
    bytes: usize,
}

impl Side {
    pub(super) fn new(name: &'static str, best: Best) -> Self {
        Side { name, best, levels: BTreeMap::new(), bytes: 0 }
    }

    /// Returns the levels, the best first.
    pub(crate) fn best_first(&self) -> Box<dyn Iterator<Item = &Level> + '_> {
        match self.best {
            Best::Highest => Box::new(self.levels.values().rev()),
            Best::Lowest => Box::new(self.levels.values()),
        }
    }

    /// Returns the best level.
    pub(crate) fn best(&self) -> Option<&Level> {
        self.best_first().next()
    }

    /// Returns how many levels there are.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Returns how many bytes the levels take when they are published.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.bytes = 0;
    }

    pub(super) fn get(&self, rank: &Decimal) -> Option<&Level> {
        self.levels.get(rank)
    }

    /// Returns the levels above `rank`, or all of them.
    pub(super) fn after(&self, rank: Option<Decimal>) -> impl Iterator<Item = (&Decimal, &Level)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.levels.range((rank.map_or(Unbounded, Excluded), Unbounded))
    }

    /// Applies a change. Returns the key that the level has, or had.
    pub(super) fn apply(&mut self, change: Change) -> Box<str> {
        let Change { rank, key, value, .. } = change;
        match value {
            Some(value) => {
                let level = self.levels.entry(rank).or_insert_with(|| Level { key, value: "".into() });
                self.bytes += value.len();
                self.bytes += if level.value.is_empty() { level_bytes(&level.key, "") } else { 0 };
                self.bytes -= level.value.len();
                level.value = value;
                level.key.clone()
            }
            None => match self.levels.remove(&rank) {
                Some(level) => {
                    self.bytes -= level.bytes();
                    level.key
                }
                None => key,
            },
        }
    }

    /// Removes the worst levels until there are no more than `depth`, and returns their ranks and keys.
    pub(super) fn truncate(&mut self, depth: usize) -> Vec<(Decimal, Box<str>)> {
        let mut gone = Vec::new();
        while self.levels.len() > depth {
            let worst = match self.best {
                Best::Highest => self.levels.pop_first(),
                Best::Lowest => self.levels.pop_last(),
            };
            if let Some((rank, level)) = worst {
                self.bytes -= level.bytes();
                gone.push((rank, level.key));
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_keeps_its_first_spelling_and_its_bytes_are_counted() {
        let mut side = Side::new("bids", Best::Highest);
        let change = |px: &str, qty: &str| Change::of_price(0, px, qty).expect("numbers");
        assert_eq!(&*side.apply(change("1.0", "5")), "1.0");
        assert_eq!(&*side.apply(change("1.00", "70")), "1.0");
        assert_eq!(&*side.apply(change("2", "1")), "2");
        assert_eq!(side.bytes(), side.best_first().map(Level::bytes).sum::<usize>());
        assert_eq!(side.best().map(Level::qty), Some("1"));
        assert_eq!(side.truncate(1).len(), 1);
        assert_eq!(&*side.apply(change("2.0", "0.00")), "2");
        assert_eq!((side.len(), side.bytes()), (0, 0));
    }
}
