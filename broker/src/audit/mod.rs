//! The audit log (`audit_log`): who was let in and who was not, and what operators did, as JSON lines. It is apart from
//! the log of the broker's own condition, because other people read it, and keep it longer.
//!
//! Like the log, it never waits for a disk or a reader. A line that cannot be written, or for which there is no room, is
//! lost, counted, and reported in the audit log itself as soon as lines can be written again. Refusals are what a
//! stranger can cause without end, so they have a rate of their own. No line has a token in it, or a part of one.

mod event;
mod writer;

use std::io;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use broker_engine::Now;

pub use self::event::Event;
use self::writer::Writer;
use crate::config::AuditLog;
use crate::sync::{read, write};

/// Lines about refusals: this many at once, and one more in each interval after that.
const REFUSALS: u64 = 1000;
const REFUSAL_INTERVAL_US: u64 = 10_000;

/// The audit log of a broker.
#[derive(Debug, Default)]
pub struct Audit {
    writer: RwLock<Option<Writer>>,
    /// When the room for refusals is whole again, on the monotonic clock.
    refusals_full_us: AtomicU64,
    /// Lines of earlier files that were lost.
    lost: AtomicU64,
}

/// A file that is open and not written to yet.
#[derive(Debug)]
pub(crate) struct Opened(Option<Writer>);

impl Audit {
    /// Makes an audit log that writes nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Opens a file to write to, or standard output. Nothing is written to it before [`Audit::write_to`].
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the thread that writes cannot be started.
    pub(crate) fn open(to: &AuditLog) -> io::Result<Opened> {
        to.open()?.map(Writer::start).transpose().map(Opened)
    }

    /// Writes to this from now on. What was to be written before still is.
    pub(crate) fn write_to(&self, opened: Opened) {
        let before = std::mem::replace(&mut *write(&self.writer), opened.0);
        self.lost.fetch_add(before.map_or(0, |before| before.lost()), Ordering::Relaxed);
    }

    /// Lines that were lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) + read(&self.writer).as_ref().map_or(0, Writer::lost)
    }

    /// Writes down what happened, if there is an audit log. Never waits.
    pub fn record(&self, now: Now, event: &Event<'_>) {
        let writer = read(&self.writer);
        let Some(writer) = &*writer else { return };
        match event.is_refusal() && !self.may_report_refusal(now) {
            true => writer.lose(1),
            false => writer.write(event.line(now.wall_us)),
        }
    }

    /// Counts lines as lost that nobody has made, because there were too many.
    pub(crate) fn lose(&self, lines: u64) {
        if lines > 0
            && let Some(writer) = &*read(&self.writer)
        {
            writer.lose(lines);
        }
    }

    /// Takes the room of one refusal, if there is some left (GCRA).
    fn may_report_refusal(&self, now: Now) -> bool {
        let room_us = REFUSALS * REFUSAL_INTERVAL_US;
        let take = |full_us: u64| {
            let full_us = full_us.max(now.mono_us) + REFUSAL_INTERVAL_US;
            (full_us <= now.mono_us + room_us).then_some(full_us)
        };
        self.refusals_full_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_a_rate() {
        let audit = Audit::new();
        let at = |mono_us| Now { mono_us, wall_us: 0 };
        let taken = |at: Now, of: usize| (0..of).filter(|_| audit.may_report_refusal(at)).count();
        assert_eq!(taken(at(50), 5000), 1000);
        assert_eq!(taken(at(50 + 3 * REFUSAL_INTERVAL_US), 5000), 3);
        assert_eq!(taken(at(3_600_000_000), 5000), 1000);
    }
}
