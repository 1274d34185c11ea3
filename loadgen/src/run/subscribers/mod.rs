//! The subscribers of one thread, and their connections.
//!
//! ```text
//! connecting   which subscribers have to connect, and how many at once
//! joining      sets up a subscription
//! (here)       reading, writing, ending
//! ```

mod connecting;
mod joining;

use std::sync::Arc;

use connecting::Connecting;
pub(super) use connecting::HANDSHAKE_NS;

use super::connection::{Conn, Input, State};
use super::deal::{deal, leaving};
use super::receive::{Counts, Next, Receiver, Stays};
use super::wire::Wire;
use super::worker::Part;
use super::{Times, connector};
use crate::clock::{mono_ns, seconds_ns};
use crate::measure::tally::Tally;
use crate::poll::{Poll, Ready};
use crate::protocol::Options;

/// The most bytes read at once from a subscriber.
const BUFFER_BYTES: usize = 256 * 1024;
/// The pause of a subscriber that could not come back in a storm.
const RETRY_NS: u64 = 1_000_000_000;

pub(super) struct Subscribers {
    part: Arc<Part>,
    poll: Poll,
    conns: Vec<Conn>,
    /// How many of them, the first ones, lose their connection in a storm.
    leaving: usize,
    /// Connections that are being made at once when they come back; `None`: as many as otherwise.
    at_once_in_storm: Option<u32>,
    connecting: Connecting,
    receiver: Receiver,
    options: Options,
    buffer: Vec<u8>,
    /// The frames to send in answer to a read.
    replies: Vec<u8>,
    /// Whether slow subscribers are read in portions, and not whenever something has arrived.
    slow_are_paused: bool,
}

impl Subscribers {
    pub(super) fn new(part: &Arc<Part>) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| format!("an epoll set: {error}"))?;
        let scenario = &part.scenario;
        let share = scenario.slow.as_ref().map_or(0.0, |slow| slow.share);
        // Slow subscribers are spread evenly.
        let is_slow = |number: u32| (f64::from(number + 1) * share).floor() > (f64::from(number) * share).floor();
        let dealt = deal(scenario, part.index, part.of);
        let conns: Vec<Conn> = dealt.numbers.into_iter().map(|number| Conn::new(number, is_slow(number))).collect();
        let subscribers = &scenario.subscribers;
        // A thread's share of what may be under way at once is that of the subscribers; in a storm, of those who leave.
        let part_of =
            |handshakes: u32, own: usize, all: u32| (u64::from(handshakes) * own as u64 / u64::from(all.max(1))) as u32;
        let at_once = part_of(subscribers.handshakes, conns.len(), subscribers.count);
        let in_storm = scenario.storm.as_ref().and_then(|storm| storm.handshakes);
        let in_storm = in_storm.map(|handshakes| part_of(handshakes, dealt.leaving, leaving(scenario)));
        let options = Options {
            conflate_ms: subscribers.conflate_ms,
            on_slow: subscribers.on_slow.as_deref().map(Into::into),
            from: subscribers.from.as_deref().map(Into::into),
        };
        let mut receiver = Receiver::new(part.protocol.clone(), &part.plan, part.shared.clone(), part.verify);
        if let Some(storm) = &scenario.storm {
            let stays = Stays { first: leaving(scenario), storm_ns: seconds_ns(storm.at_seconds) };
            receiver.verifier.counts.stays = Some(stays);
        }
        Ok(Self {
            poll,
            connecting: Connecting::new(conns.len() as u32, at_once),
            conns,
            leaving: dealt.leaving,
            at_once_in_storm: in_storm,
            receiver,
            options,
            buffer: vec![0; BUFFER_BYTES],
            replies: Vec::new(),
            slow_are_paused: false,
            part: part.clone(),
        })
    }

    pub(super) fn counts(&mut self) -> &mut Counts {
        &mut self.receiver.verifier.counts
    }

    pub(super) fn into_tally(self) -> Tally {
        self.receiver.verifier.counts.tally
    }

    pub(super) fn times(&self) -> Option<Times> {
        self.receiver.verifier.counts.times
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }

    pub(super) fn leaving(&self) -> usize {
        self.leaving
    }

    /// Waits until a socket is ready, the time has come, or another subscriber may connect.
    pub(super) fn wait(&mut self, until_ns: u64, now_ns: u64, ready: &mut Vec<Ready>) -> Result<(), String> {
        let until_ns = self.connecting.due_ns(now_ns).map_or(until_ns, |due_ns| due_ns.min(until_ns));
        self.poll.wait(until_ns, now_ns, ready).map_err(|error| format!("waiting for sockets: {error}"))
    }

    /// Reads or writes, as a connection is ready for.
    pub(super) fn serve(&mut self, ready: Ready) {
        let index = ready.key as u32;
        let Some(conn) = self.conns.get_mut(ready.key as usize) else { return };
        let Some(socket) = &conn.socket else { return };
        if conn.state == State::Connecting
            && ready.writable
            && !socket.is_blocked()
            && conn.rest.as_ref().is_none_or(|rest| rest.output.is_empty())
        {
            match socket.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => return self.end(index, &error.to_string()),
            }
            self.watch(index, false);
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
            // What is decrypted already makes the socket readable no more.
            while self.conns[index as usize].socket.as_ref().is_some_and(Wire::has_more) {
                self.read(index, BUFFER_BYTES);
            }
            // Reading may have something to say: TLS itself.
            if self.conns[index as usize].socket.as_ref().is_some_and(Wire::is_blocked) {
                self.watch(index, true);
            }
        }
    }

    fn watch(&self, index: u32, writable: bool) {
        if let Some(socket) = &self.conns[index as usize].socket {
            // Fails if the socket is gone, which the next read finds out.
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

    /// Reads once, at most `bytes_max` bytes, and passes them to the receiver.
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
        self.receiver.verifier.counts.tally.reads += 1;
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
            let (used, then) = self.receiver.read(conn, &self.buffer[at..end], now_ns, &mut self.replies);
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
        let replies = std::mem::take(&mut self.replies);
        if let Next::End(reason) = next {
            return self.end(index, &reason);
        }
        if !replies.is_empty() {
            self.write(index, &replies);
        }
    }

    /// Closes a connection that the server or the network has ended.
    fn end(&mut self, index: u32, reason: &str) {
        let conn = &mut self.conns[index as usize];
        let was = std::mem::replace(&mut conn.state, State::Closed);
        conn.socket = None;
        let lost_ns = conn.rest.take().map_or(0, |rest| rest.lost_ns);
        let verifier = &mut self.receiver.verifier;
        match was {
            State::Closed => {}
            State::Connecting | State::Subscribing => {
                verifier.counts.tally.failed.add(reason);
                self.attempt_is_over();
                if lost_ns > 0 {
                    // It tries to come back until it is.
                    self.conns[index as usize].rest().lost_ns = lost_ns;
                    self.connecting.later(mono_ns() + RETRY_NS, index);
                }
            }
            State::Open => {
                let missing = verifier.missing(&self.conns[index as usize]);
                verifier.counts.open -= 1;
                verifier.counts.tally.ended.add(reason);
                verifier.counts.tally.missing += missing;
            }
        }
    }

    /// Ends a connection on the load's side; it comes back at `back_ns`. In a storm the time until then is measured.
    pub(super) fn leave(&mut self, index: u32, back_ns: u64, in_storm: bool) {
        let conn = &mut self.conns[index as usize];
        if conn.state != State::Open {
            if in_storm {
                self.part.shared.came_back(mono_ns());
            }
            return;
        }
        conn.state = State::Closed;
        conn.socket = None;
        conn.rest = None;
        if in_storm {
            conn.rest().lost_ns = mono_ns();
            self.at_once_in_storm.into_iter().for_each(|at_once| self.connecting.allow(at_once));
        }
        self.receiver.verifier.counts.open -= 1;
        self.receiver.verifier.counts.tally.closed += 1;
        self.connecting.later(back_ns, index);
    }

    // ---- slow subscribers

    /// Lets slow subscribers be read only by [`Self::read_slow`] from now on, or like all others again.
    pub(super) fn pause_slow(&mut self, pause: bool) {
        self.slow_are_paused = pause;
        for index in 0..self.conns.len() as u32 {
            if !self.conns[index as usize].slow {
                continue;
            }
            if pause {
                self.pause(index);
            } else {
                self.watch(index, false);
            }
        }
    }

    fn pause(&self, index: u32) {
        if let Some(socket) = &self.conns[index as usize].socket {
            // Fails if the socket is gone: then there is nothing to pause.
            let _ = self.poll.pause(socket, index.into());
        }
    }

    /// Reads at most `bytes` bytes from every slow subscriber.
    pub(super) fn read_slow(&mut self, bytes: usize) {
        for index in 0..self.conns.len() {
            if self.conns[index].slow && self.conns[index].state == State::Open {
                self.read(index as u32, bytes);
            }
        }
    }

    // ---- the end

    /// Whether no subscriber is connected or will be: a connection that the server has ended does not come back.
    pub(super) fn are_gone(&self) -> bool {
        self.receiver.verifier.counts.open == 0 && self.connecting.is_idle()
    }

    /// The subscribers that read as fast as they can.
    fn readers(&self) -> impl Iterator<Item = &Conn> {
        self.conns.iter().filter(|conn| conn.state == State::Open && !(conn.slow && self.slow_are_paused))
    }

    /// Whether every subscriber that reads has everything that was published.
    pub(super) fn have_all(&self) -> bool {
        self.connecting.is_idle() && self.readers().all(|conn| self.receiver.verifier.has_all(conn))
    }

    /// How many of the published updates the reading subscribers do not have.
    pub(super) fn missing(&self) -> u64 {
        self.readers().map(|conn| self.receiver.verifier.missing(conn)).sum()
    }
}
