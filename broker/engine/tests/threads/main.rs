//! What a single thread cannot test: publishers, shards and topics that end at the same time, on real threads that
//! really sleep. Less is checked than in the simulation (what is published is not known in advance), but every stream
//! has to be without a gap, and in the end every client has to know everything. A thread that sleeps although there is
//! an entry for it hangs, and the test reports that.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

#[path = "../simulation/encoded.rs"]
mod encoded;
#[path = "../simulation/message.rs"]
mod message;
#[path = "../simulation/network.rs"]
mod network;
mod reader;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use broker_engine::{Engine, Limits, Now, Publisher, Retain, Shard, ShardStats};
use broker_protocol::codes::ErrorCode;
use network::{SimSink, pipe};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reader::Reader;

const SHARDS: usize = 2;
const PUBLISHERS: u64 = 2;
const UPDATES: u64 = 15_000;
const TOPICS: [(&str, &str); 5] =
    [("a.b", "state"), ("a.c", "event"), ("b.b", "state"), ("b.c", "event"), ("a.d", "patch")];
const SUBSCRIPTIONS: [&str; 6] = [
    r#"{"op":"subscribe","topics":[">"]}"#,
    r#"{"op":"subscribe","topics":["a.*"],"from":{"last":5},"on_slow":"retain"}"#,
    r#"{"op":"subscribe","topics":["*.b","a.c"],"from":"live"}"#,
    r#"{"op":"subscribe","topics":["a.b","b.c","a.d","nobody"]}"#,
    r#"{"op":"subscribe","topics":["*.c"],"from":{"last":100}}"#,
    r#"{"op":"subscribe","topics":["a.>","*.*"],"on_slow":"retain"}"#,
];

/// How long everything may take: this test exists to detect hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

fn now(begin: Instant) -> Now {
    let us = begin.elapsed().as_micros() as u64 + 1;
    Now { mono_us: us, wall_us: us }
}

fn publisher(engine: &Engine, begin: Instant, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for index in 0..UPDATES {
        let (topic, kind) = TOPICS[random.random_range(0..TOPICS.len())];
        if random.random_bool(0.01) {
            // Another thread may have just ended it.
            let _ = engine.delete(now(begin), topic, Publisher::Client);
            continue;
        }
        while !engine.has_room() {
            std::thread::yield_now();
        }
        let publish = |kind: &str| {
            let line = format!("{{\"topic\":\"{topic}\",\"kind\":\"{kind}\",\"data\":{{\"k{seed}\":{index}}}}}");
            let update = broker_protocol::request::parse_line(&line).expect("an update");
            engine.publish(now(begin), &update, Publisher::Client)
        };
        match publish(kind) {
            // It has ended, or not begun: a topic that grows by patches begins with a state.
            Err(refusal) if refusal.code == ErrorCode::NoState => drop(publish("state").expect("it is taken")),
            result => drop(result.expect("it is taken")),
        }
    }
}

/// A shard's thread: serves until everything is published and read.
fn shard(engine: &Arc<Engine>, index: usize, begin: Instant, seed: u64, publishing: &AtomicUsize) {
    let mut shard: Shard<SimSink> = Shard::new(engine.clone(), index, Arc::<ShardStats>::default());
    let mut random = StdRng::seed_from_u64(seed * 100 + index as u64);
    let mut clients: Vec<Reader> = Vec::new();
    let wake = engine.feed().wake(index);
    loop {
        let done = publishing.load(Ordering::Acquire) == 0;
        if clients.len() < 8 || (!done && random.random_bool(0.02)) {
            let pipe = pipe(clients.len() % 2 == 1);
            let conn = shard.connect(now(begin), SimSink(pipe.clone()));
            let text = SUBSCRIPTIONS[random.random_range(0..SUBSCRIPTIONS.len())];
            shard.handle(now(begin), conn, text);
            clients.push(Reader::new(conn, pipe, text));
            if clients.len() > 8 {
                let gone = clients.swap_remove(random.random_range(0..8));
                shard.disconnect(gone.conn);
            }
        }
        let time = now(begin);
        let mut more = shard.take_in(time);
        more |= shard.turn(&mut || time);
        more |= shard.tick(time);
        clients.iter_mut().for_each(Reader::read);
        if more {
            assert!(begin.elapsed() < TIMEOUT / 2, "the shard never comes to rest: {:?}", restless(&shard, &clients));
            continue;
        }
        if done && !shard.has_entries() {
            break;
        }
        wake.about_to_sleep();
        if !shard.has_entries() && publishing.load(Ordering::Acquire) > 0 {
            // No timeout: a thread that is not woken stays here.
            std::thread::park();
        }
        wake.woke();
    }
    clients.iter_mut().for_each(|client| client.is_complete(engine));
}

/// The clients that keep a shard awake.
fn restless(shard: &Shard<SimSink>, clients: &[Reader]) -> Vec<String> {
    clients.iter().filter(|client| shard.has_pending(client.conn)).map(|client| format!("{client:?}")).collect()
}

#[test]
fn on_real_threads_every_stream_is_without_a_hole() {
    let rounds = std::env::var("TICKCAST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    (0..rounds).for_each(round);
}

fn round(seed: u64) {
    let threads: Arc<[OnceLock<Thread>; SHARDS]> = Arc::default();
    let notify = |index: usize| -> Box<dyn Fn() + Send + Sync> {
        let threads = threads.clone();
        Box::new(move || threads[index].get().expect("it was set").unpark())
    };
    let limits = Limits {
        ring_bytes: 16_384,
        behind_bytes: 4000,
        retain: Retain { updates: 200, bytes: 1 << 20, ms: 0 },
        feed_bytes_max: 200_000,
        heartbeat_ms: 1 << 30,
        stall_ms: 1 << 30,
        ..Limits::default()
    };
    let engine = Engine::new(limits, seed, (0..SHARDS).map(notify).collect());
    let (begin, publishing) = (Instant::now(), Arc::new(AtomicUsize::new(PUBLISHERS as usize)));
    let finished: Arc<[AtomicBool; SHARDS]> = Arc::default();
    let shards: Vec<_> = (0..SHARDS)
        .map(|index| {
            let (engine, threads) = (engine.clone(), threads.clone());
            let (publishing, finished) = (publishing.clone(), finished.clone());
            std::thread::spawn(move || {
                threads[index].set(std::thread::current()).expect("once");
                shard(&engine, index, begin, seed, &publishing);
                finished[index].store(true, Ordering::Release);
            })
        })
        .collect();
    while threads.iter().any(|thread| thread.get().is_none()) {
        std::thread::yield_now();
    }
    std::thread::scope(|scope| {
        for index in 0..PUBLISHERS {
            let (engine, publishing) = (&engine, &publishing);
            scope.spawn(move || {
                publisher(engine, begin, seed * 100 + 50 + index);
                publishing.fetch_sub(1, Ordering::AcqRel);
            });
        }
    });
    // Wakes the threads that have read everything and sleep.
    for thread in threads.iter() {
        thread.get().expect("it was set").unpark();
    }
    for (index, thread) in shards.into_iter().enumerate() {
        while !thread.is_finished() && begin.elapsed() < TIMEOUT {
            std::thread::yield_now();
        }
        assert!(thread.is_finished(), "shard {index} sleeps or spins for ever");
        thread.join().expect("its checks passed");
        assert!(finished[index].load(Ordering::Acquire));
    }
}
