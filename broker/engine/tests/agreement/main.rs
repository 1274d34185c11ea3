//! Brokers that apply the same commands at the same places agree: on every outcome, on epochs and sequences, on images
//! and on the last ordinal, however much their limits, their clocks and their clients differ; also a broker that was
//! restored from a checkpoint which another wrote while it went on.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod broker;
mod cluster;
mod commands;
#[path = "../simulation/encoded.rs"]
mod encoded;
mod log;
#[path = "../simulation/message.rs"]
mod message;
#[path = "../simulation/network.rs"]
mod network;
mod node;
#[cfg(feature = "planted-faults")]
mod planted;
mod reader;
mod truth;

use std::sync::Arc;

use broker_engine::{At, Limits, Meanwhile, Now, Retain, SavedTopic};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use broker::{Broker, common, cramped};
use commands::{Random, command, known};

const COMMANDS: u64 = 400;
const SEEDS: u64 = 40;

#[test]
fn brokers_that_apply_the_same_commands_agree() {
    let mut met = [0; 8];
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut brokers = [Broker::new(common(), 0), Broker::new(cramped(), 1), Broker::new(common(), 3)];
        // It publishes without places. All outcomes are as those with places, but for the epochs.
        let alone = Broker::new(common(), 1);
        let (mut seen, mut ts_us) = (Vec::new(), 1_000_000);
        for number in 0..COMMANDS {
            let command = commands::command(&mut random, &seen);
            // The log's clock may stand still, or go back.
            ts_us = ts_us + random.random_range(0..1000) - random.random_range(0..500);
            let mut outcomes = Vec::new();
            for (index, broker) in brokers.iter_mut().enumerate() {
                let mono_us = number * 1000 + random.random_range(0..1000) + index as u64 * 1_000_000;
                let now = Now { mono_us, wall_us: random.random_range(0..1_000_000_000) };
                if random.random_range(0..20) == 0 {
                    broker.subscribe(now, [r#""a""#, r#""b.>""#, r#"">""#, r#""d.*.f""#][random.random_range(0..4)]);
                }
                outcomes.push(command.apply(&broker.engine, At::place(number * 2 + 2, ts_us, mono_us)));
                if random.random_range(0..3) == 0 {
                    broker.run(now);
                }
            }
            let states: Vec<_> = brokers.iter().map(Broker::state).collect();
            let what = || format!("seed {seed}, command {number}: {command:?}");
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{}: {outcomes:#?}", what());
            assert!(states.iter().all(|state| *state == states[0]), "{}: {states:#?}", what());
            seen.extend(known(&outcomes[0]));
            count(&mut met, &outcomes[0]);
            if !matches!(command, Random::End { only: Some(_), .. }) {
                let now = Now { mono_us: number, wall_us: ts_us };
                let without = command.apply(&alone.engine, At::next(now));
                assert_eq!(without_epoch(&without), without_epoch(&outcomes[0]), "{}", what());
            } else if outcomes[0].contains("ended") {
                let Random::End { topic, .. } = command else { continue };
                let now = Now { mono_us: number, wall_us: ts_us };
                Random::End { topic, only: None }.apply(&alone.engine, At::next(now));
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

/// A walk that saves the topics of a broker, a few at a time.
struct Checkpoint {
    /// The number of the first command that is not applied before it begins.
    from: u64,
    topics: Vec<SavedTopic>,
    at: Option<Arc<str>>,
    is_done: bool,
}

#[test]
fn a_broker_restored_from_a_checkpoint_that_was_written_meanwhile_agrees() {
    let (mut skipped, mut ended, mut restored) = (0, 0, 0);
    for seed in 1000..1000 + SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let limits = Limits { retain: Retain { updates: 4, bytes: 1 << 20, ms: 0 }, ..common() };
        let mut brokers = vec![Broker::new(limits.clone(), 1)];
        let (mut log, mut seen, mut walk) = (Vec::new(), Vec::new(), None::<Checkpoint>);
        for number in 0..COMMANDS {
            let now = Now { mono_us: 1_000_000 + number * 1000, wall_us: number };
            let one = command(&mut random, &seen);
            let at = At::place(number * 2 + 2, 1_000_000 + number, now.mono_us);
            let outcomes: Vec<_> = brokers.iter().map(|broker| one.apply(&broker.engine, at)).collect();
            let states: Vec<_> = brokers.iter().map(Broker::state).collect();
            let text = format!("seed {seed}, command {number}: {one:?}");
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{}: {outcomes:#?}", text);
            assert!(states.iter().all(|state| *state == states[0]), "{}: {states:#?}", text);
            seen.extend(known(&outcomes[0]));
            log.push(one);
            let first = brokers[0].engine.clone();
            match &mut walk {
                None if random.random_range(0..20) == 0 => {
                    first.begin_saving();
                    walk = Some(Checkpoint { from: number + 1, topics: Vec::new(), at: None, is_done: false });
                }
                None => {}
                Some(_) if random.random_range(0..3) > 0 => {}
                Some(walk) if !walk.is_done => {
                    let (topics, at) = first.save_topics(now, walk.at.as_deref(), 1);
                    walk.topics.extend(topics);
                    (walk.is_done, walk.at) = (at.is_none(), at);
                }
                Some(done) => {
                    let meanwhile = first.end_saving();
                    ended += meanwhile.ended.len();
                    let other = Broker::new(limits.clone(), 1);
                    done.topics.iter().for_each(|topic| other.engine.restore_topic(now, 500, topic));
                    other.engine.restore_meanwhile(meanwhile);
                    for again in done.from..=number {
                        let at = At::place(again * 2 + 2, 1_000_000 + again, now.mono_us);
                        skipped += usize::from(log[again as usize].apply(&other.engine, at) == "skipped");
                    }
                    other.engine.end_restoring();
                    assert_eq!(other.state(), brokers[0].state(), "{}: restored from {}", text, done.from);
                    for name in ["a", "b", "b.c", "d.e.f"] {
                        assert_eq!(other.history(name), brokers[0].history(name), "{}: history of {name}", text);
                    }
                    brokers.truncate(2);
                    brokers.push(other);
                    restored += 1;
                    walk = None;
                }
            }
        }
    }
    assert!(skipped > 100 && ended > 20 && restored > 100, "skipped {skipped}, ended {ended}, restored {restored}");
}

/// Runs histories of several brokers on one log.
fn histories() -> cluster::Met {
    let mut met = cluster::Met::default();
    for seed in 0..SEEDS {
        cluster::run(seed, 4_000, &mut met);
    }
    met
}

#[test]
fn brokers_on_one_log_agree_whatever_the_network_does() {
    let met = histories();
    eprintln!("{met:?}");
    let cluster::Met { resent, dropped, restarted, restored, cut, refused, went_back, unnoticed, .. } = met;
    let log = [resent, dropped, restarted, restored, cut, refused, went_back, unnoticed];
    assert!(met.inbound.iter().all(|times| *times > 100), "{met:?}");
    let cluster::Met { came, ahead: [by_seq, by_position, stream], waited, unavailable, reset, .. } = met;
    let clients = [came, by_seq, by_position, stream, waited, unavailable, reset];
    assert!(log.iter().chain(&clients).all(|times| *times > 10), "{met:?}");
}

/// Applies a command, and lets the broker deliver.
fn step(broker: &mut Broker, number: u64, line: &str) -> String {
    let now = Now { mono_us: 1_000_000 + number * 1000, wall_us: 0 };
    let at = At::place(number * 2, 1_000_000 + number, now.mono_us);
    let outcome = Random::Publish(line.to_owned()).apply(&broker.engine, at);
    broker.run(now);
    outcome
}

#[test]
fn clients_resume_at_a_restored_broker() {
    let (now, mut before) = (Now { mono_us: 5_000_000, wall_us: 0 }, Broker::new(common(), 1));
    let event = |n: u64| format!(r#"{{"topic":"events","data":{n}}}"#);
    let mut seen = (1..=4).map(|n| known(&step(&mut before, n, &event(n))).expect("it is published"));
    let (_, epoch, seq) = seen.nth(1).expect("the second");
    seen.for_each(drop);
    step(&mut before, 5, r#"{"topic":"states","kind":"state","data":{"x":1,"y":1}}"#);
    step(&mut before, 6, r#"{"topic":"states","kind":"patch","data":{"x":2}}"#);
    before.engine.begin_saving();
    let (topics, rest) = before.engine.save_topics(now, None, usize::MAX);
    assert_eq!((rest, before.engine.end_saving()), (None, Meanwhile::default()));

    let mut after = Broker::new(common(), 1);
    topics.iter().for_each(|topic| after.engine.restore_topic(now, 0, topic));
    after.engine.end_restoring();
    let resumes = after.subscribe(now, &format!(r#"{{"topic":"events","epoch":"{epoch}","seq":{seq}}}"#));
    let follows = after.subscribe(now, r#"">""#);
    after.run(now);
    let (resumed, followed) = (resumes.text(), follows.text());
    assert!(resumed.contains(r#""start":"resumed""#), "{resumed}");
    let updates = |text: &str| text.matches(r#""op":"update""#).count();
    assert_eq!(updates(&resumed), 2, "{resumed}");
    assert!(resumed.contains(r#""data":3"#) && resumed.contains(r#""data":4"#), "{resumed}");
    assert!(followed.contains(r#""data":{"x":2,"y":1}"#), "{followed}");
    step(&mut after, 7, &event(5));
    step(&mut after, 8, r#"{"topic":"states","kind":"patch","data":{"y":3}}"#);
    step(&mut after, 9, &event(6).replace("events", "begins"));
    let (resumed, followed) = (resumes.text(), follows.text());
    assert!(updates(&resumed) == 1 && resumed.contains(r#""seq":5"#), "{resumed}");
    assert!(followed.contains(r#""op":"patch""#) && followed.contains(r#""data":{"y":3}"#), "{followed}");
    assert!(followed.contains(r#""topic":"begins""#), "{followed}");
}
