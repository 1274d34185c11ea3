//! The machine's clocks. The engine reads none itself.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use broker_engine::Now;

/// Returns the present time by both clocks.
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    // A clock set before 1970 counts as 1970: that gives a wrong `ts`, but is no reason to stop.
    let wall_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    Now { mono_us: start.elapsed().as_micros() as u64 + 1, wall_us }
}
