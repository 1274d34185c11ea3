//! What the journal tells of itself: to metrics, to the readiness check and to the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters and gauges, written by the journal's thread and read by everyone.
#[derive(Debug, Default)]
pub struct Status {
    /// The position of the last record that was applied.
    pub position: AtomicU64,
    /// Commands that were applied since the log began.
    pub commands: AtomicU64,
    /// Records that were written in this run.
    pub records: AtomicU64,
    /// Bytes of these.
    pub written_bytes: AtomicU64,
    /// Bytes of all records that are on disk.
    pub log_bytes: AtomicU64,
    /// Syncs in this run, and how long they took together, in µs.
    pub syncs: AtomicU64,
    /// See [`Status::syncs`].
    pub sync_us: AtomicU64,
    /// How often writing, syncing or a checkpoint failed in this run.
    pub failures: AtomicU64,
    /// Publishes that were refused because the log could not be written.
    pub unavailable: AtomicU64,
    /// Checkpoints that were completed in this run.
    pub checkpoints: AtomicU64,
    /// When the newest checkpoint was begun, in µs since the UNIX epoch; 0 if there is none.
    pub checkpoint_us: AtomicU64,
    /// Its size in bytes.
    pub checkpoint_bytes: AtomicU64,
    /// Topics that came from a checkpoint at the start.
    pub topics_restored: AtomicU64,
    /// While the log is read at the start: the position that has been reached, and the last one.
    pub read_to: AtomicU64,
    /// See [`Status::read_to`].
    pub read_end: AtomicU64,
    is_read: AtomicBool,
    failed: Mutex<Option<Box<str>>>,
}

impl Status {
    /// Why nothing can be published, if nothing can.
    pub fn failed(&self) -> Option<Box<str>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the log has been read.
    pub fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// How much of the log has been read at the start, in percent.
    pub fn read_percent(&self) -> u64 {
        let (to, end) = (get(&self.read_to), get(&self.read_end));
        if end == 0 { 0 } else { (to.min(end) as u128 * 100 / u128::from(end)) as u64 }
    }

    pub(super) fn set_failed(&self, why: Option<&str>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = why.map(Into::into);
    }

    pub(super) fn set_read(&self) {
        self.is_read.store(true, Ordering::Release);
    }
}

/// Reads a counter.
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(super) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}

pub(super) fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}
