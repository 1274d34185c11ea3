//! The clock of a run.

use rustix::time::{ClockId, clock_gettime};

/// Added to the kernel's monotonic clock, so that all times have the same number of digits for longer than any machine
/// is up: time stamps are written as JSON numbers, and updates keep their length.
pub(crate) const FIRST_NS: u64 = 1_000_000_000_000_000_000;

/// Nanoseconds of the kernel's monotonic clock, which all processes of a machine share, counted from [`FIRST_NS`].
pub(crate) fn mono_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    FIRST_NS + now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Microseconds since the UNIX epoch, like the time stamps of brokers.
pub(crate) fn wall_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Seconds in nanoseconds.
pub(crate) fn seconds_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Waits between two checks of a condition without a notification, such as the start of another process, or until the
/// machine is quiet.
#[allow(clippy::disallowed_methods, reason = "nothing can wake a thread that waits for another process, or for quiet")]
pub(crate) fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
