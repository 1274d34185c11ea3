//! What the simulation does not cover: no history there is long enough for the feed to release a topic.

use std::sync::Arc;

use broker_protocol::data::Data;
use broker_protocol::request::Publication;

use crate::clock::Now;
use crate::engine::{Engine, Publisher};
use crate::limits::Limits;
use crate::shard::Shard;
use crate::sink::{Sink, Wrote};

/// A socket that takes this many writes completely, then nothing.
struct Socket {
    writes: usize,
    took: Vec<u8>,
}

impl Socket {
    fn taking(writes: usize) -> Self {
        Self { writes, took: Vec::new() }
    }
}

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        let Some(left) = self.writes.checked_sub(1) else { return Wrote::Full };
        self.writes = left;
        self.took.extend_from_slice(bytes);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

fn turns(shard: &mut Shard<Socket>) {
    for _ in 0..1_000 {
        if !(shard.take_in(NOW) | shard.turn(&mut || NOW)) {
            return;
        }
    }
    panic!("the shard never comes to rest");
}

fn update(topic: &str) -> Publication<'_> {
    let data = Data::check("1").unwrap();
    Publication { topic: topic.into(), kind: None, data, source: None, source_ts: None }
}

#[test]
fn incarnations_that_wait_for_one_another_do_not_wait_in_a_circle() {
    // Too small for any frame: everything is sent through the topics.
    let limits = Limits { behind_bytes: 1, ring_bytes: 16, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let id = shard.connect(NOW, Socket::taking(usize::MAX));
    shard.handle(NOW, id, r#"{"op":"subscribe","topics":["a"]}"#);
    turns(&mut shard);

    *shard.sink(id).unwrap() = Socket::taking(0);
    let first = engine.publish(NOW, &update("a"), Publisher::Client).unwrap().topic.id();
    turns(&mut shard);
    engine.delete(NOW, "a", Publisher::Client).unwrap();
    engine.publish(NOW, &update("a"), Publisher::Client).unwrap();
    turns(&mut shard);
    // All of the first incarnation is sent, nothing of the second; then others fill the feed until it releases the
    // first, and its number is free.
    let other = shard.connect(NOW, Socket::taking(usize::MAX));
    shard.handle(NOW, other, r#"{"op":"subscribe","topics":["z"]}"#);
    *shard.sink(id).unwrap() = Socket::taking(1);
    shard.writable(id);
    for _ in 0..4096 {
        engine.publish(NOW, &update("z"), Publisher::Client).unwrap();
        turns(&mut shard);
    }
    engine.delete(NOW, "a", Publisher::Client).unwrap();
    let third = engine.publish(NOW, &update("a"), Publisher::Client).unwrap().topic;
    assert_eq!(third.id(), first, "the number was not used again");
    turns(&mut shard);
    *shard.sink(id).unwrap() = Socket::taking(usize::MAX);
    shard.writable(id);
    turns(&mut shard);

    let took = String::from_utf8_lossy(&shard.sink(id).unwrap().took).into_owned();
    assert!(took.find(r#""op":"closed""#) < took.find(third.epoch()) && took.contains(third.epoch()), "{took}");
}
