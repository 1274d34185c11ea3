//! The broker's resident memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::broker::{Broker, resident_kib};
use crate::patience::{Patience, Stop, pass};

/// The interval between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Memory has settled when it has not changed by more than [`QUIET_KIB`] for this long.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_KIB: u64 = 256;

/// Records the highest value.
pub(super) fn watch(pid: u32, stop: &Stop, peak_kib: &AtomicU64) {
    while !stop.is_stopped() {
        peak_kib.fetch_max(resident_kib(pid), Ordering::Relaxed);
        Patience::of(LOOK).or(stop).pass();
    }
}

/// Waits until memory has settled at or below `goal_kib`, or the time is over. Returns its value then.
pub(crate) fn settled(broker: &Broker, goal_kib: u64, limit: Duration) -> u64 {
    let end = Instant::now() + limit;
    let mut since = (Instant::now(), broker.resident_kib());
    loop {
        pass(LOOK);
        let now = (Instant::now(), broker.resident_kib());
        if now.1.abs_diff(since.1) > QUIET_KIB {
            since = now;
        }
        let is_settled = now.0 - since.0 > QUIET && now.1 <= goal_kib;
        if is_settled || now.0 > end {
            return now.1;
        }
    }
}
