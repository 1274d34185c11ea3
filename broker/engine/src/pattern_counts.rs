//! How many connections are subscribed to each pattern, over all shards, for listings.
//!
//! A listing adds up the counts of all patterns that match a name, in the worst case thousands of them. A shard that
//! changes a count meanwhile must not wait for that. Its change is put aside, and the next caller that gets the counts
//! applies it.

use std::sync::TryLockError;

use broker_protocol::pattern::Pattern;

use crate::sync::{Mutex, MutexGuard, lock};
use crate::trie::{Sum, Trie};

/// Nodes that changing a pattern's count costs as much as visiting: one for each of its 16 segments at most.
const NODES_PER_CHANGE: usize = 16;

/// The counts.
#[derive(Default)]
pub(crate) struct PatternCounts {
    counts: Mutex<Trie<u64>>,
    /// Changes that found the counts in use, in the order in which they were made. A listing holds the counts for a
    /// bounded number of nodes at a time, so the list is no longer than what shards can change in that time.
    aside: Mutex<Vec<(Pattern, i64)>>,
}

impl PatternCounts {
    /// Adds to a pattern's count. Never waits for a listing. Returns how many changes were made: 1, and those of other
    /// shards that had been put aside.
    pub(crate) fn add(&self, pattern: &Pattern, count: i64) -> usize {
        let mut counts = match self.counts.try_lock() {
            Ok(counts) => counts,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                lock(&self.aside).push((pattern.clone(), count));
                return 1;
            }
        };
        let others = self.take_over(&mut counts);
        change(&mut counts, pattern, count);
        1 + others
    }

    /// Continues the sum of all patterns that match `name`, visiting at most `*steps` nodes. Returns whether it is complete.
    pub(crate) fn add_up(&self, name: &str, sum: &mut Sum, steps: &mut usize) -> bool {
        let mut counts = lock(&self.counts);
        let changes = self.take_over(&mut counts);
        *steps = steps.saturating_sub(changes * NODES_PER_CHANGE);
        counts.add_up(name, sum, steps)
    }

    /// Makes the changes that were put aside. Returns how many.
    fn take_over(&self, counts: &mut MutexGuard<'_, Trie<u64>>) -> usize {
        // The list is free again before the changes are made: other shards add to it meanwhile.
        let aside = std::mem::take(&mut *lock(&self.aside));
        for (pattern, count) in &aside {
            change(counts, pattern, *count);
        }
        aside.len()
    }
}

fn change(counts: &mut Trie<u64>, pattern: &Pattern, by: i64) {
    let count = counts.entry(pattern, || 0);
    *count = count.saturating_add_signed(by);
    if *count == 0 {
        counts.remove(pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(counts: &PatternCounts, name: &str) -> u64 {
        let mut sum = Sum::default();
        assert!(counts.add_up(name, &mut sum, &mut usize::MAX.clone()));
        sum.value
    }

    #[test]
    fn a_change_during_a_listing_waits_for_nothing_and_counts_afterwards() {
        let counts = PatternCounts::default();
        let [all, some] = ["a.>", "a.*"].map(|text| Pattern::parse(text).expect("a pattern"));
        counts.add(&all, 2);
        let listing = lock(&counts.counts);
        assert_eq!([counts.add(&all, 1), counts.add(&some, 1), counts.add(&all, -3)], [1, 1, 1]);
        drop(listing);
        assert_eq!(sum(&counts, "a.b"), 1);
        counts.add(&some, -1);
        assert_eq!(sum(&counts, "a.b"), 0);
        let listing = lock(&counts.counts);
        counts.add(&some, 5);
        drop(listing);
        assert_eq!(counts.add(&some, -1), 2, "what was put aside comes first");
        assert_eq!(sum(&counts, "a.b"), 4);
        assert!(lock(&counts.counts).get(&all).is_none(), "what nobody is subscribed to is forgotten");
    }
}
