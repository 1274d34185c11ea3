use std::cell::Cell;
use std::rc::Rc;

use broker_protocol::data::Data;
use broker_protocol::request::Publication;

use super::*;
use crate::clock::Now;
use crate::engine::{Engine, Publisher};
use crate::limits::Limits;
use crate::sink::Wrote;

#[test]
fn a_pass_visits_every_connection_once_however_often_it_is_interrupted() {
    for bound in [0, 1, CONNECTIONS_PER_STEP, 5 * CONNECTIONS_PER_STEP + 3] {
        let (mut evictions, mut visited) = (Evictions::default(), Vec::new());
        let mut lows = [100, 200, 300].into_iter().cycle();
        while let Some(mut eviction) = evictions.resume(|| lows.next().filter(|_| visited.len() < bound)) {
            assert_eq!(eviction.ring_offset, 100, "a pass under way keeps its offset");
            let Some(portion) = eviction.portion(bound) else { break };
            assert!(portion.start == eviction.next && portion.len() <= CONNECTIONS_PER_STEP);
            // The second half of a portion waits for a later round.
            let end = (portion.start + 1).max(portion.end - portion.len() / 2);
            visited.extend(portion.start..end);
            eviction.next = end;
            evictions.pause(eviction);
            assert!(evictions.is_pending());
        }
        assert_eq!(visited, (0..bound).collect::<Vec<_>>());
        assert!(!evictions.is_pending());
    }
}

/// A socket that takes everything, or nothing while it is full.
struct Socket(Rc<Cell<bool>>);

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if self.0.get() { Wrote::Full } else { Wrote::Bytes(bytes.len()) }
    }

    fn finish(&mut self) {}
}

const RING_BYTES: usize = 8192;
const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

#[test]
fn only_readers_that_stand_in_the_way_fall_out_of_step() {
    let limits = Limits { ring_bytes: RING_BYTES, behind_bytes: 1 << 20, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let [open, full] = [(); 2].map(|()| Rc::new(Cell::new(false)));
    let data = Data::check("123456789").expect("a number");
    let update = Publication { topic: "t".into(), kind: None, data, source: None, source_ts: None };
    let publish = || engine.publish(NOW, &update, Publisher::Client).expect("it is taken");
    publish();
    let [reader, stalled] = [&open, &full].map(|flag| {
        let id = shard.connect(NOW, Socket(flag.clone()));
        shard.handle(NOW, id, r#"{"op":"subscribe","topics":["t"]}"#);
        id
    });
    while shard.take_in(NOW) | shard.turn(&mut || NOW) {}
    let (before, start) = (shard.stats().deliveries.get(), shard.ring.head());
    full.set(true);
    let mut updates = 0;
    while shard.ring.head() - start < 3 * RING_BYTES as u64 {
        publish();
        updates += 1;
        while shard.take_in(NOW) | shard.turn(&mut || NOW) {}
        for id in [reader, stalled] {
            let first = shard.conns[id].runs.first();
            assert!(
                first.is_none_or(|run| run.ring_offset >= shard.ring.tail()),
                "a run in a part of the ring that is reused"
            );
        }
    }
    let stats = shard.stats();
    assert_eq!(stats.evicted.get(), 1, "it falls out of step once, and then wants everything from the topic");
    assert!(shard.conns[reader].catch_up.is_none() && shard.conns[stalled].catch_up.is_some());
    assert_eq!(stats.deliveries.get() - before, updates, "the reader in step got every update");
    assert!(!shard.is_evicting());
}
