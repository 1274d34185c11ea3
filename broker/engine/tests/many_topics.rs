//! Cases that need more topics than a random history has: patterns counted over many turns, walks in portions beside
//! live updates, and names that begin and end under a pattern.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use broker_engine::{ConnId, Engine, Limits, Now, Publisher, Retain, Shard, ShardStats, Sink, Wrote};
use serde_json::Value;

/// A socket that takes everything.
#[derive(Clone, Default)]
struct Socket(Rc<RefCell<Vec<u8>>>);

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        self.0.borrow_mut().extend_from_slice(bytes);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

impl Socket {
    /// The messages since the last call; none here needs more than a two-byte length.
    fn messages(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.borrow_mut());
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while let [first, second, after @ ..] = rest {
            let (len, after) = match second {
                126 => (usize::from(u16::from_be_bytes([after[0], after[1]])), &after[2..]),
                len => (usize::from(*len), after),
            };
            if first & 0x0f == 1 {
                messages.push(serde_json::from_slice(&after[..len]).expect("a message is JSON"));
            }
            rest = &after[len..];
        }
        messages
    }
}

struct Bench {
    engine: Arc<Engine>,
    shard: Shard<Socket>,
    stats: Arc<ShardStats>,
    now: Now,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
        let stats: Arc<ShardStats> = Arc::default();
        let shard = Shard::new(engine.clone(), 0, stats.clone());
        Self { engine, shard, stats, now: Now { mono_us: 1_000_000, wall_us: 1_000_000 } }
    }

    fn connect(&mut self) -> (ConnId, Socket) {
        let socket = Socket::default();
        (self.shard.connect(self.now, socket.clone()), socket)
    }

    fn publish(&self, topic: &str) {
        let line = format!("{{\"topic\":\"{topic}\",\"kind\":\"state\",\"data\":1}}");
        let update = broker_protocol::request::parse_line(&line).expect("an update");
        self.engine.publish(self.now, &update, Publisher::Client).expect("it is taken");
    }

    /// Runs one round of the loop that drives the shard. Returns whether there is more to do.
    fn round(&mut self) -> bool {
        let now = self.now;
        let mut more = self.shard.take_in(now);
        more |= self.shard.turn(&mut || now);
        more | self.shard.tick(now)
    }

    fn rest(&mut self) {
        let rounds = (0..10_000).take_while(|_| self.round()).count();
        assert!(rounds < 10_000, "the shard never comes to rest");
    }
}

fn count(messages: &[Value], op: &str) -> usize {
    messages.iter().filter(|message| message["op"] == op).count()
}

#[test]
fn a_pattern_over_many_topics_is_counted_in_portions_and_delivered_beside_live_updates() {
    let mut bench = Bench::new(Limits { behind_bytes: 1 << 20, ..Limits::default() });
    for index in 0..5000 {
        bench.publish(&format!("many.t{index}"));
    }
    let (conn, socket) = bench.connect();
    bench.rest();
    let text = r#"{"op":"subscribe","id":1,"topics":["many.*","one"]}"#;
    bench.shard.handle(bench.now, conn, text);
    assert!(!bench.shard.may_read(conn), "the next request waits for the answer to this one");
    bench.rest();
    assert!(bench.shard.may_read(conn));
    let mut messages = socket.messages();
    assert_eq!(messages[1]["patterns"][0]["matched"], 5000);
    assert_eq!((count(&messages, "topic"), count(&messages, "image")), (5000, 5000));

    // Another one, and while it walks every topic is published again: each continues after its image.
    let (late, socket) = bench.connect();
    bench.shard.handle(bench.now, late, text);
    for index in 0..5000 {
        bench.publish(&format!("many.t{index}"));
        if index % 50 == 0 {
            bench.round();
        }
    }
    bench.rest();
    messages = socket.messages();
    let mut newest: std::collections::HashMap<String, u64> = std::collections::HashMap::new();
    for message in &messages {
        let (Some(topic), Some(seq)) = (message["topic"].as_str(), message["seq"].as_u64()) else { continue };
        match (message["op"].as_str(), newest.get(topic)) {
            (Some("image"), _) => assert!(newest.insert(topic.to_owned(), seq).is_none(), "{topic}: a second image"),
            (Some("update"), Some(last)) => {
                assert_eq!(seq, last + 1, "{topic}");
                newest.insert(topic.to_owned(), seq);
            }
            (Some("topic"), None) => {}
            (op, last) => panic!("{topic}: {op:?} after {last:?}"),
        }
    }
    assert_eq!(newest.len(), 5000);
    assert!(newest.values().all(|seq| *seq == 2), "everybody is at the second update");
}

#[test]
fn hanging_up_while_patterns_are_counted_leaves_nothing() {
    let mut bench = Bench::new(Limits::default());
    for index in 0..5000 {
        bench.publish(&format!("many.t{index}"));
    }
    let (conn, _) = bench.connect();
    bench.shard.handle(bench.now, conn, r#"{"op":"subscribe","topics":["many.*",">"]}"#);
    bench.round();
    bench.shard.disconnect(conn);
    let (conn, socket) = bench.connect();
    bench.rest();
    assert_eq!((bench.stats.connections.get(), bench.stats.subscriptions.get()), (1, 0));
    assert_eq!(count(&socket.messages(), "subscribed"), 0);
    bench.shard.disconnect(conn);
    bench.rest();
    assert_eq!((bench.stats.connections.get(), bench.stats.local_topics.get()), (0, 0));
}

#[test]
fn names_that_begin_and_end_under_a_pattern_are_dropped() {
    let retain = Retain { updates: 2, bytes: 1000, ms: 0 };
    let mut bench = Bench::new(Limits { ring_bytes: 1 << 16, retain, ..Limits::default() });
    let (conn, socket) = bench.connect();
    bench.shard.handle(bench.now, conn, r#"{"op":"subscribe","topics":[">"]}"#);
    bench.rest();
    let mut closed = 0;
    for index in 0..20_000 {
        let name = format!("match.m{index}");
        bench.publish(&name);
        bench.engine.delete(bench.now, &name, Publisher::Client).expect("it is there");
        if index % 100 == 0 {
            bench.now.mono_us += 50_000;
            bench.rest();
            closed += count(&socket.messages(), "closed");
        }
    }
    bench.now.mono_us += 5_000_000;
    bench.rest();
    closed += count(&socket.messages(), "closed");
    assert_eq!(closed, 20_000);
    // Frames of the last ones are still in the ring, which keeps their names.
    let held = bench.stats.local_topics.get();
    assert!(held < 2000, "{held} names are held of topics that ended");
    assert_eq!(bench.engine.topics_len(), 0);
    let histories = bench.engine.budget().histories();
    assert!(histories < 2000 * 1000, "{histories} bytes of histories are held of topics that ended");
}

#[test]
fn a_request_in_progress_counts_what_it_holds() {
    let mut bench = Bench::new(Limits { subscriptions: 10_000, ..Limits::default() });
    let (id, _) = bench.connect();
    bench.rest();
    let idle = bench.engine.budget().buffers();
    let names = (0..10_000).map(|name| format!("\"n{name}\"")).collect::<Vec<_>>().join(",");
    bench.shard.begin_requests();
    bench.shard.handle(bench.now, id, &format!(r#"{{"op":"subscribe","topics":[{names}]}}"#));
    assert!(bench.shard.is_busy(id), "it takes several rounds");
    let held = bench.engine.budget().buffers() - idle;
    assert!(held > 10_000 * 40, "{held} bytes for entries of which each takes more than 40");
    bench.rest();
    // The answer was written, and only what it is written from may be kept.
    let after = bench.engine.budget().buffers() - idle;
    assert!(!bench.shard.is_busy(id) && after < held / 10, "{after} bytes of {held} are still counted");
}
