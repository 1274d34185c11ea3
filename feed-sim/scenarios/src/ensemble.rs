//! Many actors on one clock: matches, servers, rooms.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Scenario;
use feed_player::publication::{Publication, Timed};

/// One of many actors side by side. It has its own random stream, so that it behaves the same whatever other actors
/// there are.
pub(super) trait Actor: Send {
    /// Acts at `now_us`, appends its publications to `out`, and returns after how many microseconds it acts again.
    fn act(&mut self, now_us: u64, out: &mut VecDeque<Publication>) -> u64;
}

/// Actors as a scenario, in order of time. If two act at once, the one listed first comes first.
pub(super) struct Ensemble<A> {
    actors: Vec<A>,
    /// When each of them acts next.
    next_act: BinaryHeap<Reverse<(u64, usize)>>,
    /// Publications of the last act that have not been taken yet.
    pending: VecDeque<Publication>,
    now_us: u64,
    updates_per_s: f64,
}

impl<A: Actor> Ensemble<A> {
    /// Makes actors 0 to `count - 1`, at least one, which together publish `updates_per_s`. Their first acts are spread
    /// over `interval_us`, so that they take turns.
    pub(super) fn new(count: u32, actor: impl Fn(u32) -> A, interval_us: u64, updates_per_s: f64) -> Self {
        assert!(count > 0);
        let actors: Vec<A> = (0..count).map(actor).collect();
        let count = u64::from(count);
        let next_act = (0..actors.len()).map(|index| Reverse((interval_us * index as u64 / count, index))).collect();
        Ensemble { actors, next_act, pending: VecDeque::new(), now_us: 0, updates_per_s }
    }
}

impl<A: Actor> Scenario for Ensemble<A> {
    fn next(&mut self) -> Timed {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Timed { due_us: self.now_us, publication };
            }
            let Reverse((due_us, index)) = self.next_act.pop().expect("each actor has its next act in the heap");
            self.now_us = due_us;
            let wait_us = self.actors[index].act(due_us, &mut self.pending);
            self.next_act.push(Reverse((due_us + wait_us, index)));
        }
    }

    fn updates_per_s(&self) -> f64 {
        self.updates_per_s
    }
}

/// Checks that a scenario publishes at the rate that it states. The rate is only used for pacing, so 3 % is near
/// enough.
#[cfg(test)]
pub(super) fn assert_rate(mut scenario: impl Scenario, updates: u32) {
    let last_us = (0..updates).map(|_| scenario.next().due_us).last().expect("some");
    let rate = f64::from(updates) * 1e6 / last_us as f64;
    let ratio = rate / scenario.updates_per_s();
    assert!((0.97..1.03).contains(&ratio), "{rate} updates/s, {ratio} of the stated rate");
}
