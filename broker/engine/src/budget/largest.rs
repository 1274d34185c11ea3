//! Which shard has the largest holder of a shared sum: each shard publishes the size class of its own largest holder,
//! so that the largest of all pays.

use std::sync::atomic::{AtomicU8, Ordering};

use super::shared::{SHARED_SUMS, SharedSum};
use crate::shard_set::SHARDS_MAX;

/// The size class of the largest holder of each sum, by shard. Written by the shards, each its own; read by all.
pub(crate) struct Largest([[AtomicU8; SHARDS_MAX]; SHARED_SUMS]);

impl Default for Largest {
    fn default() -> Self {
        Self(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU8::new(0))))
    }
}

impl Largest {
    pub(crate) fn set(&self, sum: SharedSum, shard: usize, class: u32) {
        let held = &self.0[sum as usize][shard];
        // The class rarely changes: without a store, the other shards keep the value in their caches.
        if u32::from(held.load(Ordering::Relaxed)) != class {
            held.store(class as u8, Ordering::Relaxed);
        }
    }

    /// Calls `each` with every other shard whose largest holder is in a higher class.
    pub(crate) fn each_larger(&self, sum: SharedSum, shard: usize, class: u32, mut each: impl FnMut(usize)) {
        for (other, held) in self.0[sum as usize].iter().enumerate() {
            if other != shard && u32::from(held.load(Ordering::Relaxed)) > class {
                each(other);
            }
        }
    }

    pub(crate) fn is_larger_elsewhere(&self, sum: SharedSum, shard: usize, class: u32) -> bool {
        let mut larger = false;
        self.each_larger(sum, shard, class, |_| larger = true);
        larger
    }
}
