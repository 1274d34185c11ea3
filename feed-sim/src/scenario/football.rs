//! Football: several matches at once, each with a scoreboard and a stream of events that agree with each other.

mod clubs;
mod fixture;
mod messages;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Scenario;
use crate::publication::{Publication, Timed};
use crate::random::Random;
use fixture::{Counters, Fixture};

/// What `feed-sim describe football` prints.
pub const DESCRIPTION: &str = "\
Per match MATCH (home and away club, as NOR-HAR); matches are played twenty times as fast as in life, one after the other:
  sports.football.MATCH.score  state  {\"match\",\"home\",\"away\",\"home_goals\",\"away_goals\",\"status\",\"period\",\"clock\"}
  sports.football.MATCH.event  event  {\"id\",\"match\",\"type\",\"period\",\"clock\"} and, as it applies, \"team\" (home or away), \"club\",
                               \"player\" (shirt number), \"corrects\" (the id of the goal that a `goal_disallowed` takes back), \"reason\"
`id` counts the events of the whole feed, `match` the matches; `clock` is minutes and seconds of play and runs on through
stoppage time. The score is always the number of goals that were not disallowed, and follows the event at once. In the
first match a goal falls in the third minute and is disallowed, so that every run shows a correction.";

/// How often a match is looked at: four times a second, so that its clock is seen to run.
const TICK_US: u64 = 250_000;

/// Publications per match and second, measured over whole matches and their breaks; a test keeps it true.
const UPDATES_PER_MATCH_S: f64 = 3.95;

/// The scenario `football`.
pub struct Football {
    fixtures: Vec<(Fixture, Random)>,
    next_tick: BinaryHeap<Reverse<(u64, usize)>>,
    counters: Counters,
    pending: VecDeque<Publication>,
    now_us: u64,
}

impl Football {
    /// `matches` at once, each from its own stream of `seed`.
    pub fn new(seed: u64, matches: u32) -> Self {
        let matches = matches.max(1);
        let mut counters = Counters::default();
        let mut next_tick = BinaryHeap::new();
        let fixtures = (0..matches)
            .map(|pitch| {
                // Spread over the tick, so that the matches take turns.
                next_tick.push(Reverse((TICK_US * u64::from(pitch) / u64::from(matches), pitch as usize)));
                (Fixture::new(pitch, &mut counters), Random::new(seed, STREAMS_FROM + u64::from(pitch)))
            })
            .collect();
        Football { fixtures, next_tick, counters, pending: VecDeque::new(), now_us: 0 }
    }
}

/// Away from the streams of `stocks`, which may run from the same seed.
const STREAMS_FROM: u64 = 1 << 40;

impl Scenario for Football {
    fn next(&mut self) -> Timed {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Timed { due_us: self.now_us, publication };
            }
            let Reverse((due_us, pitch)) = self.next_tick.pop().expect("each match has its next tick in the heap");
            let (fixture, random) = &mut self.fixtures[pitch];
            fixture.tick(random, &mut self.counters, &mut self.pending);
            self.now_us = due_us;
            self.next_tick.push(Reverse((due_us + TICK_US, pitch)));
        }
    }

    fn updates_per_s(&self) -> f64 {
        self.fixtures.len() as f64 * UPDATES_PER_MATCH_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_it_says() {
        let mut football = Football::new(3, 4);
        let updates = 100_000;
        let last_us = (0..updates).map(|_| football.next().due_us).last().expect("some");
        let rate = f64::from(updates) * 1e6 / last_us as f64;
        let ratio = rate / football.updates_per_s();
        assert!((0.97..1.03).contains(&ratio), "{rate} updates/s, {ratio} of what it says");
    }
}
