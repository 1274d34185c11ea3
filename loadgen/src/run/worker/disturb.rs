//! The disturbances of a scenario: some subscribers leave and come back, some lose their connection all at once, some
//! read slowly or not at all.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::TICK_NS;
use crate::clock::seconds_ns;
use crate::run::Times;
use crate::scenario::{Scenario, Slow, Storm};

/// A subscriber that loses its connection, and when it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leave {
    pub(super) index: u32,
    pub(super) back_ns: u64,
    pub(super) in_storm: bool,
}

/// What slow subscribers do in a tick.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slowness {
    /// They read nothing, or there are none.
    None,
    /// They read this many bytes.
    Portion(usize),
    /// They are no longer slow.
    Over,
}

/// The disturbances of the subscribers of one thread.
pub(super) struct Disturbance {
    /// Connections that leave in a tick.
    churn_per_tick: f64,
    /// The fraction of a connection that is carried over to the next tick.
    churn_owed: f64,
    /// `None` once it is over.
    storm: Option<Storm>,
    /// `None` once it is over.
    slow: Option<Slow>,
    slow_until_ns: u64,
    random: StdRng,
}

impl Disturbance {
    /// Makes the disturbances of thread number `index` of `of`.
    pub(super) fn new(scenario: &Scenario, index: u32, of: u32) -> Self {
        let per_second = scenario.churn.as_ref().map_or(0.0, |churn| churn.per_second);
        Self {
            churn_per_tick: per_second / f64::from(of) * TICK_NS as f64 / 1e9,
            churn_owed: 0.0,
            storm: scenario.storm.clone(),
            slow: scenario.slow.clone(),
            slow_until_ns: u64::MAX,
            random: StdRng::seed_from_u64(scenario.seed ^ (u64::from(index) << 40)),
        }
    }

    /// Takes in the times of the run. Returns whether some subscribers are slow from now on.
    pub(super) fn begin(&mut self, times: &Times) -> bool {
        let until_seconds = self.slow.as_ref().and_then(|slow| slow.until_seconds);
        self.slow_until_ns = until_seconds.map_or(u64::MAX, |until| times.publish_ns + seconds_ns(until));
        self.slow.is_some()
    }

    /// The subscribers that lose their connection in this tick, of `subscribers`; in a storm the first `in_storm`.
    pub(super) fn leaving(&mut self, times: &Times, now_ns: u64, subscribers: usize, in_storm: usize) -> Vec<Leave> {
        let mut leaving = Vec::new();
        if subscribers == 0 {
            return leaving;
        }
        self.churn_owed += self.churn_per_tick;
        while self.churn_owed >= 1.0 {
            self.churn_owed -= 1.0;
            let index = self.random.random_range(0..subscribers) as u32;
            leaving.push(Leave { index, back_ns: now_ns, in_storm: false });
        }
        let now = self.storm.take_if(|storm| now_ns >= times.publish_ns + seconds_ns(storm.at_seconds));
        if let Some(storm) = now {
            for index in 0..in_storm {
                let later_ns = seconds_ns(storm.over_seconds * index as f64 / in_storm as f64);
                leaving.push(Leave { index: index as u32, back_ns: now_ns + later_ns, in_storm: true });
            }
        }
        leaving
    }

    /// Returns what slow subscribers do in this tick.
    pub(super) fn slowness(&mut self, now_ns: u64) -> Slowness {
        let Some(slow) = &self.slow else { return Slowness::None };
        if now_ns >= self.slow_until_ns {
            self.slow = None;
            return Slowness::Over;
        }
        match (slow.bytes_per_second as f64 * TICK_NS as f64 / 1e9) as usize {
            0 => Slowness::None,
            portion => Slowness::Portion(portion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { publish_ns: 0, window_ns: (0, 60_000_000_000), drained_ns: 61_000_000_000 };

    fn disturbance(text: &str, of: u32) -> Disturbance {
        Disturbance::new(&Scenario::parse(text).expect("a scenario"), 0, of)
    }

    #[test]
    fn the_stated_number_leaves_and_each_thread_has_its_share() {
        let mut all = disturbance("[churn]\nper_second = 70.0", 1);
        let mut half = disturbance("[churn]\nper_second = 70.0", 2);
        let (mut of_all, mut of_half) = (0, 0);
        for tick in 0..50 {
            of_all += all.leaving(&TIMES, tick * TICK_NS, 100, 0).len();
            of_half += half.leaving(&TIMES, tick * TICK_NS, 100, 0).len();
        }
        assert!((69..=71).contains(&of_all) && (34..=36).contains(&of_half), "{of_all} and {of_half} in a second");
        assert_eq!(all.leaving(&TIMES, 0, 0, 0), [], "without subscribers nobody leaves");
    }

    #[test]
    fn a_storm_happens_once() {
        let mut disturbance = disturbance("[storm]\nat_seconds = 1.0\nshare = 0.5\nover_seconds = 2.0", 1);
        assert_eq!(disturbance.leaving(&TIMES, 999_999_999, 4, 2), []);
        let now_ns = 1_000_000_000;
        let leave = |index, later_ns| Leave { index, back_ns: now_ns + later_ns, in_storm: true };
        assert_eq!(disturbance.leaving(&TIMES, now_ns, 4, 2), [leave(0, 0), leave(1, 1_000_000_000)]);
        assert_eq!(disturbance.leaving(&TIMES, now_ns + TICK_NS, 4, 2), []);
    }

    #[test]
    fn slow_subscribers_read_their_portion_until_the_end() {
        let mut slow = disturbance("[slow]\nshare = 0.1\nbytes_per_second = 5000\nuntil_seconds = 2.0", 1);
        assert!(slow.begin(&TIMES));
        assert_eq!(slow.slowness(0), Slowness::Portion(100));
        assert_eq!(slow.slowness(2_000_000_000), Slowness::Over);
        assert_eq!(slow.slowness(2_000_000_000), Slowness::None);
        let mut none = disturbance("seconds = 1.0", 1);
        assert!(!none.begin(&TIMES));
        assert_eq!(none.slowness(0), Slowness::None);
    }
}
