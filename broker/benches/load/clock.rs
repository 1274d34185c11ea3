//! The clock of a benchmark.

use std::sync::OnceLock;
use std::time::Instant;

/// The clock starts here, so that for two hours and a half a moment has as many digits as the first one: time stamps are
/// written in place, and frames keep their length.
const FIRST_NS: u64 = 1_000_000_000_000;

/// Digits of a moment.
pub(super) const DIGITS: usize = 13;

/// Nanoseconds of a monotonic clock.
pub(crate) fn mono_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    FIRST_NS + START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Seconds in nanoseconds.
pub(crate) fn seconds_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Moments at a fixed rate from a start on, whether or not anybody was in time for them.
#[derive(Debug, Clone)]
pub(crate) struct Every {
    start_ns: u64,
    per_second: f64,
    count: u64,
}

impl Every {
    pub(crate) fn new(start_ns: u64, per_second: f64) -> Self {
        Self { start_ns, per_second, count: 0 }
    }

    /// When the next one is.
    pub(crate) fn due_ns(&self) -> u64 {
        self.start_ns + (self.count as f64 * 1e9 / self.per_second) as u64
    }

    /// The next one, if it has come.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.due_ns();
        if due_ns > now_ns {
            return None;
        }
        self.count += 1;
        Some(due_ns)
    }
}
