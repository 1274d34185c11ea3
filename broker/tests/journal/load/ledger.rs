//! What anybody was told of an update, kept for as long as the test runs: it has to stay true.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Brokers;
use super::contents::{Kind, Topic, image, topics, update};

/// How many updates of a topic may be ahead of the slowest subscriber, so that what it needs is retained.
const AHEAD_MAX: u64 = 200;

/// What all threads share.
pub(crate) struct Ledger {
    pub(super) brokers: Brokers,
    pub(crate) topics: Vec<Topic>,
    /// Set when no further update is to be published.
    pub(super) is_over: AtomicBool,
    /// Set while nobody is to publish anything new.
    pub(crate) is_held: AtomicBool,
    /// Answers to publishes.
    pub(crate) answered: AtomicU64,
    /// Of these, those that said that it was a duplicate.
    pub(crate) duplicates: AtomicU64,
    /// Connections that were lost and made anew.
    pub(crate) reconnects: AtomicU64,
    /// Answers that said that the journal cannot be written.
    pub(crate) unavailable: AtomicU64,
    /// How long it took from a lost connection until a subscriber was served again.
    pub(crate) resumed: Mutex<Vec<Duration>>,
    /// How long it took from a lost connection until a producer got an answer again.
    pub(crate) published: Mutex<Vec<Duration>>,
    /// When something was answered last, and the longest pause between two answers, in µs since `begin`.
    begin: Instant,
    answered_us: AtomicU64,
    pause_us: AtomicU64,
    epochs: Mutex<HashMap<String, String>>,
    /// Who has which `seq` of the topic that all publish to.
    shared: Mutex<HashMap<u64, (usize, u64)>>,
    /// Updates that were published or are on their way, by topic.
    begun: Vec<AtomicU64>,
    /// The newest `seq` from which each subscriber could resume, by topic.
    seen: Vec<Vec<AtomicU64>>,
}

impl Ledger {
    pub(super) fn new(brokers: Brokers, subscribers: usize) -> Self {
        let topics = topics();
        let zeroes = || -> Vec<AtomicU64> { topics.iter().map(|_| AtomicU64::new(0)).collect() };
        let begun = zeroes();
        let seen = (0..subscribers).map(|_| zeroes()).collect();
        Self {
            brokers,
            is_over: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            resumed: Mutex::default(),
            published: Mutex::default(),
            begin: Instant::now(),
            answered_us: AtomicU64::new(0),
            pause_us: AtomicU64::new(0),
            epochs: Mutex::default(),
            shared: Mutex::default(),
            begun,
            seen,
            topics,
        }
    }

    pub(super) fn index(&self, topic: &str) -> usize {
        let found = self.topics.iter().position(|known| known.name == topic);
        found.unwrap_or_else(|| panic!("nobody publishes {topic}"))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Whether a producer may publish another update of a topic now; it is counted then.
    pub(super) fn begin_one(&self, topic: usize) -> bool {
        if self.is_held.load(Ordering::Relaxed) {
            return false;
        }
        let slowest = self.seen.iter().map(|seen| seen[topic].load(Ordering::Relaxed)).min().unwrap_or(0);
        let may = |begun: u64| (begun < slowest + AHEAD_MAX).then_some(begun + 1);
        self.begun[topic].fetch_update(Ordering::Relaxed, Ordering::Relaxed, may).is_ok()
    }

    /// So many publishes were answered.
    pub(super) fn count_answers(&self, answers: u64) {
        self.answered.fetch_add(answers, Ordering::Relaxed);
        let now_us = self.begin.elapsed().as_micros() as u64;
        let before_us = self.answered_us.swap(now_us, Ordering::Relaxed);
        self.pause_us.fetch_max(now_us.saturating_sub(before_us), Ordering::Relaxed);
    }

    /// The longest time for which no producer got an answer, since this was asked last.
    pub(crate) fn take_pause(&self) -> Duration {
        Duration::from_micros(self.pause_us.swap(0, Ordering::Relaxed))
    }

    /// A connection was lost: `since` is when the first one was that was not replaced yet.
    pub(super) fn lost(&self, since: &mut Option<Instant>) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
        since.get_or_insert_with(Instant::now);
    }

    pub(super) fn set_seen(&self, subscriber: usize, topic: usize, seq: u64) {
        self.seen[subscriber][topic].store(seq, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self, subscriber: usize, topic: usize) -> u64 {
        self.seen[subscriber][topic].load(Ordering::Relaxed)
    }

    /// A topic never has another epoch than the first that anybody was told.
    #[track_caller]
    pub(crate) fn check_epoch(&self, topic: &str, epoch: &str) {
        let mut epochs = self.epochs.lock().unwrap();
        let known = epochs.entry(topic.to_owned()).or_insert_with(|| epoch.to_owned());
        assert_eq!(known, epoch, "{topic} has another epoch");
    }

    /// An answer said that this update has this `seq`.
    #[track_caller]
    pub(super) fn check_answer(&self, topic: usize, epoch: &str, seq: u64, producer: usize, n: u64) {
        self.check_epoch(&self.topics[topic].name, epoch);
        self.check_place(topic, seq, producer, n);
    }

    /// Somebody got an update, or its history has it. Returns whose it is.
    #[track_caller]
    pub(crate) fn check_update(&self, topic: usize, op: &str, seq: u64, data: &str) -> (usize, u64) {
        let Topic { name, kind } = &self.topics[topic];
        let parsed: Value = serde_json::from_str(data).unwrap();
        let n = parsed["n"].as_u64().unwrap();
        // The only producer of a topic is in its name, and not in patches.
        let producer = producer_of(name).unwrap_or_else(|| parsed["p"].as_u64().unwrap() as usize);
        let wanted = update(*kind, producer, n);
        assert_eq!((op, data), (wanted.op, &*wanted.data), "{name} {seq}");
        self.check_place(topic, seq, producer, n);
        (producer, n)
    }

    #[track_caller]
    fn check_place(&self, topic: usize, seq: u64, producer: usize, n: u64) {
        let Topic { name, kind } = &self.topics[topic];
        if *kind == Kind::Shared {
            let known = *self.shared.lock().unwrap().entry(seq).or_insert((producer, n));
            assert_eq!(known, (producer, n), "{name} {seq} is another update than before");
        } else {
            // Each is taken once and in order, and nobody else publishes there.
            assert_eq!(seq, n, "{name}: an update was lost, or taken twice");
        }
    }

    /// Somebody got an image.
    #[track_caller]
    pub(crate) fn check_image(&self, topic: usize, seq: u64, data: &Value) {
        let Topic { name, kind } = &self.topics[topic];
        let producer = producer_of(name).expect("events have no image");
        assert_eq!(*data, image(*kind, producer, seq), "the image of {name} at {seq}");
    }
}

fn producer_of(topic: &str) -> Option<usize> {
    topic.split('.').nth(1)?.parse().ok()
}
