//! Numbered events that are published one after the other, each until it is answered, and whoever follows them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::common::{Message, PATIENCE, until};
use crate::link::Link;
use crate::load::pass;
use crate::node::{Node, patiently};

/// Before what was refused is published again.
const PAUSE: Duration = Duration::from_millis(20);
/// A connection that is silent for so long is lost.
const SILENCE: Duration = PATIENCE;
/// How often an update is published in vain until the test fails.
const TRIES: u64 = 3_000;

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// A publisher with a topic and a source of its own. The update with `seq` n has `{"n":n}`.
pub(crate) struct Load {
    topic: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Publishes to this topic at this broker, as fast as it answers but for a pause after each.
    pub(crate) fn on(address: SocketAddr, topic: &str, pause: Duration) -> Self {
        let shared = Arc::<Shared>::default();
        let (of_thread, name) = (Arc::clone(&shared), topic.to_owned());
        let thread = std::thread::spawn(move || publish(address, &name, pause, &of_thread));
        Self { topic: topic.to_owned(), shared, thread: Some(thread) }
    }

    /// How many updates were answered as published.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// How often one was answered with `unavailable`, or not at all.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more are taken.
    #[track_caller]
    pub(crate) fn until_more(&self, many: u64) {
        let begin = self.taken();
        patiently(&format!("{many} updates of {} to be taken", self.topic), || {
            self.is_well();
            self.taken() >= begin + many
        });
    }

    #[track_caller]
    fn is_well(&self) {
        assert!(self.thread.as_ref().is_none_or(|thread| !thread.is_finished()), "{} was answered wrongly", self.topic);
    }

    /// Ends it once its last update is answered, and looks whether all brokers have each update once and in order.
    #[track_caller]
    pub(crate) fn end(mut self, nodes: &[&Node]) -> u64 {
        self.shared.is_over.store(true, Ordering::Relaxed);
        assert!(self.thread.take().unwrap().join().is_ok(), "{} was answered wrongly", self.topic);
        let taken = self.taken();
        let histories: Vec<Value> = nodes
            .iter()
            .map(|node| {
                node.until_seq(&self.topic, taken);
                node.history(&self.topic)
            })
            .collect();
        for history in &histories {
            assert_eq!(history["seq"], taken, "{}: an update was lost, or taken twice", self.topic);
            let updates = history["updates"].as_array().unwrap();
            assert!(!updates.is_empty() || taken == 0);
            updates.iter().for_each(|update| assert_eq!(update["seq"], update["data"]["n"], "{}", self.topic));
            assert_eq!(history, &histories[0], "brokers differ");
        }
        taken
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

fn publish(address: SocketAddr, topic: &str, pause: Duration, shared: &Shared) {
    let mut link = None;
    for n in 1.. {
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut tries = 0;
        while !is_taken(address, &mut link, topic, n) {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            tries += 1;
            assert!(tries < TRIES, "{topic}: {n} is not taken");
            pass(PAUSE);
        }
        shared.taken.store(n, Ordering::Relaxed);
        if !pause.is_zero() {
            pass(pause);
        }
    }
}

/// Publishes an update once. `false` if it was refused, or the broker is gone.
fn is_taken(address: SocketAddr, link: &mut Option<Link>, topic: &str, n: u64) -> bool {
    let Some(open) = link.take().or_else(|| Link::open(address, SILENCE).ok()) else { return false };
    let Some((answer, open)) = answer(open, topic, n) else { return false };
    *link = Some(open);
    if answer.op() == "error" {
        assert_eq!((&answer["code"], &answer["retry"]), (&"unavailable".into(), &true.into()), "{answer:?}");
        return false;
    }
    // It is the only one who publishes there, so the newest update is its own, also if it was published before.
    assert_eq!((answer.op(), answer.num("seq")), ("published", n), "{topic}: {answer:?}");
    true
}

fn answer(mut link: Link, topic: &str, n: u64) -> Option<(Message, Link)> {
    let request = format!(
        r#"{{"op":"publish","id":{n},"topic":{topic:?},"kind":"event","source":"{topic}","source_seq":{n},"data":{{"n":{n}}}}}"#
    );
    link.send(&[request]).ok()?;
    loop {
        match link.next() {
            Ok(Some(message)) if message["id"] == n => return Some((message, link)),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Who follows a topic of a [`Load`]: each update once and in order, whatever happens.
pub(crate) struct Follower {
    link: Link,
    topic: String,
    /// The epoch of the topic, once it is known.
    pub(crate) epoch: Option<String>,
    /// The last `seq` that came.
    pub(crate) seq: u64,
    /// What came besides updates, in order: `stale`, `fresh`.
    pub(crate) told: Vec<String>,
}

impl Follower {
    /// Follows a topic from its first update on.
    #[track_caller]
    pub(crate) fn of(node: &Node, topic: &str) -> Self {
        let mut link = Link::open(node.address, SILENCE).unwrap();
        let request = format!(r#"{{"op":"subscribe","topics":[{topic:?}],"from":{{"last":100000}}}}"#);
        link.send(&[request]).unwrap();
        let mut follower = Self { link, topic: topic.to_owned(), epoch: None, seq: 0, told: Vec::new() };
        let mut is_subscribed = false;
        until("subscribed", || {
            is_subscribed |= follower.next().as_deref() == Some("subscribed");
            is_subscribed
        });
        follower
    }

    /// Waits until this update has come.
    #[track_caller]
    pub(crate) fn until_seq(&mut self, seq: u64) {
        until(&format!("{seq} of {}", self.topic), || {
            self.next();
            self.seq >= seq
        });
    }

    /// Waits until this was told, besides updates, since the last time.
    #[track_caller]
    pub(crate) fn until_told(&mut self, op: &str) {
        until(op, || {
            self.next();
            self.told.iter().any(|told| told == op)
        });
        self.told.clear();
    }

    /// Takes in what comes next, if anything does within a pace, and returns what it is.
    #[track_caller]
    fn next(&mut self) -> Option<String> {
        let message = self.link.next().unwrap_or_else(|error| panic!("{}: {error}", self.topic))?;
        match message.op() {
            "update" => {
                assert_eq!(message.num("seq"), self.seq + 1, "{}: {message:?}", self.topic);
                assert_eq!(message["data"]["n"], message["seq"], "{}: {message:?}", self.topic);
                self.seq += 1;
            }
            "topic" => self.epoch = Some(message.str("epoch")),
            "subscribed" => self.epoch = message["topics"][0]["epoch"].as_str().map(str::to_owned),
            op @ ("stale" | "fresh") => self.told.push(op.to_owned()),
            _ => panic!("{}: {message:?}", self.topic),
        }
        Some(message.op().to_owned())
    }
}
