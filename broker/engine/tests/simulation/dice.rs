//! The source of all randomness in a history, so that its seed determines everything.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Returns true with this chance in a hundred.
    pub fn percent(&mut self, chance: u32) -> bool {
        self.0.random_range(0..100) < chance
    }

    pub fn range(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// An index drawn in proportion to these weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut at = self.0.random_range(0..weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if at < *weight {
                return index;
            }
            at -= weight;
        }
        unreachable!("the weights were summed")
    }
}
