//! What arrived: taken apart, judged, counted, timed.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::connection::{Conn, State};
use super::recent::{Known, Recent};
use super::{Shared, Times};
use crate::clock::wall_us;
use crate::measure::tally::{Fault, Finding, Interval, Tally};
use crate::measure::timing::Timing;
use crate::payload;
use crate::plan::Plan;
use crate::protocol::{After, Heard, Protocol};
use crate::stream::{Step, Stream};
use crate::wire::{self, Frame, Head};

/// The longest message made of several frames.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What a connection has to do after it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The server has ended it: why.
    End(String),
}

/// The topics of a run, as one thread knows them.
struct Topics {
    /// As the server writes them.
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32, RandomState>,
    /// The present epoch, where one was told.
    epochs: Vec<Box<str>>,
    /// The server's number less the publisher's own, per epoch; `None` before the first.
    shifts: Vec<Option<u64>>,
}

impl Topics {
    fn number(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(std::str::from_utf8(name).ok()?).copied()
    }

    fn add(&mut self, name: &str) -> u32 {
        let number = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        self.epochs.push(Box::default());
        self.shifts.push(None);
        number
    }
}

pub(super) struct Hearer {
    protocol: Protocol,
    /// How what is answered goes out.
    opcode: u8,
    shared: Arc<Shared>,
    topics: Topics,
    /// Whether this load publishes, so that it knows the payloads.
    ours: bool,
    /// Whether topics may turn up that were not asked for by name.
    open_ended: bool,
    /// Whether payloads are checked.
    verify: bool,
    pub(super) tally: Tally,
    pub(super) interval: Interval,
    /// Latencies of the interval, which `interval` and `tally` do not have yet.
    pub(super) timing: Timing,
    /// Subscribers that are there.
    pub(super) open: u32,
    pub(super) times: Option<Times>,
    /// The moment of this read.
    now_ns: u64,
    in_window: bool,
    wall_us: u64,
    /// Covered deliveries that the others have not been told of.
    covered: u64,
    /// Updates that were judged just now, and the one that is being.
    recent: Recent,
    judged: Option<Known>,
    /// What is to be sent in answer.
    pub(super) replies: Vec<u8>,
}

impl Hearer {
    pub(super) fn new(protocol: Protocol, plan: &Plan, shared: Arc<Shared>, verify: bool) -> Self {
        let mut topics =
            Topics { names: Vec::new(), numbers: HashMap::default(), epochs: Vec::new(), shifts: Vec::new() };
        for name in &plan.topics {
            topics.add(&protocol.spelled(name));
        }
        Self {
            opcode: protocol.opcode(),
            protocol,
            shared,
            ours: !plan.topics.is_empty(),
            open_ended: plan.topics.is_empty() || plan.by_pattern(),
            topics,
            verify,
            tally: Tally::new(),
            interval: Interval::new(0),
            timing: Timing::new(),
            open: 0,
            times: None,
            now_ns: 0,
            in_window: false,
            wall_us: 0,
            covered: 0,
            recent: Recent::new(),
            judged: None,
            replies: Vec::new(),
        }
    }

    /// The present epoch of a topic; empty where none was told.
    pub(super) fn epoch(&self, topic: u32) -> &str {
        self.topics.epochs.get(topic as usize).map_or("", |epoch| epoch)
    }

    /// Reads all whole frames of a connection. Returns how many bytes were used up.
    pub(super) fn frames(&mut self, conn: &mut Conn, bytes: &[u8], now_ns: u64) -> (usize, Next) {
        self.now_ns = now_ns;
        self.in_window = self.times.is_some_and(|times| times.in_window(now_ns));
        if !self.ours {
            self.wall_us = wall_us();
        }
        self.recent.begin();
        // Lent out for this read, so that what it hears can be told to `self`.
        let protocol = std::mem::replace(&mut self.protocol, Protocol::Tickcast);
        let mut at = 0;
        let next = loop {
            match wire::head(&bytes[at..]) {
                Head::Part => break Next::GoOn,
                Head::TooLong(len) => break Next::End(format!("sent a frame of {len} bytes")),
                Head::Whole(frame) => {
                    let payload = &bytes[at + frame.payload.start..at + frame.payload.end];
                    at += frame.payload.end;
                    match frame.opcode {
                        wire::CLOSE => break Next::End(close_reason(payload)),
                        wire::PING => wire::masked(&mut self.replies, wire::PONG, payload),
                        0..=2 => {
                            if let Err(error) = self.message_part(&protocol, conn, &frame, payload) {
                                break Next::End(error);
                            }
                        }
                        _ => {}
                    }
                }
            }
        };
        self.protocol = protocol;
        self.tally.bytes += at as u64;
        self.interval.bytes += at as u64;
        if self.in_window {
            self.tally.window_bytes += at as u64;
        }
        if self.covered > 0 {
            self.shared.covered.fetch_add(self.covered, std::sync::atomic::Ordering::Relaxed);
            self.covered = 0;
        }
        (at, next)
    }

    fn message_part(
        &mut self,
        protocol: &Protocol,
        conn: &mut Conn,
        frame: &Frame,
        payload: &[u8],
    ) -> Result<(), String> {
        let waits = conn.rest.as_ref().is_some_and(|rest| !rest.message.is_empty());
        let whole = !waits && frame.last && frame.opcode != 0;
        if whole && !protocol.is_stream() {
            if !protocol.is_lines() {
                return self.message(protocol, conn, payload);
            }
            let mut begin = 0;
            for end in memchr::memchr_iter(b'\n', payload).chain([payload.len()]) {
                self.message(protocol, conn, &payload[begin..end])?;
                begin = end + 1;
            }
            return Ok(());
        }
        if !waits && protocol.is_stream() {
            let used = protocol.hear(payload, &mut |heard| self.heard(conn, heard))?;
            if used < payload.len() {
                conn.rest().message.extend(&payload[used..]);
            }
            return Ok(());
        }
        let mut message = std::mem::take(&mut conn.rest().message);
        message.extend(payload);
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(format!("sent a message of more than {MESSAGE_BYTES_MAX} bytes"));
        }
        if frame.last || protocol.is_stream() {
            let used = protocol.hear(&message, &mut |heard| self.heard(conn, heard))?;
            message.drain(..used);
        }
        conn.rest().message = message;
        Ok(())
    }

    /// A message that is whole.
    fn message(&mut self, protocol: &Protocol, conn: &mut Conn, message: &[u8]) -> Result<(), String> {
        if self.again(conn, message) {
            return Ok(());
        }
        self.judged = None;
        protocol.hear(message, &mut |heard| self.heard(conn, heard))?;
        self.judged.take().into_iter().for_each(|known| self.recent.learn(message, known));
        Ok(())
    }

    /// An update that others had just now, and that is the next one here: counted without being read again.
    fn again(&mut self, conn: &mut Conn, message: &[u8]) -> bool {
        let Some(known) = self.recent.find(message) else { return false };
        let stream = conn.stream(known.topic).filter(|stream| stream.last() == Some(known.seq.wrapping_sub(1)));
        let Some(stream) = stream else { return false };
        stream.update(known.seq, None);
        self.covered += 1;
        self.delivered(conn, Some(known.stamp), 0);
        true
    }

    fn heard(&mut self, conn: &mut Conn, heard: Heard<'_>) {
        match heard {
            Heard::Update { topic, seq, from, ts_us, data } => self.update(conn, topic, seq, from, ts_us, data),
            Heard::Image { topic, seq, ts_us, data } => self.image(conn, topic, seq, ts_us, data),
            Heard::Gap { topic, from, to } => self.gap(conn, topic, from, to),
            Heard::Begins { topic, epoch, after } => self.begins(conn, topic, epoch, after),
            // Its stream begins anew when it does.
            Heard::Closed { .. } => {}
            Heard::Subscribed => self.subscribed(conn),
            Heard::Refused(reason) => self.tally.refused.add(&reason),
            Heard::Reply(bytes) => wire::masked(&mut self.replies, self.opcode, bytes),
        }
    }

    /// The subscriptions of a connection are in effect.
    pub(super) fn subscribed(&mut self, conn: &mut Conn) {
        if conn.state != State::Subscribing {
            return;
        }
        conn.state = State::Open;
        self.open += 1;
        self.tally.connected += 1;
        let Some(rest) = &mut conn.rest else { return };
        self.tally.connect.saturating_record(self.now_ns.saturating_sub(rest.begun_ns));
        if rest.lost_ns > 0 {
            self.tally.reconnect.saturating_record(self.now_ns.saturating_sub(rest.lost_ns));
            rest.lost_ns = 0;
        }
    }

    /// The moment, for who tells [`Self::subscribed`] without having read.
    pub(super) fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    fn update(&mut self, conn: &mut Conn, topic: &[u8], seq: Option<u64>, from: Option<u64>, ts_us: u64, data: &[u8]) {
        let Some((number, stamp)) = self.place(conn, topic, seq, data) else { return };
        // A number that nobody but a corrupted payload says may be any.
        let intact = self.is_intact(stamp, data);
        let unsure = seq.is_none() && !intact;
        let seq = seq.or(stamp.map(|stamp| stamp.n)).unwrap_or_default();
        let Some(stream) = self.stream(conn, number) else {
            return self.fault(conn.number, Fault::Corrupted, number, seq, 1);
        };
        // It counts where it is the one to come; elsewhere it would make holes and repetitions that there are not.
        if unsure && stream.last().is_some_and(|last| seq != last + 1) {
            return self.fault(conn.number, Fault::Corrupted, number, seq, 1);
        }
        match stream.update(seq, from) {
            Step::Next => {
                self.covered += 1;
                let wrong = self.tally.faults_of(Fault::Corrupted);
                self.check(conn.number, number, seq, stamp, intact);
                if wrong == self.tally.faults_of(Fault::Corrupted) {
                    self.judged = stamp.map(|stamp| Known { topic: number, seq, stamp });
                }
                return self.delivered(conn, stamp, ts_us);
            }
            Step::Merged(before) => {
                self.tally.skipped += before;
                self.covered += before + 1;
            }
            Step::Lost(missing) => {
                self.fault(conn.number, Fault::Lost, number, seq - missing, missing);
                self.covered += missing + 1;
            }
            Step::Twice => return self.fault(conn.number, Fault::Duplicated, number, seq, 1),
            Step::Late => {
                let name = &self.topics.names[number as usize];
                self.tally.take_back_lost(conn.number, name, seq);
                self.fault(conn.number, Fault::Reordered, number, seq, 1);
            }
        }
        self.check(conn.number, number, seq, stamp, intact);
        self.delivered(conn, stamp, ts_us);
    }

    fn image(&mut self, conn: &mut Conn, topic: &[u8], seq: u64, ts_us: u64, data: &[u8]) {
        let Some((number, stamp)) = self.place(conn, topic, Some(seq), data) else { return };
        let Some(stream) = self.stream(conn, number) else {
            return self.fault(conn.number, Fault::Corrupted, number, seq, 1);
        };
        let step = stream.image(seq);
        self.tally.images += 1;
        let intact = self.is_intact(stamp, data);
        self.check(conn.number, number, seq, stamp, intact);
        match step {
            // How old the first image is says nothing of the server.
            None => return,
            Some(Step::Merged(before)) => {
                self.tally.skipped += before;
                self.covered += before + 1;
            }
            Some(Step::Late) => return self.fault(conn.number, Fault::Reordered, number, seq, 1),
            Some(Step::Twice) => return,
            Some(Step::Next | Step::Lost(_)) => self.covered += 1,
        }
        self.delivered(conn, stamp, ts_us);
    }

    fn gap(&mut self, conn: &mut Conn, topic: &[u8], from: u64, to: u64) {
        let Some(number) = self.number(topic) else { return };
        let Some(stream) = self.stream(conn, number) else {
            return self.fault(conn.number, Fault::Corrupted, number, from, 1);
        };
        let (named, missing) = stream.gap(from, to);
        self.tally.gaps += named;
        self.covered += named + missing;
        if missing > 0 {
            self.fault(conn.number, Fault::Lost, number, from - missing, missing);
        }
    }

    fn begins(&mut self, conn: &mut Conn, topic: &[u8], epoch: &str, after: After) {
        let Some(number) = self.number(topic) else { return };
        let held = &mut self.topics.epochs[number as usize];
        // A topic that was not published yet has none: with its first, nothing is numbered anew.
        let other = **held != *epoch && !held.is_empty() && !epoch.is_empty();
        if **held != *epoch && !epoch.is_empty() {
            *held = epoch.into();
        }
        if other {
            self.topics.shifts[number as usize] = None;
            self.recent.forget();
        }
        match conn.stream(number) {
            Some(stream) => stream.begin(after, other),
            None => {
                let mut stream = Stream::new(number, None);
                stream.begin(after, false);
                conn.insert(stream);
            }
        }
    }

    /// The topic's number, made where somebody else publishes.
    fn number(&mut self, topic: &[u8]) -> Option<u32> {
        match self.topics.number(topic) {
            Some(number) => Some(number),
            None if self.ours => None,
            None => std::str::from_utf8(topic).ok().map(|name| self.topics.add(name)),
        }
    }

    /// Where it belongs, and what its payload says; of one that cannot be read, what the envelope says still holds.
    fn place(
        &mut self,
        conn: &Conn,
        topic: &[u8],
        seq: Option<u64>,
        data: &[u8],
    ) -> Option<(u32, Option<payload::Stamp>)> {
        let identified = self.identify(conn, topic, seq, data);
        identified.or_else(|| seq.and_then(|_| self.topics.number(topic)).map(|number| (number, None)))
    }

    /// Which topic it is, and what its payload says. Where payloads are ours, one that cannot be read is corrupted.
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
        let known = self.topics.names.len();
        let right = payload::read(data).filter(|stamp| (stamp.topic as usize) < known);
        // An envelope without a topic leaves it to the payload.
        let verify = self.verify && !topic.is_empty();
        let right = right.filter(|stamp| !verify || self.topics.names[stamp.topic as usize].as_bytes() == topic);
        match right {
            Some(stamp) => Some((stamp.topic, Some(stamp))),
            None => {
                let number = self.topics.number(topic).unwrap_or(u32::MAX);
                self.fault(conn.number, Fault::Corrupted, number, seq.unwrap_or_default(), 1);
                None
            }
        }
    }

    fn stream<'a>(&self, conn: &'a mut Conn, topic: u32) -> Option<&'a mut Stream> {
        // Looked up twice where it is there: the borrow of the first look would last for the insertion.
        if conn.stream(topic).is_none() {
            if !self.open_ended {
                return None;
            }
            conn.insert(Stream::new(topic, None));
        }
        conn.stream(topic)
    }

    /// Whether a payload is what somebody published, where that is asked for.
    fn is_intact(&self, stamp: Option<payload::Stamp>, data: &[u8]) -> bool {
        !self.verify || stamp.is_none() || payload::is_intact(data)
    }

    /// Whether the payload is what was published under this number.
    fn check(&mut self, subscriber: u32, topic: u32, seq: u64, stamp: Option<payload::Stamp>, intact: bool) {
        let Some(stamp) = stamp else { return };
        if !self.verify {
            return;
        }
        let shift = seq.wrapping_sub(stamp.n);
        // What is not intact does not say where counting begins.
        if !intact || *self.topics.shifts[topic as usize].get_or_insert(shift) != shift {
            self.fault(subscriber, Fault::Corrupted, topic, seq, 1);
        }
    }

    /// It counts, and its latency does.
    fn delivered(&mut self, conn: &Conn, stamp: Option<payload::Stamp>, ts_us: u64) {
        self.tally.deliveries += 1;
        self.interval.deliveries += 1;
        if self.in_window {
            self.tally.window_deliveries += 1;
        }
        if conn.slow {
            self.tally.slow_deliveries += 1;
            return;
        }
        let (due_ns, raw_ns) = match stamp {
            Some(stamp) => (stamp.due_ns, self.now_ns.saturating_sub(stamp.sent_ns)),
            // It should have had one, and has none that can be read.
            None if self.ours => return,
            // By the wall clock, which may have been set: below zero is zero.
            None => {
                let age_ns = self.wall_us.saturating_sub(ts_us) * 1000;
                (self.now_ns - age_ns.min(self.now_ns), age_ns)
            }
        };
        let corrected_ns = self.now_ns.saturating_sub(due_ns);
        self.timing.record(corrected_ns, raw_ns, self.times.is_some_and(|times| times.in_window(due_ns)));
    }

    fn fault(&mut self, subscriber: u32, fault: Fault, topic: u32, seq: u64, updates: u64) {
        let name = self.topics.names.get(topic as usize).map_or("(unknown topic)", |name| name);
        self.tally.fault(Finding { fault, subscriber, topic: name.to_owned(), seq, updates });
    }

    /// How many updates the subscriber has not got of all that were published.
    pub(super) fn missing(&self, conn: &Conn) -> u64 {
        let missing =
            |stream: &Stream| stream.last().map_or(0, |last| self.published_as(stream.topic).saturating_sub(last));
        conn.streams.iter().map(missing).sum()
    }

    /// Whether the subscriber has everything that was published.
    pub(super) fn has_all(&self, conn: &Conn) -> bool {
        conn.streams.iter().all(|stream| match stream.last() {
            Some(last) => last >= self.published_as(stream.topic),
            None => true,
        })
    }

    /// The server's number of the last update of a topic that was published.
    fn published_as(&self, topic: u32) -> u64 {
        let shift = self.topics.shifts.get(topic as usize).copied().flatten().unwrap_or_default();
        self.shared.published(topic).wrapping_add(shift)
    }
}

fn close_reason(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        Some((code, text)) => {
            let text = String::from_utf8_lossy(text);
            format!("closed with {} {text}", u16::from_be_bytes(*code)).trim_end().to_owned()
        }
        None => "closed without a code".to_owned(),
    }
}
