//! A level of a book: a decimal number that orders it, and the text that the venue wrote.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal;

/// What is to become of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which of the book's sides.
    pub(crate) side: usize,
    /// Where the level stands.
    pub(crate) place: Decimal,
    /// Its key, as it is published where the level is new.
    pub(crate) key: Box<str>,
    /// Its new content as JSON; `None` where it is gone.
    pub(crate) value: Option<Box<str>>,
}

impl Change {
    /// A quantity at a price; a quantity of zero says that the level is gone.
    pub(crate) fn of_price(side: usize, px: &str, qty: &str) -> Result<Self, String> {
        let place = decimal::read(px)?;
        let value = if decimal::read(qty)?.is_zero() { None } else { Some(format!(r#""{qty}""#).into()) };
        Ok(Change { side, place, key: px.into(), value })
    }
}

/// A level as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    /// As it was written first; later spellings of the same number (`1.0`, `1.00`) mean this key.
    pub(crate) key: Box<str>,
    /// Its content as JSON.
    pub(crate) value: Box<str>,
}

impl Level {
    /// What its value says without the quotes of a JSON string.
    pub(crate) fn qty(&self) -> &str {
        self.value.trim_matches('"')
    }

    fn bytes(&self) -> usize {
        level_bytes(&self.key, &self.value)
    }
}

/// A level is written as `"key":value,`.
pub(crate) fn level_bytes(key: &str, value: &str) -> usize {
    key.len() + value.len() + 4
}

/// Which end of a side is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Best {
    /// Bids, and whatever else is counted downwards.
    Highest,
    /// Asks, and places that are counted upwards.
    Lowest,
}

/// One side of a book.
#[derive(Debug)]
pub(crate) struct Side {
    /// What it is called in the published book.
    pub(crate) name: &'static str,
    best: Best,
    levels: BTreeMap<Decimal, Level>,
    bytes: usize,
}

impl Side {
    pub(super) fn new(name: &'static str, best: Best) -> Self {
        Side { name, best, levels: BTreeMap::new(), bytes: 0 }
    }

    /// The levels, the best first.
    pub(crate) fn best_first(&self) -> Box<dyn Iterator<Item = &Level> + '_> {
        match self.best {
            Best::Highest => Box::new(self.levels.values().rev()),
            Best::Lowest => Box::new(self.levels.values()),
        }
    }

    /// The best level.
    pub(crate) fn best(&self) -> Option<&Level> {
        self.best_first().next()
    }

    /// How many levels there are.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// How many bytes they take when they are published.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.bytes = 0;
    }

    pub(super) fn get(&self, place: &Decimal) -> Option<&Level> {
        self.levels.get(place)
    }

    /// The levels above `place`, or all of them.
    pub(super) fn after(&self, place: Option<Decimal>) -> impl Iterator<Item = (&Decimal, &Level)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.levels.range((place.map_or(Unbounded, Excluded), Unbounded))
    }

    /// Makes a change; says the key that the level has, or had.
    pub(super) fn apply(&mut self, change: Change) -> Box<str> {
        let Change { place, key, value, .. } = change;
        match value {
            Some(value) => {
                let level = self.levels.entry(place).or_insert_with(|| Level { key, value: "".into() });
                self.bytes += value.len();
                self.bytes += if level.value.is_empty() { level_bytes(&level.key, "") } else { 0 };
                self.bytes -= level.value.len();
                level.value = value;
                level.key.clone()
            }
            None => match self.levels.remove(&place) {
                Some(level) => {
                    self.bytes -= level.bytes();
                    level.key
                }
                None => key,
            },
        }
    }

    /// Takes away the worst levels until there are no more than `depth`; says which.
    pub(super) fn truncate(&mut self, depth: usize) -> Vec<(Decimal, Box<str>)> {
        let mut gone = Vec::new();
        while self.levels.len() > depth {
            let worst = match self.best {
                Best::Highest => self.levels.pop_first(),
                Best::Lowest => self.levels.pop_last(),
            };
            if let Some((place, level)) = worst {
                self.bytes -= level.bytes();
                gone.push((place, level.key));
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
