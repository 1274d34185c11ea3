//! Subscribers: each goes on from where it was after its connection was lost, and must not miss, repeat or begin anew.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use broker_client::{Backoff, Client, Event, OnSlow, Options, Start};
use serde_json::{Value, json};

use super::contents::Kind;
use super::ledger::Ledger;
use super::pass;
use super::stream::Stream;
use crate::common::Message;
use crate::link::Link;

const PAUSE: Duration = Duration::from_millis(2);
/// How long it stays with a broker that is cut off from the log, when the others may be too.
const STALE_PAUSE: Duration = Duration::from_secs(5);

/// How many there are.
pub(super) const SUBSCRIBERS: usize = 3;

/// Where a subscriber is.
pub(super) struct Place {
    ledger: Arc<Ledger>,
    index: usize,
    /// The newest `seq` and the epoch of each topic that it has begun.
    topics: HashMap<usize, (u64, String)>,
    /// The last number of each producer on the shared topic.
    shared: HashMap<usize, u64>,
    /// It resumes by ids: what came after the last one comes again, and so long it has to be retained.
    by_id: bool,
    /// How often it has gone to another broker.
    moves: usize,
    /// When it lost its connection; it was not served since.
    lost: Option<Instant>,
    /// When its broker was last cut off from the log.
    stale: Option<Instant>,
}

impl Place {
    fn address(&self) -> SocketAddr {
        self.ledger.brokers.address(self.index + self.moves)
    }

    /// A broker serves it.
    fn served(&mut self) {
        if let Some(lost) = self.lost.take() {
            self.ledger.resumed.lock().unwrap().push(lost.elapsed());
        }
    }

    /// A topic begins, or begins again after the connection was lost.
    #[track_caller]
    fn begin(&mut self, name: &str, start: &str, seq: u64, oldest: u64, epoch: Option<&str>) {
        let topic = self.ledger.index(name);
        let Some(epoch) = epoch else {
            assert_eq!((seq, start), (0, "live"), "{name} was not published yet");
            return;
        };
        self.ledger.check_epoch(name, epoch);
        match self.topics.get(&topic) {
            // All from the first update on is retained, so it could not begin in another way.
            None => {
                let from = match start {
                    "live" => seq,
                    "history" => {
                        assert_eq!(oldest, 1, "{name} does not retain enough for this test");
                        0
                    }
                    "image" => 0,
                    _ => panic!("{name} begins with {start}"),
                };
                assert!(start == "image" || from == 0, "{name} begins with {start} at {seq}, so something was missed");
                self.topics.insert(topic, (from, epoch.to_owned()));
            }
            Some((last, _)) => {
                assert_eq!(start, "resumed", "{name}, which was followed up to {last}");
                assert!(seq >= *last, "{name} went back from {last} to {seq}");
            }
        }
    }

    #[track_caller]
    fn update(&mut self, name: &str, op: &str, seq: u64, data: &str) {
        let topic = self.ledger.index(name);
        let (producer, n) = self.ledger.check_update(topic, op, seq, data);
        let (last, _) = self.topics.get_mut(&topic).unwrap_or_else(|| panic!("{name} has not begun"));
        if self.by_id && seq <= *last {
            return;
        }
        assert_eq!(seq, *last + 1, "subscriber {}: {name}", self.index);
        *last = seq;
        if self.ledger.topics[topic].kind == Kind::Shared {
            let before = self.shared.insert(producer, n).unwrap_or(0);
            assert_eq!(n, before + 1, "{name} {seq}: the updates of producer {producer}");
        }
        if !self.by_id {
            self.ledger.set_seen(self.index, topic, seq);
        }
    }

    #[track_caller]
    fn image(&mut self, name: &str, epoch: &str, seq: u64, data: &Value) {
        self.ledger.check_epoch(name, epoch);
        let topic = self.ledger.index(name);
        self.ledger.check_image(topic, seq, data);
        let (last, _) = self.topics.get_mut(&topic).unwrap_or_else(|| panic!("{name} has not begun"));
        assert!(seq >= *last, "{name}: an image of {seq} after {last}");
        *last = seq;
        if !self.by_id {
            self.ledger.set_seen(self.index, topic, seq);
        }
    }

    /// A message of the broker. `Err` if it is about to end the connection.
    #[track_caller]
    fn message(&mut self, message: &Message) -> io::Result<()> {
        let begin = |place: &mut Self, topic: &Value| {
            let number = |name: &str| topic[name].as_u64().unwrap();
            let text = |name: &str| topic[name].as_str();
            place.begin(text("topic").unwrap(), text("start").unwrap(), number("seq"), number("oldest"), text("epoch"));
        };
        match message.op() {
            "subscribed" => {
                let errors = message["errors"].as_array().unwrap();
                if self.ledger.brokers.log_may_be_away && !errors.is_empty() {
                    // It is not known yet whether the broker has what this subscriber has.
                    assert!(errors.iter().all(|error| error["code"] == "unavailable"), "{message:?}");
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                assert_eq!(message["errors"], json!([]), "{message:?}");
                self.served();
                message["topics"].as_array().unwrap().iter().for_each(|topic| begin(self, topic));
            }
            "topic" => begin(self, &message.json),
            op @ ("update" | "patch") => {
                assert_eq!(message["from"], Value::Null, "{message:?}");
                self.update(&message.str("topic"), op, message.num("seq"), &message.data());
            }
            "image" => self.image(&message.str("topic"), &message.str("epoch"), message.num("seq"), &message["data"]),
            "goaway" => return Err(io::ErrorKind::ConnectionAborted.into()),
            "hello" => {}
            "fresh" => assert!(self.ledger.brokers.log_may_be_away),
            "stale" => {
                assert!(self.ledger.brokers.log_may_be_away);
                // Another one may not be; if it is too, it stays there.
                if self.stale.replace(Instant::now()).is_none_or(|before| before.elapsed() > STALE_PAUSE) {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            // A gap, a closed topic, an error.
            _ => panic!("subscriber {}: {message:?}", self.index),
        }
        Ok(())
    }
}

/// Subscribes in the way of its index until all is there. `ready` counts those that will miss nothing from now on.
pub(super) fn run(ledger: Arc<Ledger>, index: usize, is_done: Arc<AtomicBool>, ready: impl FnMut()) {
    let (topics, shared) = (HashMap::new(), HashMap::new());
    let mut place = Place { ledger, index, topics, shared, by_id: false, moves: 0, lost: None, stale: None };
    let is_done = || is_done.load(Ordering::SeqCst);
    match index {
        0 => client(&mut place, is_done, ready),
        1 => until_done(&mut place, is_done, ready, by_seq),
        _ => {
            place.by_id = true;
            let mut id = String::new();
            until_done(&mut place, is_done, ready, |place, is_done, ready| by_id(place, &mut id, is_done, ready));
        }
    }
}

fn until_done(
    place: &mut Place,
    is_done: impl Fn() -> bool,
    mut ready: impl FnMut(),
    mut connection: impl FnMut(&mut Place, &dyn Fn() -> bool, &mut dyn FnMut()) -> io::Result<()>,
) {
    let mut once = Some(&mut ready);
    let mut ready = || {
        if let Some(ready) = once.take() {
            ready();
        }
    };
    while !is_done() {
        if connection(place, &is_done, &mut ready).is_err() {
            place.ledger.lost(&mut place.lost);
            place.moves += 1;
            pass(PAUSE);
        }
    }
}

/// A WebSocket that names all topics, each with the place where it was.
fn by_seq(place: &mut Place, is_done: &dyn Fn() -> bool, ready: &mut dyn FnMut()) -> io::Result<()> {
    let mut link = Link::open(place.address(), place.ledger.brokers.silence)?;
    let entry = |(index, topic): (usize, &super::contents::Topic)| match place.topics.get(&index) {
        Some((seq, epoch)) => json!({ "topic": topic.name, "epoch": epoch, "seq": seq }),
        None => json!(topic.name),
    };
    let entries: Vec<Value> = place.ledger.topics.iter().enumerate().map(entry).collect();
    // Topics that began while the connection was lost come from their first update on.
    let from = json!({ "last": 1_000_000 });
    link.send(&[json!({ "op": "subscribe", "topics": entries, "from": from, "on_slow": "retain" }).to_string()])?;
    while !is_done() {
        if let Some(message) = link.next()? {
            place.message(&message)?;
            ready();
        }
    }
    Ok(())
}

/// Server-Sent Events of a pattern, from the last id.
fn by_id(place: &mut Place, id: &mut String, is_done: &dyn Fn() -> bool, ready: &mut dyn FnMut()) -> io::Result<()> {
    let mut stream = Stream::open(place.address(), "topic=k.%3E&on_slow=retain", id, place.ledger.brokers.silence)?;
    while !is_done() {
        let Some(event) = stream.next()? else { continue };
        if let Some(message) = event.message {
            place.message(&message)?;
        }
        if let Some(new) = event.id {
            let number = |id: &str| id.parse::<u64>().unwrap();
            assert!(id.is_empty() || number(&new) >= number(id), "the id {new} after {id}");
            *id = new;
            place.topics.iter().for_each(|(topic, (seq, _))| place.ledger.set_seen(place.index, *topic, *seq));
            ready();
        }
    }
    Ok(())
}

/// The Rust client, which resumes by itself. It names the topics: a pattern would resume from the last position, which is
/// older the more there is to do, and what came since may not be retained.
fn client(place: &mut Place, is_done: impl Fn() -> bool, mut ready: impl FnMut()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let backoff = Backoff { first_ms: 1, max_ms: 20, jitter: 0.5 };
        let url = format!("ws://{}/v1/ws", place.address());
        let client = Client::connect_with(Options { backoff, ..Options::new(url) }).await.unwrap();
        let names: Vec<String> = place.ledger.topics.iter().map(|topic| topic.name.clone()).collect();
        let mut all = client.subscribe(names).on_slow(OnSlow::Retain).ready().send().await.unwrap();
        while !is_done() {
            let Ok(event) = tokio::time::timeout(PAUSE * 10, all.next()).await else { continue };
            match event.expect("the client goes on") {
                Event::Ready => ready(),
                Event::Topic(begun) => {
                    let start = match begun.start {
                        Start::Live => "live",
                        Start::Image => "image",
                        Start::History => "history",
                        Start::Resumed => "resumed",
                        Start::Reset => "reset",
                    };
                    place.begin(&begun.topic, start, begun.seq, begun.oldest, begun.epoch.as_deref());
                }
                Event::Update { topic, seq, from: None, data, .. } => place.update(&topic, "update", seq, data.text()),
                Event::Patch { topic, seq, from: None, data, .. } => place.update(&topic, "patch", seq, data.text()),
                Event::Image { topic, epoch, seq, data, .. } => {
                    place.image(&topic, &epoch, seq, &serde_json::from_str(data.text()).unwrap());
                }
                // A gap, a reset, a breach of continuity.
                other => panic!("the Rust client: {other:?}"),
            }
        }
        assert_eq!(client.counters().violations, 0);
        place.ledger.reconnects.fetch_add(client.counters().reconnects, Ordering::Relaxed);
    });
}
