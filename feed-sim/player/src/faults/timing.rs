//! Faults of time: when an update is due, and how far the source's clock is off.

/// Bursts and the source's clock.
#[derive(Default)]
pub(super) struct Timing {
    last_due_us: u64,
    hold_until_us: u64,
    skew_us: i64,
    drift_ppm: i64,
}

impl Timing {
    pub(super) fn set_drift(&mut self, ppm: i64) {
        self.drift_ppm = ppm;
    }

    pub(super) fn is_held_up(&self, now_us: u64) -> bool {
        now_us < self.hold_until_us
    }

    /// Holds up everything until `until_us`.
    pub(super) fn hold_up(&mut self, until_us: u64) {
        self.hold_until_us = until_us;
    }

    /// Sets how far the source's clock is off from now on.
    pub(super) fn set_clock(&mut self, skew_us: i64) {
        self.skew_us = skew_us;
    }

    /// When an update that would be due at `now_us` is due: never before the last one.
    pub(super) fn due_us(&mut self, now_us: u64) -> u64 {
        let due_us = if self.is_held_up(now_us) { self.hold_until_us } else { now_us };
        self.last_due_us = self.last_due_us.max(due_us);
        self.last_due_us
    }

    /// How far off the source's clock is.
    pub(super) fn offset_us(&self, now_us: u64) -> i64 {
        let drift_us = i128::from(now_us) * i128::from(self.drift_ppm) / 1_000_000;
        i64::try_from(drift_us).unwrap_or(i64::MAX).saturating_add(self.skew_us)
    }
}
