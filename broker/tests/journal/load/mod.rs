//! Load for brokers that are killed now and then: producers that repeat what was not answered, and subscribers that go on from
//! where they were. Whatever anybody was told of an update has to stay true: its epoch and `seq`, its order, its data; and
//! each update is there once.
//!
//! ```text
//! contents     what is published follows from its topic, its producer and its number
//! producers    five, each in another way
//! subscribers  three, each in another way
//! stream       Server-Sent Events for one of them
//! incoming     bytes that came, and whether a connection is lost
//! ledger       what anybody was told
//! check        what a broker retains, held against that
//! ```

mod check;
mod contents;
mod incoming;
mod ledger;
mod producers;
mod stream;
mod subscribers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::contents::PRODUCERS;
use self::producers::{Job, Producer};
use self::subscribers::SUBSCRIBERS;
use crate::common::{PATIENCE, until};

pub(crate) use self::incoming::Incoming;
pub(crate) use self::ledger::Ledger;

/// The brokers to which producers and subscribers go, one after the other when they lose a connection.
#[derive(Debug, Clone)]
pub(crate) struct Brokers {
    pub(crate) addresses: Vec<SocketAddr>,
    /// How long a connection may be silent until it counts as lost: longer than `heartbeat_ms`.
    pub(crate) silence: Duration,
    /// Whether the log may be out of reach: then publishes may be `unavailable` at any time, and clients are told `stale`.
    pub(crate) log_may_be_away: bool,
    /// How long it may take until something is published again.
    pub(crate) patience: Duration,
}

impl Brokers {
    /// One broker, with the default heartbeat and a log of its own.
    pub(crate) fn one(address: SocketAddr) -> Self {
        Self { addresses: vec![address], silence: PATIENCE * 2, log_may_be_away: false, patience: PATIENCE }
    }

    fn address(&self, turn: usize) -> SocketAddr {
        self.addresses[turn % self.addresses.len()]
    }
}

/// Producers and subscribers at work. Dropped, they end.
pub(crate) struct Load {
    pub(crate) ledger: Arc<Ledger>,
    producers: Vec<JoinHandle<Vec<Job>>>,
    subscribers: Vec<JoinHandle<()>>,
    is_done: Arc<AtomicBool>,
}

impl Load {
    /// Starts all of them. The brokers have none of the topics yet.
    #[track_caller]
    pub(crate) fn start(brokers: Brokers) -> Self {
        let ledger = Arc::new(Ledger::new(brokers, SUBSCRIBERS));
        let (is_done, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let subscribers = (0..SUBSCRIBERS).map(|index| {
            let (ledger, is_done, ready) = (ledger.clone(), is_done.clone(), ready.clone());
            let ready = move || _ = ready.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || subscribers::run(ledger, index, is_done, ready))
        });
        let subscribers = subscribers.collect();
        let mut load = Self { ledger, producers: Vec::new(), subscribers, is_done };
        until("the subscribers to be there", || {
            load.join_failed();
            ready.load(Ordering::SeqCst) == SUBSCRIBERS
        });
        load.producers = (0..PRODUCERS)
            .map(|index| {
                let producer = Producer::new(load.ledger.clone(), index);
                std::thread::spawn(move || producer.run())
            })
            .collect();
        if load.ledger.brokers.log_may_be_away {
            // A client that was away when a topic began does not know whether it missed something.
            until("all subscribers to have something of all topics", || {
                load.join_failed();
                (0..load.ledger.topics.len()).all(|topic| (0..SUBSCRIBERS).all(|it| load.ledger.seen(it, topic) > 0))
            });
        }
        load
    }

    /// Waits until so many more publishes are answered. Fails with whatever a thread has failed with.
    #[track_caller]
    pub(crate) fn until_answered(&mut self, more: u64) {
        let goal = self.ledger.answered.load(Ordering::Relaxed) + more;
        let end = Instant::now() + self.ledger.brokers.patience;
        while self.ledger.answered.load(Ordering::Relaxed) < goal {
            self.join_failed();
            assert!(Instant::now() < end, "nobody publishes any more: {}", self.whereabouts());
            pass(Duration::from_millis(1));
        }
    }

    /// Ends the producers, waits until all subscribers have all, and ends them. Returns how many updates each topic has.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> Vec<u64> {
        self.ledger.is_over.store(true, Ordering::SeqCst);
        let mut last = vec![0; self.ledger.topics.len()];
        for producer in std::mem::take(&mut self.producers) {
            // What is shared has the updates of all.
            producer.join().unwrap().into_iter().for_each(|(topic, n)| last[topic] += n);
        }
        let end = Instant::now() + self.ledger.brokers.patience;
        for subscriber in 0..SUBSCRIBERS {
            while (0..last.len()).any(|topic| self.ledger.seen(subscriber, topic) != last[topic]) {
                self.join_failed();
                assert!(Instant::now() < end, "not everybody has all of {last:?}: {}", self.whereabouts());
                pass(Duration::from_millis(1));
            }
        }
        self.is_done.store(true, Ordering::SeqCst);
        std::mem::take(&mut self.subscribers).into_iter().for_each(|subscriber| subscriber.join().unwrap());
        last
    }

    /// Everything that this broker retains is what anybody was told of it, and nothing is missing in between. `is_busy`:
    /// publishing goes on meanwhile.
    #[track_caller]
    pub(crate) fn check_kept(&self, address: SocketAddr, is_busy: bool) {
        check::check_kept(address, &self.ledger, is_busy);
    }

    /// How far each subscriber is on each topic.
    pub(crate) fn whereabouts(&self) -> String {
        let of =
            |topic: usize| (0..SUBSCRIBERS).map(|subscriber| self.ledger.seen(subscriber, topic)).collect::<Vec<_>>();
        let topics = self.ledger.topics.iter().enumerate();
        topics.map(|(index, topic)| format!("{} {:?}", topic.name, of(index))).collect::<Vec<_>>().join(", ")
    }

    /// Fails with whatever a thread failed with.
    #[track_caller]
    pub(crate) fn join_failed(&mut self) {
        let producer = self.producers.iter().position(|thread| thread.is_finished());
        let subscriber = self.subscribers.iter().position(|thread| thread.is_finished());
        let has_failed = producer.is_some_and(|at| self.producers.remove(at).join().is_err())
            || subscriber.is_some_and(|at| self.subscribers.remove(at).join().is_err());
        assert!(!has_failed, "a thread of the test has failed; see above");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ledger.is_over.store(true, Ordering::SeqCst);
        self.is_done.store(true, Ordering::SeqCst);
    }
}

/// Lets time pass: a pace between two looks, or the moment of a kill. Nothing is expected to have happened by then.
#[allow(clippy::disallowed_methods, reason = "whoever waits for something looks again")]
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
