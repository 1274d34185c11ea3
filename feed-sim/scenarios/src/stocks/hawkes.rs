//! When orders arrive, and their kind: a multivariate Hawkes process, simulated exactly.
//!
//! Its intensities decay exponentially, on a few scales that all types share. So the excitation of a scale is one
//! number to simulate with (its sum over the types), and the type of an event is drawn in proportion to the types'
//! parts, which decay alike. Each scale's next event is drawn by inversion, as Dassios and Zhao (2013, "Exact
//! simulation of Hawkes process with exponentially decaying intensity") do for the one-dimensional process. That of the
//! background, which varies over the day, is drawn by thinning (Lewis and Shedler 1979). The earliest of these events
//! happens:
//!
//! ```text
//! scale s with excitation X:  the integral of X e^(-beta t) from 0 to T equals an exponential E
//!                             T = -ln(1 - beta E / X) / beta      or never, if beta E >= X
//! background:                 T += exponential / (mu * a_max), until a uniform number is below a(T) / a_max
//! ```
//!
//! An event costs three exponentials and some logarithms, however long the history.

use super::book::Side;
use super::parameters::{EVENT_SHARES, KERNEL_DECAYS_PER_S, KERNEL_WEIGHTS, OFFSPRING};
use feed_player::random::Random;

/// The class of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Limit,
    Market,
    Cancel,
}

/// An event type: a class and a side. The side is the side of the book for a limit order or a cancellation, and the
/// order's own side for a market order (bid for a buyer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) class: Class,
    pub(super) side: Side,
}

const CLASSES: [Class; 3] = [Class::Limit, Class::Market, Class::Cancel];
const TYPES: usize = 6;
const SCALES: usize = KERNEL_DECAYS_PER_S.len();

impl Kind {
    fn index(self) -> usize {
        2 * self.class as usize + self.side as usize
    }

    fn of(index: usize) -> Kind {
        Kind { class: CLASSES[index / 2], side: if index.is_multiple_of(2) { Side::Bid } else { Side::Ask } }
    }
}

/// n_ij: mean direct offspring of type i from an event of type j.
const fn offspring(i: usize, j: usize) -> f64 {
    OFFSPRING[i / 2][j / 2][if i % 2 == j % 2 { 0 } else { 1 }]
}

/// How much an event of type j adds to the intensity of type i on each scale, 1/s, as `JUMPS[j][scale][i]`.
static JUMPS: [[[f64; TYPES]; SCALES]; TYPES] = {
    let mut jumps = [[[0.0; TYPES]; SCALES]; TYPES];
    let mut at = 0;
    while at < TYPES * SCALES * TYPES {
        let (j, scale, i) = (at / (SCALES * TYPES), at / TYPES % SCALES, at % TYPES);
        jumps[j][scale][i] = offspring(i, j) * KERNEL_WEIGHTS[scale] * KERNEL_DECAYS_PER_S[scale];
        at += 1;
    }
    jumps
};

/// The excited part of the mean intensities, by type, for one event per second on average.
static EXCITED: [f64; TYPES] = {
    let mut excited = [0.0; TYPES];
    let mut at = 0;
    while at < TYPES * TYPES {
        let (i, j) = (at / TYPES, at % TYPES);
        excited[i] += offspring(i, j) * EVENT_SHARES[j / 2] / 2.0;
        at += 1;
    }
    excited
};

/// Background intensities by type, for one event per second on average: mu = (1 - n) * shares.
static BACKGROUND: [f64; TYPES] = {
    let mut background = [0.0; TYPES];
    let mut i = 0;
    while i < TYPES {
        background[i] = EVENT_SHARES[i / 2] / 2.0 - EXCITED[i];
        i += 1;
    }
    background
};

/// The sum of [`BACKGROUND`].
static BACKGROUND_SUM: f64 = {
    let mut sum = 0.0;
    let mut i = 0;
    while i < TYPES {
        sum += BACKGROUND[i];
        i += 1;
    }
    sum
};

/// How the background varies: its multiple at a time (µs), and the maximum of that multiple.
#[derive(Clone, Copy)]
pub(super) struct Activity {
    pub(super) at: fn(u64) -> f64,
    pub(super) max: f64,
}

/// The arrivals of one instrument.
pub(super) struct Hawkes {
    /// By scale and type, 1/s, at `at_us`.
    excitation: [[f64; TYPES]; SCALES],
    events_per_s: f64,
    at_us: u64,
    next_us: u64,
    /// The scale that the next event comes from; `None` for the background.
    scale: Option<usize>,
    random: Random,
}

impl Hawkes {
    /// Makes arrivals of `events_per_s` on average if the activity is 1 on average. Nothing arrives before a restart.
    pub(super) fn new(events_per_s: f64, random: Random) -> Self {
        let excitation = [[0.0; TYPES]; SCALES];
        Hawkes { excitation, events_per_s, at_us: 0, next_us: u64::MAX, scale: None, random }
    }

    /// When the next event is due; never while it is paused.
    pub(super) fn next_us(&self) -> u64 {
        self.next_us
    }

    /// Stops arrivals until a restart.
    pub(super) fn pause(&mut self) {
        self.next_us = u64::MAX;
    }

    /// Begins at `now_us` as if it had been running, `burst` times as excited as on average.
    pub(super) fn restart(&mut self, now_us: u64, burst: f64, activity: Activity) {
        for (scale, weight) in self.excitation.iter_mut().zip(KERNEL_WEIGHTS) {
            for (excitation, excited) in scale.iter_mut().zip(EXCITED) {
                *excitation = self.events_per_s * burst * weight * excited;
            }
        }
        self.at_us = now_us;
        self.draw_next(activity);
    }

    /// Advances to the next event and returns its kind. Call [`Hawkes::excite`] next.
    pub(super) fn arrive(&mut self) -> Kind {
        let elapsed_s = (self.next_us - self.at_us) as f64 / 1e6;
        self.at_us = self.next_us;
        for (scale, decay) in self.excitation.iter_mut().zip(KERNEL_DECAYS_PER_S) {
            let left = libm::exp(-decay * elapsed_s);
            scale.iter_mut().for_each(|excitation| *excitation *= left);
        }
        let parts = self.scale.map_or(&BACKGROUND, |scale| &self.excitation[scale]);
        let mut drawn = self.random.unit() * parts.iter().sum::<f64>();
        let index = parts.iter().position(|part| {
            drawn -= part;
            drawn < 0.0
        });
        // Rounding may leave a tiny rest.
        Kind::of(index.unwrap_or(TYPES - 1))
    }

    /// Excites further events by the event that happened, with the kind that it turned out to be, and draws when the
    /// next event is due.
    pub(super) fn excite(&mut self, kind: Kind, activity: Activity) {
        for (scale, jumps) in self.excitation.iter_mut().zip(&JUMPS[kind.index()]) {
            for (excitation, jump) in scale.iter_mut().zip(jumps) {
                *excitation += jump;
            }
        }
        self.draw_next(activity);
    }

    fn draw_next(&mut self, activity: Activity) {
        let (mut wait_s, mut from) = (f64::INFINITY, None);
        for (scale, decay) in KERNEL_DECAYS_PER_S.into_iter().enumerate() {
            let excitation: f64 = self.excitation[scale].iter().sum();
            let left = 1.0 - decay * self.random.exponential() / excitation;
            // False also without any excitation, when `left` is minus infinity.
            if left > 0.0 {
                let wait = -libm::log(left) / decay;
                if wait < wait_s {
                    (wait_s, from) = (wait, Some(scale));
                }
            }
        }
        let background_per_s = BACKGROUND_SUM * self.events_per_s * activity.max;
        let mut wait = 0.0;
        loop {
            wait += self.random.exponential() / background_per_s;
            if wait >= wait_s {
                break;
            }
            if self.random.unit() * activity.max < (activity.at)(self.at_us + micros(wait)) {
                (wait_s, from) = (wait, None);
                break;
            }
        }
        self.next_us = self.at_us + micros(wait_s);
        self.scale = from;
    }
}

/// Converts to microseconds, at least one: no two events of an instrument are due at once.
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spectral radius of the matrix n, by power iteration.
    fn branching_ratio() -> f64 {
        let (mut vector, mut ratio) = ([1.0; TYPES], 0.0);
        for _ in 0..200 {
            let next: [f64; TYPES] = std::array::from_fn(|i| (0..TYPES).map(|j| offspring(i, j) * vector[j]).sum());
            ratio = next.iter().fold(0.0_f64, |max, value| max.max(*value));
            vector = next.map(|value| value / ratio);
        }
        ratio
    }

    #[test]
    fn the_process_does_not_explode() {
        let ratio = branching_ratio();
        assert!((0.88..0.90).contains(&ratio), "{ratio}; parameters.rs and docs/market.md say 0.89");
        assert!(BACKGROUND.iter().all(|&background| background > 0.0), "{BACKGROUND:?}");
    }

    fn run(seconds: u64, seed: u64) -> Vec<(u64, Kind)> {
        let mut hawkes = Hawkes::new(20.0, Random::new(seed, 0));
        let steady = Activity { at: |_| 1.0, max: 1.0 };
        hawkes.restart(0, 1.0, steady);
        let mut events = Vec::new();
        while hawkes.next_us() < seconds * 1_000_000 {
            let kind = hawkes.arrive();
            events.push((hawkes.at_us, kind));
            hawkes.excite(kind, steady);
        }
        events
    }

    #[test]
    fn rates_and_shares_are_those_of_theory() {
        let (mut events, mut by_class) = (0.0, [0.0; 3]);
        for seed in 0..4 {
            for (_, kind) in run(5_000, seed) {
                events += 1.0;
                by_class[kind.class as usize] += 1.0;
            }
        }
        let rate: f64 = events / 20_000.0;
        assert!((rate / 20.0 - 1.0).abs() < 0.04, "{rate} events per second instead of 20");
        for (count, share) in by_class.into_iter().zip(EVENT_SHARES) {
            assert!((count / events / share - 1.0_f64).abs() < 0.05, "{} instead of {share}", count / events);
        }
    }

    /// For a stationary Hawkes process, variance / mean of the counts in long windows is a known number, well above the
    /// 1 of a Poisson process: events come in clusters.
    #[test]
    fn events_come_in_clusters() {
        let events = run(5_000, 9);
        let mut counts = vec![0.0; 500];
        for (at_us, _) in &events {
            counts[(at_us / 10_000_000) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 500.0;
        let variance = counts.iter().map(|count: &f64| (count - mean).powi(2)).sum::<f64>() / 500.0;
        // (1 - 0.89)^-2 = 83 for infinite windows; windows of ten seconds see most of it.
        assert!((20.0..83.0).contains(&(variance / mean)), "{}", variance / mean);
    }

    #[test]
    fn the_background_follows_the_day() {
        let mut hawkes = Hawkes::new(20.0, Random::new(1, 0));
        let day = Activity { at: |now_us| if now_us < 1_000_000_000 { 1.5 } else { 0.5 }, max: 1.5 };
        hawkes.restart(0, 1.0, day);
        let mut counts = [0.0_f64; 2];
        while hawkes.next_us() < 2_000_000_000 {
            let kind = hawkes.arrive();
            counts[(hawkes.at_us / 1_000_000_000) as usize] += 1.0;
            hawkes.excite(kind, day);
        }
        let ratio = counts[0] / counts[1];
        assert!((2.3..3.8).contains(&ratio), "{counts:?}");
        hawkes.pause();
        assert_eq!(hawkes.next_us(), u64::MAX);
    }
}
