//! One thread of load: its subscribers, and with the first one the publishers.

mod disturb;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;
use rand::{SeedableRng as _, rngs::StdRng};

use super::connection::{Conn, Input, State};
use super::hear::{Hearer, Next};
use super::publisher::Publisher;

use super::{Shared, Target, connector};
use crate::clock::{mono_ns, seconds_ns};
use crate::measure::process::thread_cpu_ns;
use crate::measure::tally::{Interval, Tally};
use crate::plan::Plan;
use crate::poll::{Poll, Ready};
use crate::protocol::{Entry, Options, Protocol};
use crate::scenario::{Scenario, Slow};
use crate::stream::Stream;

/// How long a connection may take until its subscriptions are in effect.
pub(super) const HANDSHAKE_NS: u64 = 10_000_000_000;
/// Bytes read at once, from whichever subscriber.
const BUFFER_BYTES: usize = 256 * 1024;
/// Sockets read before the publisher is given its turn again.
const READS_PER_TURN: usize = 4;
/// How often slow subscribers read, connections are counted and publishers listened to.
const TICK_NS: u64 = 20_000_000;
/// How often it is looked whether everybody has everything.
const COMPLETE_EVERY_NS: u64 = 50_000_000;

/// What a worker is made of.
pub(super) struct Part {
    pub(super) scenario: Arc<Scenario>,
    pub(super) protocol: Protocol,
    pub(super) target: Target,
    pub(super) plan: Arc<Plan>,
    pub(super) shared: Arc<Shared>,
    pub(super) verify: bool,
    /// Its number among so many.
    pub(super) index: u32,
    pub(super) of: u32,
    pub(super) intervals: Sender<Interval>,
}

pub(super) struct Worker {
    part: Part,
    poll: Poll,
    conns: Vec<Conn>,
    hearer: Hearer,
    publisher: Option<Publisher>,
    options: Options,
    buffer: Vec<u8>,
    ready: Vec<Ready>,
    /// Who is to connect, and not before when.
    to_connect: VecDeque<(u64, u32)>,
    /// Who is connecting, and until when at most.
    connecting: VecDeque<(u64, u32)>,
    connecting_now: u32,
    /// Subscribers whose first attempt is over.
    tried: u32,
    tick_ns: u64,
    complete_ns: u64,
    is_complete: bool,
    is_deserted: bool,
    churn_owed: f64,
    stormed: bool,
    /// While some are slow on purpose.
    slow: Option<Slow>,
    slow_until_ns: u64,
    random: StdRng,
    cpu_begin_ns: Option<u64>,
    cpu_ended: bool,
}

impl Worker {
    pub(super) fn new(part: Part) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("an epoll set: {error}"))?;
        let count = part.scenario.subscribers.count;
        let slow = part.scenario.slow.clone();
        let share = slow.as_ref().map_or(0.0, |slow| slow.share);
        // Every worker has every so-manieth subscriber; the slow ones are spread evenly.
        let is_slow = |number: u32| (f64::from(number + 1) * share).floor() > (f64::from(number) * share).floor();
        let conns: Vec<Conn> = (0..count)
            .filter(|number| number % part.of == part.index)
            .map(|number| Conn::new(number, is_slow(number)))
            .collect();
        let to_connect = (0..conns.len() as u32).map(|index| (0, index)).collect();
        let subscribers = &part.scenario.subscribers;
        let options = Options {
            conflate_ms: subscribers.conflate_ms,
            on_slow: subscribers.on_slow.as_deref().map(Into::into),
            from: subscribers.from.as_deref().map(Into::into),
        };
        let hearer = Hearer::new(part.protocol.clone(), &part.plan, part.shared.clone(), part.verify);
        let random = StdRng::seed_from_u64(part.scenario.seed ^ (u64::from(part.index) << 40));
        Ok(Self {
            part,
            poll,
            conns,
            hearer,
            publisher: None,
            options,
            buffer: vec![0; BUFFER_BYTES],
            ready: Vec::new(),
            to_connect,
            connecting: VecDeque::new(),
            connecting_now: 0,
            tried: 0,
            tick_ns: 0,
            complete_ns: 0,
            is_complete: false,
            is_deserted: false,
            churn_owed: 0.0,
            stormed: false,
            slow,
            slow_until_ns: u64::MAX,
            random,
            cpu_begin_ns: None,
            cpu_ended: false,
        })
    }

    /// Runs until the run is over.
    pub(super) fn run(mut self) -> Result<Tally, String> {
        let result = self.serve();
        let still_slow = self.slow.is_some();
        // Everybody had the time that was meant for it, unless the run was cut short.
        let cut_short = result.is_err() || self.part.shared.stop.load(Ordering::Acquire);
        for conn in self.conns.iter().filter(|conn| conn.state == State::Open && !(conn.slow && still_slow)) {
            let missing = self.hearer.missing(conn);
            let tally = &mut self.hearer.tally;
            *(if cut_short { &mut tally.missing } else { &mut tally.undelivered }) += missing;
        }
        if let Err(error) = result {
            // Kept as another thread has told it, where one was first.
            let _ = self.part.shared.why.set(error);
            self.part.shared.stop.store(true, Ordering::Release);
        }
        self.send_interval();
        Ok(self.hearer.tally)
    }

    fn serve(&mut self) -> Result<(), String> {
        while !self.part.shared.stop.load(Ordering::Acquire) {
            let now_ns = mono_ns();
            self.connect_some(now_ns);
            self.begin(now_ns)?;
            let mut next_publish_ns = self.publish()?;
            if now_ns >= self.tick_ns {
                self.tick_ns = now_ns + TICK_NS;
                if self.tick(now_ns)? {
                    return Ok(());
                }
            }
            let mut next_ns = next_publish_ns.min(self.tick_ns);
            if let Some(&(at, _)) = self.to_connect.front()
                && self.connecting_now < self.handshakes()
            {
                next_ns = next_ns.min(at.max(now_ns));
            }
            let mut ready = std::mem::take(&mut self.ready);
            self.poll.wait(next_ns, now_ns, &mut ready).map_err(|error| format!("waiting for sockets: {error}"))?;
            for (index, ready) in ready.iter().enumerate() {
                self.serve_one(*ready);
                // What is due goes out between two reads; a closed loop waits for the end of the round, so that several
                // of its updates share a write.
                if index % READS_PER_TURN == READS_PER_TURN - 1 && next_publish_ns <= mono_ns() {
                    next_publish_ns = self.publish()?;
                }
            }
            self.ready = ready;
        }
        Ok(())
    }

    /// This thread's part of the handshakes that may be under way.
    fn handshakes(&self) -> u32 {
        (self.part.scenario.subscribers.handshakes / self.part.of).max(1)
    }

    /// Once all are there: connects the publishers, and takes the moments over when they are fixed.
    fn begin(&mut self, now_ns: u64) -> Result<(), String> {
        if self.hearer.times.is_some() {
            self.measure_cpu(now_ns);
            return Ok(());
        }
        if self.everybody_tried() && !self.part.shared.subscribed.load(Ordering::Acquire) {
            return Err("no subscriber is there".to_owned());
        }
        let publishes = self.part.index == 0 && self.part.scenario.publishes();
        if publishes && self.publisher.is_none() && self.everybody_tried() {
            let Part { scenario, protocol, target, plan, shared, .. } = &self.part;
            self.publisher = Some(Publisher::connect(scenario, protocol, target, plan, shared)?);
            self.part.shared.publishing.store(true, Ordering::Release);
        }
        self.hearer.times = self.part.shared.times.get().copied();
        if let Some(times) = self.hearer.times
            && let Some(slow) = &self.slow
        {
            self.slow_until_ns = slow.until_seconds.map_or(u64::MAX, |until| times.publish_ns + seconds_ns(until));
            for index in 0..self.conns.len() {
                let conn = &self.conns[index];
                if let (true, Some(socket)) = (conn.slow, &conn.socket) {
                    // Fails where the socket is gone: then there is nothing to pause.
                    let _ = self.poll.pause(socket, index as u64);
                }
            }
        }
        Ok(())
    }

    fn everybody_tried(&self) -> bool {
        self.part.shared.tried.load(Ordering::Acquire) >= self.part.scenario.subscribers.count
    }

    fn measure_cpu(&mut self, now_ns: u64) {
        let Some(times) = self.hearer.times else { return };
        if self.cpu_begin_ns.is_none() && now_ns >= times.window_ns.0 {
            self.cpu_begin_ns = Some(thread_cpu_ns());
        }
        if let Some(begin_ns) = self.cpu_begin_ns
            && !self.cpu_ended
            && now_ns >= times.window_ns.1
        {
            self.cpu_ended = true;
            self.hearer.tally.window_cpu_ns = thread_cpu_ns() - begin_ns;
        }
    }

    fn publish(&mut self) -> Result<u64, String> {
        let (Some(publisher), Some(times)) = (&mut self.publisher, &self.hearer.times) else { return Ok(u64::MAX) };
        let (next_ns, published) = publisher.publish(times, &mut self.hearer.tally)?;
        self.hearer.interval.published += published;
        Ok(next_ns)
    }

    // ---- connecting

    fn connect_some(&mut self, now_ns: u64) {
        while self.connecting_now < self.handshakes()
            && let Some(&(at, index)) = self.to_connect.front()
            && at <= now_ns
        {
            self.to_connect.pop_front();
            self.connect(index, now_ns);
        }
        while let Some(&(until, index)) = self.connecting.front()
            && until <= now_ns
        {
            self.connecting.pop_front();
            let conn = &self.conns[index as usize];
            let same = conn.rest.as_ref().is_some_and(|rest| rest.begun_ns + HANDSHAKE_NS == until);
            if same && matches!(conn.state, State::Connecting | State::Subscribing) {
                let what = if conn.state == State::Connecting { "the handshake" } else { "the subscription" };
                self.end(index, &format!("did not answer {what} within 10 s"));
            }
        }
    }

    fn connect(&mut self, index: u32, now_ns: u64) {
        let conn = &mut self.conns[index as usize];
        conn.rest().begun_ns = now_ns;
        conn.state = State::Connecting;
        self.connecting_now += 1;
        let target = &self.part.target;
        let socket = match connector::connect(target.address, target.source(conn.number)) {
            Ok(socket) => socket,
            Err(error) => return self.end(index, &error.to_string()),
        };
        // It can be written to once it is connected.
        if let Err(error) = self.poll.add(&socket, index.into(), true) {
            return self.end(index, &error.to_string());
        }
        self.conns[index as usize].socket = Some(socket);
        self.connecting.push_back((now_ns + HANDSHAKE_NS, index));
    }

    /// Asks for the WebSocket; the TCP connection is there.
    fn ask(&mut self, index: u32) {
        let Part { target, protocol, .. } = &self.part;
        let entries = self.part.plan.entries_of(self.conns[index as usize].number);
        let entries: Vec<String> = entries.iter().map(|name| protocol.spelled(name)).collect();
        let entries: Vec<Entry<'_>> = entries.iter().map(|name| Entry { name, has: None }).collect();
        let path = target.path.as_deref().unwrap_or(protocol.default_path());
        let path = protocol.subscriber_path(path, &entries);
        let request = connector::request(&target.authority, &path, protocol.subprotocol());
        self.write(index, &request);
    }

    /// Subscribes; the WebSocket is there.
    fn subscribe(&mut self, index: u32, now_ns: u64) {
        let resume = self.part.scenario.storm.as_ref().is_some_and(|storm| storm.resume);
        let begun = self.part.shared.times.get().is_some_and(|times| now_ns >= times.publish_ns);
        let conn = &mut self.conns[index as usize];
        conn.state = State::Subscribing;
        let names = self.part.plan.entries_of(conn.number);
        let spelled: Vec<String> = names.iter().map(|name| self.part.protocol.spelled(name)).collect();
        let topics = self.part.plan.topics_of(conn.number);
        let mut entries: Vec<Entry<'_>> = spelled.iter().map(|name| Entry { name, has: None }).collect();
        if resume && entries.len() == topics.len() {
            for (entry, topic) in entries.iter_mut().zip(&topics) {
                let epoch = self.hearer.epoch(*topic);
                let last = conn.stream(*topic).and_then(|stream| stream.last());
                entry.has = last.filter(|_| !epoch.is_empty()).map(|last| (epoch, last));
            }
        } else {
            conn.streams = Vec::new();
        }
        if !self.part.protocol.answers() && conn.streams.is_empty() {
            // Nobody says where streams begin: at the beginning, unless that is over.
            conn.streams = Vec::with_capacity(topics.len());
            for topic in topics {
                conn.streams.push(Stream::new(topic, (!begun).then_some(0)));
            }
        }
        let mut out = Vec::new();
        self.part.protocol.subscribe(&mut out, conn.number, &entries, &self.options);
        let answered = !matches!(self.part.protocol, Protocol::Generic(_));
        self.write(index, &out);
        if !answered {
            self.hearer.set_now(now_ns);
            self.subscribed_now(index);
        }
    }

    /// Told by the server, or by nobody where it does not say.
    fn subscribed_now(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if conn.socket.is_some() {
            self.hearer.subscribed(conn);
            self.opened(index);
        }
    }

    /// A connection is there.
    fn opened(&mut self, index: u32) {
        self.connecting_now = self.connecting_now.saturating_sub(1);
        self.part.shared.subscribed.store(true, Ordering::Release);
        self.try_is_over();
        let conn = &mut self.conns[index as usize];
        conn.streams.shrink_to_fit();
        conn.settle();
        if let (true, Some(socket), Some(_), Some(_)) = (conn.slow, &conn.socket, self.hearer.times, &self.slow) {
            // Fails where the socket is gone, which reading finds out.
            let _ = self.poll.pause(socket, index.into());
        }
    }

    fn try_is_over(&mut self) {
        if self.tried < self.conns.len() as u32 {
            self.tried += 1;
            self.part.shared.tried.fetch_add(1, Ordering::AcqRel);
        }
    }

    // ---- reading and writing

    fn serve_one(&mut self, ready: Ready) {
        let index = ready.key as u32;
        let Some(conn) = self.conns.get_mut(ready.key as usize) else { return };
        let Some(socket) = &conn.socket else { return };
        if conn.state == State::Connecting
            && ready.writable
            && conn.rest.as_ref().is_none_or(|rest| rest.output.is_empty())
        {
            match socket.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return self.end(index, &error.to_string()),
            }
            let _ = self.poll.change(socket, ready.key, false);
            return self.ask(index);
        }
        if ready.writable {
            match conn.flush() {
                Ok(true) => self.watch(index, false),
                Ok(false) => {}
                Err(error) => return self.end(index, &error.to_string()),
            }
        }
        if ready.readable {
            self.read(index, BUFFER_BYTES);
        }
    }

    fn watch(&self, index: u32, writable: bool) {
        if let Some(socket) = &self.conns[index as usize].socket {
            // Fails where the socket is gone, which reading finds out.
            let _ = self.poll.change(socket, index.into(), writable);
        }
    }

    fn write(&mut self, index: u32, bytes: &[u8]) {
        match self.conns[index as usize].write(bytes) {
            Ok(true) => {}
            Ok(false) => self.watch(index, true),
            Err(error) => self.end(index, &error.to_string()),
        }
    }

    /// Reads once, up to so many bytes, and makes of it what it is.
    fn read(&mut self, index: u32, bytes_max: usize) {
        let conn = &mut self.conns[index as usize];
        let held = conn.rest.as_mut().map(|rest| std::mem::take(&mut rest.input)).unwrap_or_default();
        let kept = held.len();
        if self.buffer.len() < kept + BUFFER_BYTES {
            self.buffer.resize(kept + BUFFER_BYTES, 0);
        }
        self.buffer[..kept].copy_from_slice(&held);
        let input = conn.read(&mut self.buffer[kept..kept + bytes_max.min(BUFFER_BYTES)]);
        let now_ns = mono_ns();
        let end = match input {
            Input::Bytes(read) => kept + read,
            Input::None => {
                if kept > 0 {
                    conn.rest().input = held;
                }
                return;
            }
            Input::End(reason) => return self.end(index, &reason),
        };
        self.hearer.tally.reads += 1;
        let mut at = 0;
        if conn.state == State::Connecting {
            match connector::answer(&self.buffer[..end]) {
                Ok(Some(len)) => {
                    at = len;
                    self.subscribe(index, now_ns);
                }
                Ok(None) => {}
                Err(reason) => return self.end(index, &reason),
            }
        }
        let conn = &mut self.conns[index as usize];
        if conn.socket.is_none() {
            return;
        }
        let was = conn.state;
        let mut next = Next::GoOn;
        if was != State::Connecting {
            let (used, then) = self.hearer.frames(conn, &self.buffer[at..end], now_ns);
            at += used;
            next = then;
        }
        if at < end {
            conn.rest().input.extend(&self.buffer[at..end]);
        }
        conn.settle();
        if was == State::Subscribing && conn.state == State::Open {
            self.opened(index);
        }
        if let Next::End(reason) = next {
            return self.end(index, &reason);
        }
        if !self.hearer.replies.is_empty() {
            let replies = std::mem::take(&mut self.hearer.replies);
            self.write(index, &replies);
        }
    }

    /// The server, or the network, has ended a connection.
    fn end(&mut self, index: u32, reason: &str) {
        let conn = &mut self.conns[index as usize];
        let was = std::mem::replace(&mut conn.state, State::Closed);
        conn.socket = None;
        conn.rest = None;
        match was {
            State::Closed => {}
            State::Connecting | State::Subscribing => {
                self.connecting_now = self.connecting_now.saturating_sub(1);
                self.hearer.tally.failed.add(reason);
                self.try_is_over();
            }
            State::Open => {
                self.hearer.open -= 1;
                self.hearer.tally.ended.add(reason);
                self.hearer.tally.missing += self.hearer.missing(&self.conns[index as usize]);
            }
        }
    }

    // ---- now and then

    /// Returns whether the run is over.
    fn tick(&mut self, now_ns: u64) -> Result<bool, String> {
        if let Some(publisher) = &mut self.publisher {
            publisher.listen(&mut self.hearer.tally)?;
        }
        let Some(times) = self.hearer.times else { return Ok(false) };
        let second = (now_ns.saturating_sub(times.publish_ns) / 1_000_000_000) as u32;
        if second != self.hearer.interval.second {
            self.send_interval();
            self.hearer.interval = Interval::new(second);
        }
        if now_ns >= times.publish_ns && now_ns < times.window_ns.1 {
            self.disturb(&times, now_ns);
        }
        if now_ns < times.window_ns.1 {
            self.look_for_subscribers()?;
        }
        self.read_slowly(now_ns);
        if now_ns >= times.drained_ns {
            return Ok(true);
        }
        // Only once the publisher has written its last.
        if now_ns > times.window_ns.1 + TICK_NS && now_ns >= self.complete_ns {
            self.complete_ns = now_ns + COMPLETE_EVERY_NS;
            if !self.is_complete && (!self.part.scenario.publishes() || self.has_all()) {
                self.is_complete = true;
                self.part.shared.complete.fetch_add(1, Ordering::AcqRel);
            }
        }
        Ok(self.part.shared.complete.load(Ordering::Acquire) == self.part.of)
    }

    /// Fails where none is left to measure, in any thread: whose connection the server has ended does not come back.
    fn look_for_subscribers(&mut self) -> Result<(), String> {
        let deserted = self.hearer.open == 0 && self.connecting_now == 0 && self.to_connect.is_empty();
        if deserted && !self.is_deserted {
            self.is_deserted = true;
            self.part.shared.deserted.fetch_add(1, Ordering::AcqRel);
        }
        if self.part.shared.deserted.load(Ordering::Acquire) == self.part.of {
            return Err("the server has ended the connections of all subscribers".to_owned());
        }
        Ok(())
    }

    /// Whether every subscriber that reads has everything that was published.
    fn has_all(&self) -> bool {
        let still_slow = self.slow.is_some();
        let mut open = self.conns.iter().filter(|conn| conn.state == State::Open && !(conn.slow && still_slow));
        self.connecting_now == 0 && self.to_connect.is_empty() && open.all(|conn| self.hearer.has_all(conn))
    }

    fn send_interval(&mut self) {
        let mut interval = std::mem::replace(&mut self.hearer.interval, Interval::new(0));
        self.hearer.timing.take(&mut interval.corrected, &mut self.hearer.tally);
        interval.open = self.hearer.open;
        // Nobody listens any more where the run was ended.
        let _ = self.part.intervals.send(interval);
    }
}
