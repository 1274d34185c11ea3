//! Judges what arrives: whether it is what was published, and whether anything is missing before it.

use std::sync::Arc;

use super::counts::Counts;
use super::topics::Topics;
use crate::measure::tally::{Fault, Finding};
use crate::payload;
use crate::plan::Plan;
use crate::protocol::{After, Protocol, Received};
use crate::run::Shared;
use crate::run::connection::Conn;
use crate::stream::{Step, Stream};

/// An update that was judged: it is whole, and it is what was published under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) topic: u32,
    pub(super) seq: u64,
    pub(super) stamp: payload::Stamp,
}

/// The consequence of a message for the receiver.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// None: the message was counted.
    Counted,
    /// The same bytes are the same update for every subscriber.
    Known(Known),
    /// A topic's updates are numbered anew: what was known of them no longer holds.
    Renumbered,
    /// These bytes of the protocol have to be sent.
    Reply(&'static [u8]),
}

/// Judges what one thread's subscribers receive.
pub(in crate::run) struct Verifier {
    shared: Arc<Shared>,
    topics: Topics,
    /// Whether this load publishes, so that it knows the payloads.
    ours: bool,
    /// Whether topics may appear that were not subscribed to by name.
    open_ended: bool,
    /// Whether every payload is checked.
    every_payload: bool,
    pub(in crate::run) counts: Counts,
}

impl Verifier {
    pub(super) fn new(protocol: &Protocol, plan: &Plan, shared: Arc<Shared>, every_payload: bool) -> Self {
        let mut topics = Topics::default();
        for name in &plan.topics {
            topics.add(&protocol.spelled(name));
        }
        let ours = !plan.topics.is_empty();
        Self {
            counts: Counts::new(shared.clone(), ours),
            shared,
            topics,
            ours,
            open_ended: !ours || plan.by_pattern(),
            every_payload,
        }
    }

    /// The current epoch of a topic; empty if none was announced.
    pub(in crate::run) fn epoch(&self, topic: u32) -> &str {
        self.topics.epoch(topic)
    }

    pub(super) fn judge(&mut self, conn: &mut Conn, received: Received<'_>) -> Outcome {
        match received {
            Received::Update { topic, seq, from, ts_us, data } => {
                return self.update(conn, topic, seq, from, ts_us, data).map_or(Outcome::Counted, Outcome::Known);
            }
            Received::Begins { topic, epoch, after } => {
                let anew = self.begins(conn, topic, epoch, after);
                return if anew { Outcome::Renumbered } else { Outcome::Counted };
            }
            Received::Reply(bytes) => return Outcome::Reply(bytes),
            Received::Image { topic, seq, ts_us, data } => self.image(conn, topic, seq, ts_us, data),
            Received::Gap { topic, from, to } => self.gap(conn, topic, from, to),
            // Its stream begins again when the topic does.
            Received::Closed { .. } => {}
            Received::Subscribed => self.counts.confirmed(conn),
            Received::Refused(reason) => self.counts.tally.refused.add(&reason),
        }
        Outcome::Counted
    }

    /// Counts an update that is known, if it is the next one of this subscriber. Returns whether it is.
    pub(super) fn again(&mut self, conn: &mut Conn, known: Known) -> bool {
        let stream = conn.stream(known.topic).filter(|stream| stream.last() == Some(known.seq.wrapping_sub(1)));
        let Some(stream) = stream else { return false };
        stream.update(known.seq, None);
        self.counts.covered(1);
        self.counts.delivered(conn, Some(known.stamp), 0);
        true
    }

    /// Judges an update. Returns what is known of it, if it was the next one and nothing was wrong with it.
    fn update(
        &mut self,
        conn: &mut Conn,
        topic: &[u8],
        seq: Option<u64>,
        from: Option<u64>,
        ts_us: u64,
        data: &[u8],
    ) -> Option<Known> {
        let (number, stamp) = self.identify(conn, topic, seq, data)?;
        // A number that only a corrupted payload states may be wrong.
        let intact = self.is_intact(stamp, data);
        let unsure = seq.is_none() && !intact;
        let seq = seq.or(stamp.map(|stamp| stamp.n)).unwrap_or_default();
        let Some(stream) = self.stream(conn, number) else {
            self.fault(conn.number, Fault::Corrupted, number, seq, 1);
            return None;
        };
        // It counts if it is the expected one; otherwise it would look like holes and repetitions that do not exist.
        if unsure && stream.last().is_some_and(|last| seq != last + 1) {
            self.fault(conn.number, Fault::Corrupted, number, seq, 1);
            return None;
        }
        match stream.update(seq, from) {
            Step::Next => {
                self.counts.covered(1);
                let right = self.check(conn.number, number, seq, stamp, intact);
                self.counts.delivered(conn, stamp, ts_us);
                return stamp.filter(|_| right).map(|stamp| Known { topic: number, seq, stamp });
            }
            Step::Merged(before) => {
                self.counts.tally.skipped += before;
                self.counts.covered(before + 1);
            }
            Step::Lost(missing) => {
                self.fault(conn.number, Fault::Lost, number, seq - missing, missing);
                self.counts.covered(missing + 1);
            }
            Step::Twice => {
                self.fault(conn.number, Fault::Duplicated, number, seq, 1);
                return None;
            }
            Step::Late => {
                let name = self.topics.name(number).unwrap_or_default();
                self.counts.tally.take_back_lost(conn.number, name, seq);
                self.fault(conn.number, Fault::Reordered, number, seq, 1);
            }
        }
        self.check(conn.number, number, seq, stamp, intact);
        self.counts.delivered(conn, stamp, ts_us);
        None
    }

    fn image(&mut self, conn: &mut Conn, topic: &[u8], seq: u64, ts_us: u64, data: &[u8]) {
        let Some((number, stamp)) = self.identify(conn, topic, Some(seq), data) else { return };
        let Some(stream) = self.stream(conn, number) else {
            return self.fault(conn.number, Fault::Corrupted, number, seq, 1);
        };
        let step = stream.image(seq);
        self.counts.tally.images += 1;
        let intact = self.is_intact(stamp, data);
        self.check(conn.number, number, seq, stamp, intact);
        match step {
            // The age of the first image says nothing about the server.
            None => return,
            Some(Step::Merged(before)) => {
                self.counts.tally.skipped += before;
                self.counts.covered(before + 1);
            }
            Some(Step::Late) => return self.fault(conn.number, Fault::Reordered, number, seq, 1),
            Some(Step::Twice) => return,
            Some(Step::Next | Step::Lost(_)) => self.counts.covered(1),
        }
        self.counts.delivered(conn, stamp, ts_us);
    }

    fn gap(&mut self, conn: &mut Conn, topic: &[u8], from: u64, to: u64) {
        let Some(number) = self.number(topic) else { return };
        let Some(stream) = self.stream(conn, number) else {
            return self.fault(conn.number, Fault::Corrupted, number, from, 1);
        };
        let (named, missing) = stream.gap(from, to);
        self.counts.tally.gaps += named;
        self.counts.covered(named + missing);
        if missing > 0 {
            self.fault(conn.number, Fault::Lost, number, from - missing, missing);
        }
    }

    /// Takes in the beginning of a stream. Returns whether the topic's updates are numbered anew.
    fn begins(&mut self, conn: &mut Conn, topic: &[u8], epoch: &str, after: After) -> bool {
        let Some(number) = self.number(topic) else { return false };
        let anew = self.topics.enter(number, epoch);
        match conn.stream(number) {
            Some(stream) => stream.begin(after, anew),
            None => {
                let mut stream = Stream::new(number, None);
                stream.begin(after, false);
                conn.insert(stream);
            }
        }
        anew
    }

    /// The topic's number; a new topic gets one if another publisher makes the feed.
    fn number(&mut self, topic: &[u8]) -> Option<u32> {
        match self.topics.number(topic) {
            Some(number) => Some(number),
            None if self.ours => None,
            None => std::str::from_utf8(topic).ok().map(|name| self.topics.add(name)),
        }
    }

    /// Returns the topic's number, and the stamp of the payload. If payloads are ours, one that cannot be read is
    /// corrupted, but the envelope still holds.
    fn identify(
        &mut self,
        conn: &Conn,
        topic: &[u8],
        seq: Option<u64>,
        data: &[u8],
    ) -> Option<(u32, Option<payload::Stamp>)> {
        if !self.ours {
            return Some((self.number(topic)?, None));
        }
        // An envelope without a topic leaves it to the payload.
        let compare = self.every_payload && !topic.is_empty();
        let right = payload::read(data).filter(|stamp| match self.topics.name(stamp.topic) {
            Some(name) => !compare || name.as_bytes() == topic,
            None => false,
        });
        if let Some(stamp) = right {
            return Some((stamp.topic, Some(stamp)));
        }
        let number = self.topics.number(topic);
        self.fault(conn.number, Fault::Corrupted, number.unwrap_or(u32::MAX), seq.unwrap_or_default(), 1);
        seq.and(number).map(|number| (number, None))
    }

    fn stream<'a>(&self, conn: &'a mut Conn, topic: u32) -> Option<&'a mut Stream> {
        // An existing stream is looked up twice: the borrow of the first lookup would last until the insertion.
        if conn.stream(topic).is_none() {
            if !self.open_ended {
                return None;
            }
            conn.insert(Stream::new(topic, None));
        }
        conn.stream(topic)
    }

    /// Whether a payload is intact, if every payload is checked.
    fn is_intact(&self, stamp: Option<payload::Stamp>, data: &[u8]) -> bool {
        !self.every_payload || stamp.is_none() || payload::is_intact(data)
    }

    /// Returns whether the payload is what was published under this number, if every payload is checked.
    fn check(&mut self, subscriber: u32, topic: u32, seq: u64, stamp: Option<payload::Stamp>, intact: bool) -> bool {
        let Some(stamp) = stamp.filter(|_| self.every_payload) else { return true };
        // A damaged payload must not define the difference between the numbers.
        let right = intact && self.topics.agrees(topic, seq, stamp.n);
        if !right {
            self.fault(subscriber, Fault::Corrupted, topic, seq, 1);
        }
        right
    }

    fn fault(&mut self, subscriber: u32, fault: Fault, topic: u32, seq: u64, updates: u64) {
        let name = self.topics.name(topic).unwrap_or("(unknown topic)");
        self.counts.tally.fault(Finding { fault, subscriber, topic: name.to_owned(), seq, updates });
    }

    /// How many of the published updates the subscriber does not have.
    pub(in crate::run) fn missing(&self, conn: &Conn) -> u64 {
        let missing =
            |stream: &Stream| stream.last().map_or(0, |last| self.published_as(stream.topic).saturating_sub(last));
        conn.streams.iter().map(missing).sum()
    }

    /// Whether the subscriber has everything that was published.
    pub(in crate::run) fn has_all(&self, conn: &Conn) -> bool {
        conn.streams.iter().all(|stream| match stream.last() {
            Some(last) => last >= self.published_as(stream.topic),
            None => true,
        })
    }

    /// The server's number of the last published update of a topic.
    fn published_as(&self, topic: u32) -> u64 {
        self.topics.seq_of(topic, self.shared.published(topic))
    }
}
