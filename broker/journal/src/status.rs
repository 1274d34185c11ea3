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
    /// The most that there may be of these.
    pub log_bytes_max: AtomicU64,
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
    /// While the log is read at the start: the position of the checkpoint after which it is read, the one that has been
    /// reached, and the last one.
    pub read_from: AtomicU64,
    /// See [`Status::read_from`].
    pub read_to: AtomicU64,
    /// See [`Status::read_from`].
    pub read_end: AtomicU64,
    is_read: AtomicBool,
    checkpoint_failed: AtomicBool,
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

    /// How much has been read at the start of what follows the checkpoint, from 0 to 1. It is 0 while the checkpoint is
    /// read.
    pub fn read_ratio(&self) -> f64 {
        if self.is_read() {
            return 1.0;
        }
        let (from, to, end) = (get(&self.read_from), get(&self.read_to), get(&self.read_end));
        let (done, all) = (to.min(end).saturating_sub(from), end.saturating_sub(from));
        if all == 0 { 0.0 } else { done as f64 / all as f64 }
    }

    /// Whether the newest checkpoint that was begun could not be written.
    pub fn checkpoint_failed(&self) -> bool {
        self.checkpoint_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_checkpoint_failed(&self, failed: bool) {
        self.checkpoint_failed.store(failed, Ordering::Relaxed);
    }

    pub(crate) fn set_failed(&self, why: Option<&str>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = why.map(Into::into);
    }

    pub(crate) fn set_read(&self) {
        self.is_read.store(true, Ordering::Release);
    }
}

/// Reads a counter.
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(crate) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}

pub(crate) fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_from_the_checkpoint_to_the_end() {
        let status = Status::default();
        assert_eq!(status.read_ratio(), 0.0);
        set(&status.read_end, 1000);
        assert_eq!(status.read_ratio(), 0.0);
        set(&status.read_from, 800);
        for (to, ratio) in [(800, 0.0), (850, 0.25), (1000, 1.0), (2000, 1.0)] {
            set(&status.read_to, to);
            assert_eq!(status.read_ratio(), ratio, "{to}");
        }
        // Nothing follows the checkpoint.
        set(&status.read_from, 1000);
        assert_eq!(status.read_ratio(), 0.0);
        status.set_read();
        assert_eq!(status.read_ratio(), 1.0);
    }
}
