//! Waking a shard that sleeps.
//!
//! A publisher appends, then wakes a shard only if it sleeps (`awake` was false). A shard about to sleep sets `awake`
//! to false, looks once more, and only then sleeps. Either the publisher sees `false` and wakes it, or the shard sees
//! the entry. `tests/loom_feed.rs` tries every interleaving of the two.

use super::FIRST_BYTE;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// How one shard is notified that there is something to read.
pub struct Wake {
    /// False only while the shard sleeps or is about to. Set by publishers and by the shard itself when it wakes.
    awake: AtomicBool,
    notify: Box<dyn Fn() + Send + Sync>,
    /// `end_bytes` of the last entry that the shard took in; written by the shard, read by publishers.
    pub(super) read_bytes: AtomicU64,
}

impl Wake {
    pub(super) fn new(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { awake: AtomicBool::new(true), notify, read_bytes: AtomicU64::new(FIRST_BYTE) }
    }

    /// Makes sure that the shard looks at the feed again from now on.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            (self.notify)();
        }
    }

    /// Called by the shard before it sleeps; afterwards it must look at everything once more before it does.
    pub fn about_to_sleep(&self) {
        self.awake.swap(false, Ordering::AcqRel);
    }

    /// Called by the shard once it runs again.
    pub fn woke(&self) {
        // Not a plain store: that could fall between the shard and a publisher that found it awake, and the next
        // `about_to_sleep` would not see what that publisher appended (loom found it).
        self.awake.swap(true, Ordering::AcqRel);
    }
}
