use std::sync::Arc;

use super::*;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::sink::Wrote;

/// Takes everything.
struct Open;

impl Sink for Open {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

const CLOSE_MS: u32 = 1_000;

fn at(ms: u64) -> Now {
    Now { mono_us: ms * 1_000, wall_us: ms * 1_000 }
}

fn shard() -> Shard<Open> {
    let engine = Engine::new(Limits { close_ms: CLOSE_MS, ..Limits::default() }, 1, vec![Box::new(|| {})]);
    Shard::new(engine, 0, Arc::default())
}

/// Opens a connection that is in no queue.
fn connect(shard: &mut Shard<Open>) -> ConnId {
    let id = shard.connect(at(1), Open);
    while shard.turn(&mut || at(1)) {}
    id
}

#[test]
fn closing_connections_are_taken_once_their_time_has_passed_and_in_order() {
    let mut departures = Departures::default();
    assert_eq!((departures.next_late_us(), departures.pop_late(u64::MAX)), (None, None));
    for (until_us, id) in [(10, 3), (10, 1), (20, 2)] {
        departures.linger(until_us, id, 7);
    }
    assert_eq!((departures.next_late_us(), departures.pop_late(9)), (Some(10), None));
    let late: Vec<_> = std::iter::from_fn(|| departures.pop_late(19)).collect();
    assert_eq!(late, [(3, 7), (1, 7)]);
    assert_eq!((departures.next_late_us(), departures.pop_late(20)), (Some(20), Some((2, 7))));
    assert_eq!(departures.next_late_us(), None);
}

#[test]
fn a_number_is_reused_once_no_queue_refers_to_it() {
    let mut shard = shard();
    // Its greeting waits: it is in the queue of turns.
    let gone = shard.connect(at(1), Open);
    shard.disconnect(gone);
    let other = shard.connect(at(1), Open);
    assert_ne!(other, gone, "reused while a queue refers to it");
    while shard.turn(&mut || at(1)) {}
    assert_eq!(connect(&mut shard), gone);
    assert_eq!(shard.connections(0).collect::<Vec<_>>(), [gone, other]);
}

#[test]
fn a_connection_is_not_closed_for_an_earlier_one_with_its_number() {
    let mut shard = shard();
    let slow = connect(&mut shard);
    let session = shard.conns[slow].session;
    shard.departures.close_as_slow(slow, session);
    shard.disconnect(slow);
    let successor = connect(&mut shard);
    assert_eq!(successor, slow);
    shard.close_pending(&mut || at(1));
    assert!(!shard.is_closing(successor));

    let session = shard.conns[successor].session;
    shard.departures.close_as_slow(successor, session);
    shard.close_pending(&mut || at(1));
    assert!(shard.is_closing(successor));
}

#[test]
fn a_client_that_does_not_hang_up_is_dropped_after_close_ms() {
    let mut shard = shard();
    let [stays, hangs_up, other] = [(); 3].map(|()| connect(&mut shard));
    for id in [stays, hangs_up] {
        shard.close(at(10), id, CloseReason::GoingAway, "going away");
    }
    while shard.turn(&mut || at(10)) {}
    shard.disconnect(hangs_up);
    let successor = connect(&mut shard);
    assert_eq!(successor, hangs_up);
    let due = 10 + u64::from(CLOSE_MS);
    shard.drop_late(at(due - 1));
    assert_eq!(shard.connections(0).collect::<Vec<_>>(), [stays, successor, other]);
    shard.drop_late(at(due));
    assert_eq!(shard.connections(0).collect::<Vec<_>>(), [successor, other]);
    assert!(!shard.is_closing(successor) && !shard.is_closing(other));
}
