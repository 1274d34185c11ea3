//! The progress of a run, for display.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::schedule::Newest;

/// A run at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Updates handed to the target.
    pub published: u64,
    /// Updates that were refused.
    pub rejected: u64,
    /// Connections that replaced a lost one.
    pub reconnects: u64,
    /// Records read from the recording; 0 for a simulated feed.
    pub records: u64,
    /// Bytes read of the recording's file, and its size; `None` if there is no file.
    pub read_bytes: Option<(u64, u64)>,
    /// The newest update.
    pub newest: Newest,
    /// When the next update is or was due, after the start; `None` if no update has a time.
    pub next_due: Option<Duration>,
}

/// How much of a recording has been read, before it is decompressed. The thread that reads it writes here.
#[derive(Debug, Default)]
pub struct Recording {
    read_bytes: AtomicU64,
    /// 0 if it is unknown.
    whole_bytes: AtomicU64,
}

impl Recording {
    /// Notes that reading begins, or begins again.
    pub fn begin(&self) {
        self.read_bytes.store(0, Ordering::Relaxed);
    }

    /// Notes the size of the recording's file.
    pub fn set_whole_bytes(&self, bytes: u64) {
        self.whole_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Notes that `bytes` more bytes were read.
    pub fn add_read_bytes(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read of the file, in the current round if it is played more than once.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// The size of the file in bytes, if it is known.
    pub fn whole_bytes(&self) -> Option<u64> {
        Some(self.whole_bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }
}

/// The newest [`Snapshot`]: written by the run at each turn, read by the display.
#[derive(Debug, Default)]
pub struct Progress {
    newest: Mutex<Snapshot>,
    recording: Arc<Recording>,
}

impl Progress {
    /// The progress of a run that plays this recording.
    pub fn of_recording(recording: Arc<Recording>) -> Self {
        Progress { recording, ..Progress::default() }
    }

    /// The progress now.
    pub fn snapshot(&self) -> Snapshot {
        let read_bytes = self.recording.whole_bytes().map(|whole_bytes| (self.recording.read_bytes(), whole_bytes));
        Snapshot { read_bytes, ..*self.newest.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    pub(crate) fn note(&self, snapshot: Snapshot) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Snapshot {
    /// The line to show at `now` after the start, when `before` was shown at `before_now`: elapsed time, number of
    /// updates, rate since then, time on the feed's own clock, lag, and errors.
    pub fn line(&self, now: Duration, before: &Snapshot, before_now: Duration) -> String {
        let seconds = now.saturating_sub(before_now).as_secs_f64();
        let updates = self.published.saturating_sub(before.published);
        let rate = if seconds > 0.0 { updates as f64 / seconds } else { 0.0 };
        let feed = clock(Duration::from_micros(self.newest.due_us));
        let mut line = format!("{}  {} published  {rate:.0}/s  feed at {feed}", clock(now), self.published);
        // A `String` takes whatever is written to it.
        if self.records > 0 {
            let _ = write!(line, "  {} records", self.records);
        }
        if let Some((read_bytes, whole_bytes)) = self.read_bytes {
            let percent = 100.0 * read_bytes as f64 / whole_bytes.max(1) as f64;
            let _ = write!(line, "  {percent:.0}% of the file");
        }
        // The lag grows also while the target takes nothing.
        if let Some(due) = self.next_due {
            let _ = write!(line, "  lag {:.1} s", now.saturating_sub(due).as_secs_f64());
        }
        for (count, what) in [(self.rejected, "rejected"), (self.reconnects, "reconnects")] {
            if count > 0 {
                let _ = write!(line, "  {count} {what}");
            }
        }
        line
    }
}

/// `h:mm:ss`.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let s = Duration::from_secs;
        let before = Snapshot { published: 1_000, ..Snapshot::default() };
        let newest = Newest { due_us: 3_725_000_000, due: None };
        let now = Snapshot { published: 3_000, newest, ..Snapshot::default() };
        assert_eq!(now.line(s(10), &before, s(6)), "0:00:10  3000 published  500/s  feed at 1:02:05");
        let late =
            Snapshot { next_due: Some(s(7)), rejected: 2, reconnects: 1, records: 5, read_bytes: Some((1, 8)), ..now };
        let line = late.line(s(10), &before, s(6));
        assert!(
            line.ends_with("feed at 1:02:05  5 records  12% of the file  lag 3.0 s  2 rejected  1 reconnects"),
            "{line}"
        );
        let in_time = Snapshot { next_due: Some(s(11)), ..late };
        assert!(
            in_time.line(s(10), &late, s(10)).contains("  0/s  feed at 1:02:05  5 records  12% of the file  lag 0.0 s")
        );
    }
}
