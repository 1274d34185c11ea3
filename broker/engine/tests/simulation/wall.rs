//! The wall clock of a machine: somebody sets it now and then, forwards or back, while the monotonic clock goes on.

use super::dice::Dice;

/// The wall clock when the monotonic one is at 0, in µs.
const BEGIN_US: u64 = 1_700_000_000_000_000;

/// By how much it is set, in µs: a correction, a summer time that should be none, a machine that slept.
const STEPS_US: [i64; 8] = [-20, 20, -500_000, 500_000, -3_600_000_000, 3_600_000_000, -7_200_000_000, 7_200_000_000];

/// How often it is set, in a hundred passages of time.
const PERCENT: u32 = 15;

pub struct Wall {
    /// Its own dice: the histories of the seeds stay what they are.
    dice: Dice,
    offset_us: i64,
    pub times_set_back: u64,
}

impl Wall {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed ^ 0xc10c), offset_us: 0, times_set_back: 0 }
    }

    /// What it shows at this time of the monotonic clock.
    pub fn at(&self, mono_us: u64) -> u64 {
        (BEGIN_US + mono_us).saturating_add_signed(self.offset_us)
    }

    /// Time passes. Returns by how much the clock was set meanwhile.
    pub fn pass(&mut self) -> Option<i64> {
        let by_us = self.dice.percent(PERCENT).then(|| self.dice.pick(&STEPS_US))?;
        self.offset_us += by_us;
        self.times_set_back += u64::from(by_us < 0);
        Some(by_us)
    }
}
