use std::cell::Cell;
use std::sync::Arc;

use super::QUESTIONS_PER_SWEEP;
use crate::clock::Now;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::shard::Shard;
use crate::sink::{Sink, Wrote};

const STALL_MS: u32 = 1_000;

/// A socket that is full, with the time to wait longer for its peer.
#[derive(Default)]
struct Full {
    more_ms: u32,
    asked: Cell<usize>,
}

impl Sink for Full {
    fn write(&mut self, _: &[u8]) -> Wrote {
        Wrote::Full
    }

    fn finish(&mut self) {}

    fn more_patience_ms(&self, stall_ms: u32) -> u32 {
        assert_eq!(stall_ms, STALL_MS);
        self.asked.set(self.asked.get() + 1);
        self.more_ms
    }
}

fn at(ms: u32) -> Now {
    Now { mono_us: u64::from(ms) * 1_000, wall_us: u64::from(ms) * 1_000 }
}

/// A shard with `count` parked connections.
fn parked(count: usize) -> (Shard<Full>, Vec<super::ConnId>) {
    let limits = Limits { stall_ms: STALL_MS, heartbeat_ms: 1 << 30, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine, 0, Arc::default());
    let ids = (0..count).map(|_| shard.connect(at(1), Full::default())).collect();
    while shard.turn(&mut || at(1)) {}
    (shard, ids)
}

/// Does everything that is due from `from` to `to`, at the times at which a driver would do it.
fn pass(shard: &mut Shard<Full>, from: u32, to: u32) {
    for ms in (from..=to).step_by(10) {
        while shard.tick(at(ms)) && !shard.turn(&mut || at(ms)) {}
    }
}

#[test]
fn a_peer_is_waited_for_as_long_as_its_sink_asks() {
    let (mut shard, ids) = parked(1);
    let [id] = ids[..] else { unreachable!() };
    shard.sink(id).unwrap().more_ms = 600;
    pass(&mut shard, 10, 10_000);
    assert!(!shard.is_closing(id));
    let asked = shard.sink(id).unwrap().asked.get();
    assert!((10..=18).contains(&asked), "asked {asked} times in ten seconds, at 600 ms each");

    // No more than `stall_ms` at a time is granted.
    shard.sink(id).unwrap().more_ms = u32::MAX;
    pass(&mut shard, 10_010, 20_000);
    assert!(!shard.is_closing(id) && shard.sink(id).unwrap().asked.get() >= asked + 8);

    shard.sink(id).unwrap().more_ms = 0;
    pass(&mut shard, 20_010, 20_010 + STALL_MS + 100);
    assert!(shard.is_closing(id));
}

#[test]
fn a_peer_that_is_not_waited_for_is_closed_after_stall_ms() {
    let (mut shard, ids) = parked(1);
    pass(&mut shard, 10, STALL_MS - 100);
    assert!(!shard.is_closing(ids[0]));
    pass(&mut shard, STALL_MS - 90, STALL_MS + 200);
    assert!(shard.is_closing(ids[0]));
}

#[test]
fn a_peer_that_takes_what_its_sink_held_has_not_stalled() {
    let (mut shard, ids) = parked(1);
    // It is parked all the time: its sink holds more than it took.
    for ms in (10..10 * STALL_MS).step_by(STALL_MS as usize / 2) {
        pass(&mut shard, ms, ms + STALL_MS / 2 - 10);
        assert!(!shard.is_closing(ids[0]), "after {ms} ms");
        shard.took(ids[0]);
    }
    assert_eq!(shard.sink(ids[0]).unwrap().asked.get(), 0);
    pass(&mut shard, 10 * STALL_MS, 11 * STALL_MS + 200);
    assert!(shard.is_closing(ids[0]));
}

#[test]
fn one_round_asks_a_few_sinks_and_all_rounds_ask_every_sink() {
    let count = 3 * QUESTIONS_PER_SWEEP + 1;
    let (mut shard, ids) = parked(count);
    for id in &ids {
        shard.sink(*id).unwrap().more_ms = STALL_MS;
    }
    pass(&mut shard, 10, STALL_MS - 100);
    let mut before = 0;
    let mut rounds = 0;
    while before < count {
        shard.tick(at(2 * STALL_MS));
        let asked = ids.iter().map(|id| shard.sink(*id).unwrap().asked.get()).sum::<usize>();
        assert!(asked - before <= QUESTIONS_PER_SWEEP && asked > before, "{before}, then {asked}");
        (before, rounds) = (asked, rounds + 1);
    }
    assert_eq!((before, rounds), (count, 4));
}
