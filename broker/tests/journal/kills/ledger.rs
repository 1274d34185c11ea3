//! What anybody was told of an update, kept for as long as the test runs: it has to stay true.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::contents::{Kind, Topic, image, topics, update};

/// How many updates of a topic may be ahead of the slowest subscriber, so that what it needs is retained.
const AHEAD_MAX: u64 = 200;

/// What all threads share.
pub(super) struct Ledger {
    pub(super) address: SocketAddr,
    pub(super) topics: Vec<Topic>,
    /// Set when no further update is to be published.
    pub(super) is_over: AtomicBool,
    /// Set while nobody is to publish anything new.
    pub(super) is_held: AtomicBool,
    /// Answers to publishes.
    pub(super) answered: AtomicU64,
    /// Of these, those that said that it was a duplicate.
    pub(super) duplicates: AtomicU64,
    /// Connections that were lost and made anew.
    pub(super) reconnects: AtomicU64,
    epochs: Mutex<HashMap<String, String>>,
    /// Who has which `seq` of the topic that all publish to.
    shared: Mutex<HashMap<u64, (usize, u64)>>,
    /// Updates that were published or are on their way, by topic.
    begun: Vec<AtomicU64>,
    /// The newest `seq` that each subscriber has, by topic.
    seen: Vec<Vec<AtomicU64>>,
}

impl Ledger {
    pub(super) fn new(address: SocketAddr, subscribers: usize) -> Self {
        let topics = topics();
        let zeroes = || -> Vec<AtomicU64> { topics.iter().map(|_| AtomicU64::new(0)).collect() };
        let begun = zeroes();
        let seen = (0..subscribers).map(|_| zeroes()).collect();
        Self {
            address,
            is_over: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
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

    pub(super) fn is_over(&self) -> bool {
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

    pub(super) fn set_seen(&self, subscriber: usize, topic: usize, seq: u64) {
        self.seen[subscriber][topic].store(seq, Ordering::Relaxed);
    }

    pub(super) fn seen(&self, subscriber: usize, topic: usize) -> u64 {
        self.seen[subscriber][topic].load(Ordering::Relaxed)
    }

    /// A topic never has another epoch than the first that anybody was told.
    #[track_caller]
    pub(super) fn check_epoch(&self, topic: &str, epoch: &str) {
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
    pub(super) fn check_update(&self, topic: usize, op: &str, seq: u64, data: &str) -> (usize, u64) {
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
    pub(super) fn check_image(&self, topic: usize, seq: u64, data: &Value) {
        let Topic { name, kind } = &self.topics[topic];
        let producer = producer_of(name).expect("events have no image");
        assert_eq!(*data, image(*kind, producer, seq), "the image of {name} at {seq}");
    }
}

fn producer_of(topic: &str) -> Option<usize> {
    topic.split('.').nth(1)?.parse().ok()
}
