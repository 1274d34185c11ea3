//! Two quiet topics. Each has a publisher and a subscriber on the same shard: the one that is attacked, or the other.
//!
//! Updates are due at fixed times and are sent then, whether or not earlier ones have arrived. So a stall shows in all
//! updates that it delays, not only in the first one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write as _};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{LAST_CHANCE, shards};
use crate::broker::{Broker, SHARDS};
use crate::frames::{self, FIN, PING, PONG, TEXT};
use crate::link::{Link, subscribe, text};
use crate::patience::{Patience, Stop};
use crate::wire::{Options, read_some};

/// A topic with an image, for newcomers.
pub(crate) const STATE: &str = "quiet.state";
/// The time between two updates of a topic.
const EVERY: Duration = Duration::from_millis(10);
/// The kernel waits for sockets in whole milliseconds. The rest of a wait is slept, so that updates are sent when they
/// are due.
const COARSE: Duration = Duration::from_millis(1);
/// The bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// The times from when updates were due to when the subscriber had them.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// In milliseconds, sorted.
    sorted: Vec<f64>,
    /// Updates that had not come when the watch ended; they count with the time for which they had been due.
    pub(crate) missing: usize,
    /// What else went wrong.
    pub(crate) trouble: Option<String>,
}

impl Latencies {
    /// A quantile in milliseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((last as f64 * quantile).ceil() as usize).copied().unwrap_or(f64::INFINITY)
    }

    pub(crate) fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or(f64::INFINITY)
    }
}

/// A socket, and the bytes that were read from it and not used yet.
struct End {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One topic.
struct Pair {
    topic: String,
    publisher: End,
    subscriber: End,
    /// What the publisher's socket has not taken yet.
    out: VecDeque<u8>,
    /// The times at which the updates that have not arrived were due.
    due: VecDeque<Instant>,
    /// The number of the first of these updates.
    first: u64,
    latencies: Vec<f64>,
    trouble: Option<String>,
}

/// Both pairs.
pub(super) struct Pairs {
    poll: Poll,
    pairs: [Pair; SHARDS],
    /// Connections that keep the shards equally full.
    _fillers: Vec<Link>,
}

impl Pairs {
    /// Connects both pairs, the attacked shard's first.
    pub(super) fn connect(broker: &Broker, target: usize, patience: &Patience) -> io::Result<Self> {
        let (poll, mut fillers) = (Poll::new()?, Vec::new());
        let mut link = Link::connect(broker.listen, Options::bystander(), patience)?;
        let state = format!(r#"{{"op":"publish","id":1,"topic":"{STATE}","kind":"state","data":"here"}}"#);
        link.ask(&state, "published", patience)?;
        fillers.push(link);
        let mut pairs = Vec::new();
        for shard in [target, (target + 1) % SHARDS] {
            let topic = format!("quiet.{shard}");
            let publisher = shards::link_on(shard, broker, Options::bystander(), &mut fillers, patience)?;
            let mut subscriber = shards::link_on(shard, broker, Options::bystander(), &mut fillers, patience)?;
            subscriber.ask(&subscribe([&topic], r#","from":"live""#), "subscribed", patience)?;
            let (out, due, latencies) = (VecDeque::new(), VecDeque::new(), Vec::new());
            let publisher = End::new(publisher, &poll)?;
            let subscriber = End::new(subscriber, &poll)?;
            pairs.push(Pair { topic, publisher, subscriber, out, due, first: 0, latencies, trouble: None });
        }
        let pairs = pairs.try_into().map_err(|_| io::Error::other("one pair for each shard"))?;
        Ok(Self { poll, pairs, _fillers: fillers })
    }

    /// Publishes and reads until the stop, and then until everything has arrived or nothing more is expected.
    pub(super) fn watch(mut self, stop: &Stop) -> [Latencies; SHARDS] {
        let (mut next, mut events) = (Instant::now(), Events::with_capacity(2 * SHARDS));
        let mut end: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if end.is_none() && stop.is_stopped() {
                end = Some(now + LAST_CHANCE);
            }
            if end.is_none() {
                while next <= now {
                    self.pairs.iter_mut().for_each(|pair| pair.publish(next));
                    next += EVERY;
                }
            }
            self.pairs.iter_mut().for_each(Pair::go_on);
            let all_here = self.pairs.iter().all(|pair| pair.due.is_empty() || pair.trouble.is_some());
            if end.is_some_and(|end| all_here || now >= end) {
                return self.pairs.map(Pair::end);
            }
            let left = next.saturating_duration_since(Instant::now()).min(EVERY);
            if left < COARSE {
                std::thread::park_timeout(left);
            } else {
                // An interrupted wait is just shorter.
                let _ = self.poll.poll(&mut events, Some(left - COARSE));
            }
        }
    }
}

impl End {
    fn new(link: Link, poll: &Poll) -> io::Result<Self> {
        let buffer = link.wire.buffer.clone();
        let mut stream = link.wire.into_stream()?;
        // All sockets are served whenever one has an event, so the tokens do not matter.
        poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, buffer })
    }

    /// Answers a ping.
    fn pong(&mut self, ping: &[u8]) {
        // If the socket does not take these few bytes, a later read fails.
        let _ = self.stream.write(&frames::masked(FIN | PONG, ping));
    }

    /// Reads all that can be read now.
    fn read(&mut self) -> io::Result<()> {
        loop {
            match read_some(&mut self.stream, &mut self.buffer, READ_BYTES) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Pair {
    fn publish(&mut self, due: Instant) {
        if self.trouble.is_some() {
            return;
        }
        let number = self.first + self.due.len() as u64;
        let message = format!(r#"{{"op":"publish","topic":"{}","kind":"event","data":{number}}}"#, self.topic);
        self.out.extend(text(&message));
        self.due.push_back(due);
    }

    fn go_on(&mut self) {
        if self.trouble.is_none()
            && let Err(error) = self.write().and_then(|()| self.read())
        {
            self.trouble = Some(error.to_string());
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            match self.publisher.stream.write(self.out.make_contiguous()) {
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        // Only errors and heartbeats come back.
        self.publisher.read()?;
        while let Some(frame) = frames::take(&mut self.publisher.buffer) {
            let text = String::from_utf8_lossy(&frame.payload).into_owned();
            if text.contains(r#""op":"error""#) || frame.opcode == frames::CLOSE {
                return Err(io::Error::other(format!("the publisher got: {text}")));
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        self.subscriber.read()?;
        let now = Instant::now();
        while let Some(frame) = frames::take(&mut self.subscriber.buffer) {
            let text = String::from_utf8_lossy(&frame.payload).into_owned();
            if frame.opcode == PING {
                self.subscriber.pong(&frame.payload);
            }
            if frame.opcode == frames::CLOSE {
                return Err(io::Error::other(format!("the subscriber was closed: {text}")));
            }
            let number =
                text.rsplit_once(r#""data":"#).and_then(|(_, rest)| rest.trim_end_matches('}').parse::<u64>().ok());
            let (TEXT, Some(number)) = (frame.opcode, number) else { continue };
            let Some(due) = self.due.pop_front().filter(|_| number == self.first) else {
                return Err(io::Error::other(format!("update {} was expected, not {text}", self.first)));
            };
            self.first += 1;
            self.latencies.push(now.saturating_duration_since(due).as_secs_f64() * 1e3);
        }
        Ok(())
    }

    fn end(mut self) -> Latencies {
        let now = Instant::now();
        let late = self.due.iter().map(|due| now.saturating_duration_since(*due).as_secs_f64() * 1e3);
        self.latencies.extend(late);
        self.latencies.sort_by(f64::total_cmp);
        Latencies { sorted: self.latencies, missing: self.due.len(), trouble: self.trouble }
    }
}
