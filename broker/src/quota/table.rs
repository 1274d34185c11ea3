//! What is remembered of many, in bounded memory.
//!
//! There are two generations. What is used goes into the young one. When that is full, it becomes the old one, and the
//! old one is forgotten as a whole: of all that were used, those that were used longest ago. So nothing has to be kept
//! in order.

use std::collections::HashMap;
use std::hash::Hash;

/// A table of at most twice its generation's number of entries.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    generation_max: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// Makes a table for at most `max` entries.
    pub(super) fn new(max: usize) -> Self {
        Self { generation_max: max / 2, young: HashMap::new(), old: HashMap::new() }
    }

    /// Returns an entry, a new one if there is none.
    pub(super) fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if !self.young.contains_key(&key) && self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with_key(|key| old.remove(key).unwrap_or_default())
    }

    /// Takes an entry out.
    pub(super) fn take<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_used_longest_ago_are_forgotten() {
        let mut table: Table<u32, u32> = Table::new(100);
        for key in 0..10_000 {
            *table.entry(key) += key;
            // One that is used all the time, and one that is used every forty keys.
            *table.entry(1_000_000) += 1;
            if key % 40 == 0 {
                *table.entry(2_000_000) += 1;
            }
            assert!(table.young.len() + table.old.len() <= 100, "{key}");
        }
        assert_eq!((*table.entry(1_000_000), *table.entry(2_000_000)), (10_000, 250));
        // At least the last half is remembered, and nothing from long ago.
        for key in (9_960..10_000).rev() {
            assert_eq!(table.take(&key), Some(key));
            assert_eq!(table.take(&key), None);
        }
        assert!((0..9_800).all(|key| table.take(&key).is_none()));
    }
}
