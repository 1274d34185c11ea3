//! Brokers that apply the same commands at the same places agree: on every outcome, on epochs and sequences, on images
//! and on the last ordinal, however much their limits, their clocks and their clients differ.

use std::sync::Arc;

use broker_engine::{At, Command, Engine, Limits, Met, Now, Outcome, Retain, Shard, ShardStats, Sink, Walk, Wrote};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::parse_line;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const COMMANDS: u64 = 400;
const SEEDS: u64 = 40;
const NONCE: u64 = 7;

/// A socket that takes everything.
struct Socket;

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

/// One broker: its engine, and shards whose clients have it append to the feed.
struct Broker {
    engine: Arc<Engine>,
    shards: Vec<Shard<Socket>>,
}

impl Broker {
    fn new(limits: Limits, shards: usize) -> Self {
        let notify = (0..shards).map(|_| Box::new(|| {}) as Box<dyn Fn() + Send + Sync>).collect();
        let engine = Engine::new(limits, NONCE, notify);
        let shards = (0..shards).map(|index| Shard::new(engine.clone(), index, Arc::<ShardStats>::default())).collect();
        Self { engine, shards }
    }

    /// Connects a client that subscribes to a topic or a pattern.
    fn subscribe(&mut self, now: Now, entry: &str) {
        if let Some(shard) = self.shards.first_mut() {
            let id = shard.connect(now, Socket);
            shard.handle(now, id, &format!(r#"{{"op":"subscribe","topics":["{entry}"]}}"#));
        }
    }

    /// Lets the shards do what there is to do.
    fn run(&mut self, now: Now) {
        for shard in &mut self.shards {
            for _ in 0..3 {
                shard.take_in(now);
                shard.turn(&mut || now);
                shard.begin_requests();
                shard.tick(now);
            }
        }
    }

    fn apply(&self, at: At, command: &Random) -> String {
        let result = match command {
            Random::Publish(line) => {
                let update = parse_line(line).expect("a line of NDJSON");
                self.engine.apply(at, Command::Publish(&update))
            }
            Random::End { topic, only } => {
                let only = only.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
                self.engine.apply(at, Command::End { topic, only })
            }
        };
        match result {
            Ok(Outcome::Published(done)) => {
                format!("{} {} {} {}", done.topic.name(), done.topic.epoch(), done.seq, done.duplicate)
            }
            Ok(Outcome::Ended(done)) => {
                format!("{} {} ended after {}", done.topic.name(), done.topic.epoch(), done.seq)
            }
            Ok(Outcome::WentOn) => "went on".to_owned(),
            Err(refusal) => refusal.code.as_str().to_owned(),
        }
    }

    /// What all brokers must have in common: every topic, with its image, and the last ordinal.
    fn state(&self) -> Vec<String> {
        let mut walk = Walk::new(Pattern::parse(">").expect("a pattern"), None);
        let mut state = vec![format!("ordinal {}", self.engine.feed().ordinal())];
        loop {
            match self.engine.next_row(&mut walk, &mut 1000) {
                Met::One(row) => {
                    let image = self.engine.image(&row.topic).map(|image| image.encode());
                    let image = image.map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned());
                    state.push(format!(
                        "{} {} {:?} {} {} {image:?}",
                        row.topic, row.epoch, row.kind, row.seq, row.last_ts
                    ));
                }
                Met::Pause => {}
                Met::End => return state,
            }
        }
    }
}

#[derive(Debug)]
enum Random {
    Publish(String),
    End { topic: &'static str, only: Option<(String, u64)> },
}

/// Makes a command. `known` has epochs and sequences that topics have had.
fn command(random: &mut StdRng, known: &[(String, u64)]) -> Random {
    let topic = ["a", "b", "b.c", "d.e.f"][random.random_range(0..4)];
    if random.random_range(0..8) == 0 {
        let only = (random.random_range(0..2) == 0 && !known.is_empty())
            .then(|| known[known.len() - 1 - random.random_range(0..known.len().min(4))].clone());
        return Random::End { topic, only };
    }
    let kind = ["", r#","kind":"event""#, r#","kind":"state""#, r#","kind":"patch""#][random.random_range(0..4)];
    let data = match random.random_range(0..5) {
        0 => r#"{"x":null}"#.to_owned(),
        1 => format!(r#"{{"y":"{}"}}"#, "long ".repeat(40)),
        _ => format!(r#"{{"x":{}}}"#, random.random_range(0..100)),
    };
    let source = match random.random_range(0..3) {
        0 => String::new(),
        _ => {
            let (source, number) = (random.random_range(0..20), random.random_range(0..50));
            format!(r#","source":"s{source}","source_seq":{number}"#)
        }
    };
    Random::Publish(format!(r#"{{"topic":"{topic}"{kind}{source},"data":{data}}}"#))
}

/// The limits of a broker whose own bounds are so small that they would refuse nearly everything.
fn cramped() -> Limits {
    let retain = Retain { updates: 2, bytes: 100, ms: 1 };
    Limits { topics_max: 1, images_bytes_max: 1, sources_bytes_max: 1, retain, ..common() }
}

/// What brokers on one log have in common.
fn common() -> Limits {
    Limits { image_bytes: 120, ..Limits::default() }
}

#[test]
fn brokers_that_apply_the_same_commands_agree() {
    let mut met = [0; 8];
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut brokers = [Broker::new(common(), 0), Broker::new(cramped(), 1), Broker::new(common(), 3)];
        // It publishes without places. All outcomes are as those with places, but for the epochs.
        let alone = Broker::new(common(), 1);
        let (mut known, mut ts_us) = (Vec::new(), 1_000_000);
        for number in 0..COMMANDS {
            let command = command(&mut random, &known);
            // The log's clock may stand still, or go back.
            ts_us = ts_us + random.random_range(0..1000) - random.random_range(0..500);
            let mut outcomes = Vec::new();
            for (index, broker) in brokers.iter_mut().enumerate() {
                let mono_us = number * 1000 + random.random_range(0..1000) + index as u64 * 1_000_000;
                let now = Now { mono_us, wall_us: random.random_range(0..1_000_000_000) };
                if random.random_range(0..20) == 0 {
                    broker.subscribe(now, ["a", "b.>", ">", "d.*.f"][random.random_range(0..4)]);
                }
                outcomes.push(broker.apply(At::place(number * 2 + 2, ts_us, mono_us), &command));
                if random.random_range(0..3) == 0 {
                    broker.run(now);
                }
            }
            let states: Vec<_> = brokers.iter().map(Broker::state).collect();
            let what = || format!("seed {seed}, command {number}: {command:?}");
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{}: {outcomes:#?}", what());
            assert!(states.iter().all(|state| *state == states[0]), "{}: {states:#?}", what());
            if let [_, epoch, seq, ..] = outcomes[0].split(' ').collect::<Vec<_>>()[..]
                && let Ok(seq) = seq.parse()
            {
                known.push((epoch.to_owned(), seq));
            }
            count(&mut met, &outcomes[0]);
            if !matches!(command, Random::End { only: Some(_), .. }) {
                let now = Now { mono_us: number, wall_us: ts_us };
                let without = alone.apply(At::next(now), &command);
                assert_eq!(without_epoch(&without), without_epoch(&outcomes[0]), "{}", what());
            } else if outcomes[0].contains("ended") {
                let Random::End { topic, .. } = command else { continue };
                let now = Now { mono_us: number, wall_us: ts_us };
                alone.apply(At::next(now), &Random::End { topic, only: None });
            }
        }
    }
    assert!(met.iter().all(|times| *times > 20), "too few commands of some outcome: {met:?}");
}

fn count(met: &mut [u64; 8], outcome: &str) {
    let words = ["false", "true", "ended", "went", "kind_mismatch", "no_state", "too_large", "not_found"];
    for (times, word) in met.iter_mut().zip(words) {
        *times += u64::from(outcome.contains(word));
    }
}

fn without_epoch(outcome: &str) -> Vec<&str> {
    outcome.split(' ').enumerate().filter(|(index, _)| *index != 1).map(|(_, word)| word).collect()
}
