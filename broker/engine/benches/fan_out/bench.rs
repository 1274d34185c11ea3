//! An engine with one shard, and connections that count what they get.
#![allow(dead_code, reason = "shared by several benchmarks, each of which uses a part")]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use broker_engine::{ConnId, Engine, Limits, Now, Publisher, Shard, ShardStats, Sink, Wrote};
use broker_protocol::request::{Publication, Request, parse};

/// Time stands still.
pub(crate) const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_700_000_000_000_000 };

/// Bytes of `data`: with the envelope, frames of about 190 bytes.
const DATA_BYTES: usize = 120;

/// What all sinks together received.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes: Cell<u64>,
    pub(crate) writes: Cell<u64>,
    /// Nothing is taken while this is set.
    pub(crate) full: Cell<bool>,
}

/// Takes everything at once, unless its counts say that it is full.
#[derive(Debug)]
pub(crate) struct Counting(Rc<Counts>);

impl Sink for Counting {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if self.0.full.get() {
            return Wrote::Full;
        }
        self.0.bytes.set(self.0.bytes.get() + bytes.len() as u64);
        self.0.writes.set(self.0.writes.get() + 1);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

pub(crate) struct Bench {
    pub(crate) engine: Arc<Engine>,
    pub(crate) shard: Shard<Counting>,
    pub(crate) counts: Rc<Counts>,
}

impl Bench {
    pub(crate) fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
        let shard = Shard::new(engine.clone(), 0, Arc::new(ShardStats::default()));
        Self { engine, shard, counts: Rc::default() }
    }

    /// Opens another connection and sends this request.
    pub(crate) fn connect(&mut self, request: &str) -> ConnId {
        let id = self.shard.connect(NOW, Counting(self.counts.clone()));
        self.shard.handle(NOW, id, request);
        id
    }

    /// Opens another connection that subscribes to these entries live.
    pub(crate) fn subscribe(&mut self, entries: impl Iterator<Item = String>) {
        self.connect(&subscribe(entries));
    }

    pub(crate) fn publish(&self, update: &Publication<'_>) {
        self.engine.publish(NOW, update, Publisher::Client).expect("a benchmark publishes what it may");
    }

    /// Puts everything in the feed onto the connections' runs, and writes it.
    pub(crate) fn deliver(&mut self) {
        while self.shard.take_in(NOW) {}
        while self.shard.turn(&mut || NOW) {}
    }

    /// Does the same as [`Bench::deliver`], and also what takes several rounds: walks of patterns, catching up.
    pub(crate) fn settle(&mut self) {
        while self.shard.take_in(NOW) | self.shard.turn(&mut || NOW) | self.shard.tick(NOW) {}
    }

    /// Data frames that were written.
    pub(crate) fn deliveries(&self) -> u64 {
        self.shard.stats().deliveries.get()
    }
}

/// A request to subscribe to these entries from now on.
pub(crate) fn subscribe(entries: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = entries.map(|name| format!("{name:?}")).collect();
    format!(r#"{{"op":"subscribe","topics":[{}],"from":"live"}}"#, names.join(","))
}

/// A topic's name.
pub(crate) fn topic(number: usize) -> String {
    format!("bench.{number}")
}

/// A `publish` message with the usual `data`.
pub(crate) fn message(topic: &str, kind: &str) -> String {
    let mut data =
        r#"{"t":1000000000000,"bid":"97123.10","ask":"97123.20","bq":"1.2345","aq":"0.9876","pad":""#.to_owned();
    data.push_str(&"x".repeat(DATA_BYTES - data.len() - 2));
    format!(r#"{{"op":"publish","topic":"{topic}","kind":"{kind}","data":{data}"}}}}"#)
}

/// The update in a `publish` message.
pub(crate) fn update(message: &str) -> Publication<'_> {
    match parse(message) {
        Ok(Request::Publish { update, .. }) => update,
        other => panic!("no update: {other:?}"),
    }
}
