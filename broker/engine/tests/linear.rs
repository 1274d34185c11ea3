//! What concerns very many things at once is linear and in portions: one request for many topics, a connection with
//! many subscriptions that goes, and a reader that catches up with many topics.
//!
//! Counted, not timed: the rounds of the shard's loop, and the bytes that were allocated. Each case is run with a
//! number and with half of it; neither may grow faster than the number. A round is bounded, so few rounds for much work
//! mean that the bound is missing: each case also has a least number of rounds, and a bystander that gets its update in
//! the midst of it. A loop that neither allocates nor charges its work is not seen here; the bench `scale` shows its
//! time.

use std::alloc::System;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use broker_engine::{ConnId, Engine, Limits, Now, Publisher, Retain, Shard, ShardStats, Sink, Wrote};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::Auth;
use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;
use broker_protocol::request::parse_line;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for the whole process, so one case runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Time stands still: nothing is due, so every round comes from work.
const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };
/// Rounds within which a bystander gets an update, whatever else is under way.
const ROUNDS_OF_A_BYSTANDER: usize = 3;

#[derive(Default)]
struct Received {
    bytes: Cell<u64>,
    /// Nothing is taken while this is set.
    full: Cell<bool>,
}

/// A socket that takes everything, unless it is full.
#[derive(Clone, Default)]
struct Socket(Rc<Received>);

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if self.0.full.get() {
            return Wrote::Full;
        }
        self.0.bytes.set(self.0.bytes.get() + bytes.len() as u64);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

/// What one case took.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    rounds: usize,
    allocated: usize,
}

struct Bench {
    engine: Arc<Engine>,
    shard: Shard<Socket>,
    stats: Arc<ShardStats>,
    /// Subscribed to `bystander` alone.
    bystander: Socket,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
        let stats: Arc<ShardStats> = Arc::default();
        let shard = Shard::new(engine.clone(), 0, stats.clone());
        let mut bench = Self { engine, shard, stats, bystander: Socket::default() };
        bench.publish("bystander");
        bench.bystander = bench.subscribe(["bystander".to_owned()].into_iter()).1;
        bench.rest();
        bench
    }

    fn subscribe(&mut self, names: impl Iterator<Item = String>) -> (ConnId, Socket) {
        let socket = Socket::default();
        let id = self.shard.connect(NOW, socket.clone());
        self.shard.handle(NOW, id, &request(names));
        (id, socket)
    }

    fn publish(&self, topic: &str) {
        let line = format!(r#"{{"topic":"{topic}","kind":"state","data":1}}"#);
        let update = parse_line(&line).expect("an update");
        self.engine.publish(NOW, &update, Publisher::Client).expect("it is taken");
    }

    /// Publishes to all topics, and takes that in portion by portion.
    fn publish_all(&mut self, count: usize) {
        for number in 0..count {
            self.publish(&topic(number));
            if number % 500 == 499 {
                self.rest();
            }
        }
        self.rest();
    }

    /// Runs one round of the loop that drives the shard. Returns whether there is more to do.
    fn round(&mut self) -> bool {
        let mut more = self.shard.take_in(NOW);
        more |= self.shard.turn(&mut || NOW);
        self.shard.begin_requests();
        more | self.shard.tick(NOW)
    }

    fn rest(&mut self) {
        let rounds = (0..1_000_000).take_while(|_| self.round()).count();
        assert!(rounds < 1_000_000, "the shard never comes to rest");
    }

    /// Does something and runs the shard until all of it is done. After its first round an update is published, which
    /// has to reach the bystander within a few rounds.
    fn cost(&mut self, act: impl FnOnce(&mut Self)) -> Cost {
        let region = Region::new(ALLOCATOR);
        act(self);
        let (mut rounds, before) = (1, self.bystander.0.bytes.get());
        let mut more = self.round();
        assert!(more, "everything was done in one round");
        self.publish("bystander");
        while more {
            more = self.round();
            rounds += 1;
            let waits = self.bystander.0.bytes.get() == before;
            assert!(!waits || rounds <= 1 + ROUNDS_OF_A_BYSTANDER, "the bystander still waits after {rounds} rounds");
            assert!(rounds < 1_000_000, "the shard never comes to rest");
        }
        Cost { rounds, allocated: region.change().bytes_allocated }
    }
}

fn topic(number: usize) -> String {
    format!("many.{number}")
}

fn request(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    format!(r#"{{"op":"subscribe","topics":[{}],"from":"live"}}"#, names.join(","))
}

fn roomy() -> Limits {
    let retain = Retain { updates: 1, bytes: 1 << 20, ms: 0 };
    Limits { retain, subscriptions: 1 << 20, message_bytes: 1 << 26, ..Limits::default() }
}

/// Runs the case with `count` and with half of it. Neither the rounds nor the allocated bytes may grow like a square
/// (four times), and there are at least `least_rounds`.
#[track_caller]
fn is_linear(count: usize, least_rounds: usize, case: impl Fn(usize) -> Cost) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (half, whole) = (case(count / 2), case(count));
    eprintln!("half {half:?}, whole {whole:?}");
    assert!(whole.rounds >= least_rounds, "{count} in {} rounds: it is not done in portions", whole.rounds);
    // Lists double, so the bytes of all their sizes may be a little more than twice as much.
    for (what, half, whole) in
        [("rounds", half.rounds, whole.rounds), ("bytes allocated", half.allocated, whole.allocated)]
    {
        assert!(whole * 2 <= half * 5, "{whole} {what} for {count}, {half} for half of that");
    }
}

#[test]
fn one_request_for_many_topics() {
    is_linear(8_192, 8_192 / 128, |count| {
        let mut bench = Bench::new(roomy());
        bench.publish_all(count);
        let (id, socket) = bench.subscribe([].into_iter());
        bench.rest();
        let (text, before) = (request((0..count).map(topic)), socket.0.bytes.get());
        let cost = bench.cost(|bench| {
            bench.shard.handle(NOW, id, &text);
        });
        assert_eq!(bench.stats.subscriptions.get(), 1 + count as u64);
        assert!(socket.0.bytes.get() > before + text.len() as u64, "each entry is answered");
        cost
    });
}

#[test]
fn a_connection_with_many_subscriptions_goes() {
    is_linear(40_000, 40_000 / 256, |count| {
        let mut bench = Bench::new(roomy());
        let (id, _) = bench.subscribe((0..count).map(topic));
        bench.rest();
        assert_eq!(bench.stats.subscriptions.get(), 1 + count as u64);
        let cost = bench.cost(|bench| bench.shard.disconnect(id));
        assert_eq!((bench.stats.subscriptions.get(), bench.stats.local_topics.get()), (1, 1));
        cost
    });
}

#[test]
fn many_patterns_lose_a_topic_each() {
    is_linear(1024, 1024 / 128, |count| {
        let permissions = |deny: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect();
            Some(Arc::new(Permissions::new(list(&[">"]), Vec::new(), list(deny))))
        };
        let mut bench = Bench::new(roomy());
        let names = |end: &'static str| (0..count).map(move |number| format!("many{number}.{end}"));
        let id = bench.shard.connect_as(NOW, Socket::default(), Auth::Required, permissions(&["*.other"]));
        bench.shard.handle(NOW, id, &request(names(">")));
        bench.rest();
        names("x").for_each(|name| bench.publish(&name));
        bench.rest();
        let errors = bench.stats.errors.get(ErrorCode::Forbidden);
        let cost = bench.cost(|bench| bench.shard.authorize(NOW, id, permissions(&["*.other", "*.x"]), None));
        assert_eq!(bench.stats.errors.get(ErrorCode::Forbidden) - errors, count as u64);
        cost
    });
}

#[test]
fn a_reader_catches_up_with_many_topics() {
    is_linear(40_000, 40_000 / 256, |count| {
        let mut bench = Bench::new(roomy());
        bench.publish_all(count);
        let (id, socket) = bench.subscribe([">".to_owned()].into_iter());
        bench.rest();
        socket.0.full.set(true);
        bench.publish_all(count);
        socket.0.full.set(false);
        let before = bench.stats.deliveries.get();
        let cost = bench.cost(|bench| bench.shard.writable(id));
        // One of each, and the update that the bystander and `>` both get.
        let delivered = bench.stats.deliveries.get() - before;
        assert_eq!(delivered, count as u64 + 2, "of {count} topics");
        cost
    });
}
