//! A journal in a directory, from one start of a broker to the next: what was answered is there again, the same.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

mod broker;
mod copies;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use broker_engine::{Limits, Retain, SavedTopic};
use broker_journal::{JournalError, LastEnd, Options};
use broker_protocol::codes::ErrorCode;
use broker_protocol::kind::Kind;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use broker::{Broker, options};

fn limits() -> Limits {
    Limits {
        retain: Retain { updates: 20, bytes: 1 << 20, ms: 0 },
        image_bytes: 500,
        topics_max: 12,
        ..Limits::default()
    }
}

/// Submits a random command, which may be refused.
fn command(random: &mut StdRng, broker: &mut Broker, number: u64) {
    let topic = format!("t{}.x", random.random_range(0..15));
    let source = random.random_bool(0.5).then(|| ("s", number - random.random_range(0..3).min(number)));
    let result = match random.random_range(0..20) {
        0 => broker.end(&topic),
        1..8 => broker.publish(&topic, Kind::Event, &format!("[{number}, \"{}\"]", "x".repeat(50)), source),
        8..12 => broker.publish(&topic, Kind::State, &format!("{{\"a\":{number}}}"), source),
        12..19 => broker.publish(&topic, Kind::Patch, &format!("{{\"k{}\":{number}}}", number % 7), source),
        _ => broker.publish(&topic, Kind::State, &format!("{{\"b\":\"{}\"}}", "y".repeat(600)), source),
    };
    if let Err(refusal) = result {
        assert!(matches!(refusal.code, ErrorCode::Limit | ErrorCode::NotFound), "{refusal:?}");
    }
}

#[test]
fn every_start_finds_what_the_last_run_had() {
    let (mut commands, mut answers) = (0, 0);
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut before: Option<(Vec<SavedTopic>, u64)> = None;
        for start in 0..6 {
            let mut broker = Broker::start(options(folder.path()), limits()).unwrap();
            if let Some((topics, ordinal)) = before.take() {
                assert_eq!(broker.topics(), topics, "seed {seed}, start {start}");
                assert_eq!(broker.engine.feed().ordinal(), ordinal + 2, "only the session's record came after it");
            }
            for _ in 0..random.random_range(0..400) {
                commands += 1;
                command(&mut random, &mut broker, commands);
                if random.random_bool(0.1) {
                    broker.run();
                }
            }
            broker.run();
            answers += broker.told().len();
            assert!(broker.topics().len() <= 12);
            before = Some((broker.topics(), broker.engine.feed().ordinal()));
            let stopped = random.random_bool(0.5);
            if stopped {
                broker.drive.stop().unwrap();
            } else {
                drop(broker);
            }
        }
    }
    assert!(answers > 3000, "{answers}");
}

/// The files of a kind that are complete.
fn files(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |name: &str| name.starts_with(prefix) && !name.ends_with(".new");
    let mut found: Vec<_> = all.filter(|path| is_one(path.file_name().unwrap().to_str().unwrap())).collect();
    found.sort();
    found
}

fn small(dir: &Path) -> Options {
    Options { checkpoint_bytes: 20_000, ..options(dir) }
}

/// Publishes until this many checkpoints are complete.
fn until_checkpoints(random: &mut StdRng, broker: &mut Broker, count: u64) {
    let mut number = 0;
    while broker.status.checkpoints.load(Ordering::Relaxed) < count {
        number += 1;
        command(random, broker, number);
        broker.run();
        // The thread that writes the checkpoint has its turn.
        std::thread::yield_now();
    }
}

#[test]
fn checkpoints_make_the_log_short_and_a_start_goes_on_from_one() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Broker::start(small(folder.path()), limits()).unwrap();
        until_checkpoints(&mut random, &mut broker, 4);
        assert_eq!(files(folder.path(), "checkpoint.").len(), 2);
        assert!(files(folder.path(), "log.").len() <= 3);
        assert!(broker.status.log_bytes.load(Ordering::Relaxed) > 0);
        let (topics, ordinal) = (broker.topics(), broker.engine.feed().ordinal());
        drop(broker);
        let broker = Broker::start(small(folder.path()), limits()).unwrap();
        assert_eq!((broker.topics(), broker.engine.feed().ordinal()), (topics, ordinal + 2));
        assert!(broker.status.topics_restored.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn if_the_newest_checkpoint_is_damaged_the_one_before_serves() {
    let mut random = StdRng::seed_from_u64(3);
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(small(folder.path()), limits()).unwrap();
    until_checkpoints(&mut random, &mut broker, 3);
    let topics = broker.topics();
    drop(broker);
    let [older, newest] = &files(folder.path(), "checkpoint.")[..] else { panic!("two are kept") };
    let mut bytes = fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, &bytes).unwrap();
    let broker = Broker::start(small(folder.path()), limits()).unwrap();
    assert_eq!(broker.topics(), topics);
    drop(broker);
    // With neither of them, the log has no beginning.
    fs::write(older, &bytes).unwrap();
    let error = Broker::start(small(folder.path()), limits()).map(drop).unwrap_err();
    assert!(matches!(error, JournalError::Incomplete { checkpoints: 2, .. }), "{error}");
}

#[test]
fn what_may_have_lost_updates_gets_other_epochs_and_keeps_its_topics() {
    let mut random = StdRng::seed_from_u64(5);
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::start(small(folder.path()), limits()).unwrap();
    until_checkpoints(&mut random, &mut broker, 2);
    // The record that will be lost: nothing comes of it.
    broker.publish("t0.x", Kind::State, &format!("{{\"b\":\"{}\"}}", "y".repeat(600)), None).unwrap();
    broker.run();
    assert!(broker.told().pop().unwrap().is_err());
    let (before, ordinal) = (broker.topics(), broker.engine.feed().ordinal());
    let base = broker.engine.limits().order_base;
    drop(broker);
    // No process that was killed leaves this: the end of the last record is another one.
    let log = files(folder.path(), "log.").pop().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(log, bytes).unwrap();
    let mut epochs = Vec::new();
    for start in 0..3 {
        let broker = Broker::start(small(folder.path()), limits()).unwrap();
        assert_eq!(broker.last_end, if start == 0 { LastEnd::Damaged } else { LastEnd::Killed });
        let after = broker.topics();
        let is_same = |one: &SavedTopic, other: &SavedTopic| {
            one.epoch != other.epoch && *one == SavedTopic { epoch: one.epoch.clone(), ..other.clone() }
        };
        assert!(before.len() == after.len() && before.iter().zip(&after).all(|(one, other)| is_same(one, other)));
        epochs.push(after.iter().map(|topic| topic.epoch.clone()).collect::<Vec<_>>());
        // Ids that were given out before are below those of now, and continue nothing.
        let limits = broker.engine.limits();
        assert!(limits.order_base + limits.order_first > base + ordinal);
        assert_eq!(broker.engine.ordinal_of(base + ordinal), 0);
        assert_eq!(broker.engine.ordinal_of(limits.order_base + limits.order_first), ordinal - 2);
    }
    assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]), "only once");
    let mut unique = epochs.swap_remove(0);
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), before.len());
}

#[test]
fn a_log_that_takes_what_it_may_refuses_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { bytes_max: 4000, checkpoint_bytes: 1 << 30, ..options(folder.path()) };
    let mut broker = Broker::start(options.clone(), limits()).unwrap();
    let mut taken = 0;
    while broker.status.failed().is_none() {
        broker.publish("a", Kind::Event, "1", None).unwrap();
        broker.run();
        taken += u64::from(broker.told().pop().unwrap().is_ok());
    }
    assert!(broker.status.failed().unwrap().contains("journal_bytes_max"));
    let refusal = broker.publish("a", Kind::Event, "1", None).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Unavailable);
    drop(broker);
    let mut broker = Broker::start(Options { bytes_max: 1 << 20, ..options }, limits()).unwrap();
    assert_eq!(broker.topics()[0].seq, taken);
    broker.publish("a", Kind::Event, "1", None).unwrap();
    broker.run();
    assert_eq!(broker.told().pop().unwrap().unwrap().1, taken + 1);
}

#[test]
fn settings_count_from_their_place_in_the_log_on() {
    let folder = tempfile::tempdir().unwrap();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(450));
    let mut broker = Broker::start(options(folder.path()), limits()).unwrap();
    broker.publish("a", Kind::State, &large, None).unwrap();
    broker.run();
    let topics = broker.topics();
    drop(broker);
    let stricter = Limits { image_bytes: 100, ..limits() };
    for _ in 0..2 {
        let mut broker = Broker::start(options(folder.path()), stricter.clone()).unwrap();
        assert_eq!(broker.topics(), topics, "what was accepted stays");
        broker.publish("a", Kind::State, &large, None).unwrap();
        broker.run();
        assert_eq!(broker.told().pop().unwrap().unwrap_err().code, ErrorCode::TooLarge);
    }
}
