//! The clock of a run.

use rustix::time::{ClockId, clock_gettime};

/// Added to the kernel's monotonic clock, so that for longer than any machine has been up a moment has as many digits as
/// the first one: time stamps are written as JSON numbers, and updates keep their length.
pub(crate) const FIRST_NS: u64 = 1_000_000_000_000_000_000;

/// Nanoseconds of the kernel's monotonic clock, which every process of a machine shares, from [`FIRST_NS`] on.
pub(crate) fn mono_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    FIRST_NS + now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Microseconds since the UNIX epoch, as the brokers' own time stamps are.
pub(crate) fn wall_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Seconds in nanoseconds.
pub(crate) fn seconds_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Waits between two looks at a condition that nobody tells of, as another process's beginning; or until things rest.
#[allow(clippy::disallowed_methods, reason = "who waits for a process of others, or for quiet, cannot be woken")]
pub(crate) fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
