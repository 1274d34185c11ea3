//! Segments: the parts of the feed, each with slots that are written once and then only read.

use std::sync::OnceLock;

use crate::sync::Arc;
#[cfg(loom)]
use crate::sync::{AtomicBool, Ordering};

#[cfg(not(loom))]
pub(super) const SEGMENT_SLOTS: usize = 1024;
#[cfg(loom)]
pub(super) const SEGMENT_SLOTS: usize = 3;

/// A write-once cell whose readiness loom can see; the standard library's `OnceLock` has no model.
pub(super) struct Slot<T> {
    #[cfg(loom)]
    ready: AtomicBool,
    cell: OnceLock<T>,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(loom)]
            ready: AtomicBool::new(false),
            cell: OnceLock::new(),
        }
    }

    pub(super) fn set(&self, value: T) {
        let was_empty = self.cell.set(value).is_ok();
        debug_assert!(was_empty, "a slot of the feed is written once");
        #[cfg(loom)]
        self.ready.store(true, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<&T> {
        #[cfg(loom)]
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        self.cell.get()
    }
}

/// A part of the log.
pub(super) struct Segment<T> {
    pub(super) slots: Box<[Slot<T>]>,
    /// The one behind it.
    pub(super) next: Slot<Arc<Segment<T>>>,
}

impl<T> Segment<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { slots: (0..SEGMENT_SLOTS).map(|_| Slot::new()).collect(), next: Slot::new() })
    }
}

impl<T> Drop for Segment<T> {
    // A long chain whose last owner is dropped would otherwise be dropped recursively, one stack frame per segment.
    #[cfg(not(loom))]
    fn drop(&mut self) {
        let mut next = self.next.cell.take();
        while let Some(segment) = next {
            next = Arc::into_inner(segment).and_then(|mut segment| segment.next.cell.take());
        }
    }
    #[cfg(loom)]
    fn drop(&mut self) {}
}
