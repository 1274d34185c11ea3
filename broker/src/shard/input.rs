//! Clients' input: read into the shard's one buffer, cut into frames, and executed.
//!
//! A connection is read while it reads its answers, while no earlier request of it is unfinished, while the feed has
//! room for what it publishes, and while the round has work left. Otherwise its bytes wait, here up to a buffer's worth
//! and then in the kernel, where they hold the client back. Whose turn it is then, [`reads`](super::reads) says.

use broker_engine::ConnId;
use broker_protocol::CloseReason;

use super::Driver;
use super::socket::{Buffers, Held, Read, ReadState};
use crate::clock::now;
use crate::websocket::{self, Event, Input, Rules};

/// The shard's read buffer.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// A record of TLS costs as much as parsing this many bytes.
const BYTES_PER_RECORD: usize = 256;
/// The most reads of one connection in one round.
const READS_PER_ROUND: usize = 4;
/// A message with more bytes than this is long.
const LONG_BYTES: usize = 8192;
/// A turn that takes more steps of work than this is costly: a tenth of a round's work.
const LIGHT_STEPS: u64 = 100;
/// After so many turns that are not, a connection is light.
pub(super) const TURNS_UNTIL_LIGHT: u8 = 4;

/// How much of a connection's input was used.
enum Took {
    /// All of it, or epoll will report the rest.
    All,
    /// There is more, which has to wait.
    Waits,
    /// The round's work was spent in the middle of what was read: the connection is the next of the heavy ones.
    Spent,
    /// The connection is gone.
    Gone,
}

impl Driver {
    /// The bounds on what a client sends. Before it has authenticated, it has nothing to send but its token.
    fn rules(&self, id: ConnId) -> Rules {
        let rules = self.settings.rules;
        match self.shard.must_authenticate(id) {
            true => Rules { message_bytes: rules.message_bytes.min(self.settings.auth_message_bytes()), ..rules },
            false => rules,
        }
    }

    pub(super) fn may_go_on(&self, id: ConnId) -> bool {
        self.shard.is_closing(id) || (self.shard.may_read(id) && self.shard.engine().has_room())
    }

    pub(super) fn read_on(&mut self, id: ConnId) {
        let before = self.shard.work_done();
        let took = self.read_some(id);
        let steps = self.shard.work_done() - before;
        let may_read = self.shard.may_read(id);
        let Some(socket) = self.shard.sink(id) else { return };
        socket.turns_until_light = match steps {
            0 => socket.turns_until_light,
            1..=LIGHT_STEPS => socket.turns_until_light.saturating_sub(1),
            _ => TURNS_UNTIL_LIGHT,
        };
        match took {
            Took::All => {}
            Took::Gone => self.shard.disconnect(id),
            Took::Waits => {
                socket.read_state = ReadState::Deferred;
                // A connection that may not be read has not sent too much yet.
                socket.heavy |= may_read;
                self.reads.push(id, socket);
            }
            Took::Spent => {
                socket.read_state = ReadState::Deferred;
                (socket.heavy, socket.has_rest) = (true, true);
                self.reads.heavy.push_front(id);
            }
        }
    }

    fn read_some(&mut self, id: ConnId) -> Took {
        // The bytes that waited here come before those in the kernel, for which the connection takes another turn.
        let Some(socket) = self.shard.sink(id) else { return Took::All };
        if socket.gone {
            return Took::Gone;
        }
        let has_rest = std::mem::take(&mut socket.has_rest);
        // Before what came after them.
        while self.shard.has_released(id) {
            if !self.may_go_on(id) {
                return Took::Waits;
            }
            if let Some(auth) = self.shard.handle_released(now(), id) {
                self.begin_check(id, auth);
            }
            if !self.shard.may_work() {
                return Took::Waits;
            }
        }
        let Some(socket) = self.shard.sink(id) else { return Took::All };
        if socket.has_unread()
            && let Some(stop) = self.received(id, &mut [])
        {
            return stop;
        }
        if has_rest {
            return Took::Waits;
        }
        for _ in 0..READS_PER_ROUND {
            if !self.may_go_on(id) {
                return Took::Waits;
            }
            let mut buffers = std::mem::take(&mut self.buffers);
            let took = self.read_once(id, &mut buffers);
            self.buffers = buffers;
            if let Some(took) = took {
                return took;
            }
            if !self.shard.may_work() {
                break;
            }
        }
        Took::Waits
    }

    /// Reads once. Returns `None` if reading may go on.
    fn read_once(&mut self, id: ConnId, buffers: &mut Buffers) -> Option<Took> {
        let is_closing = self.shard.is_closing(id);
        let Some(socket) = self.shard.sink(id) else { return Some(Took::All) };
        let read = socket.read(buffers, is_closing);
        // Otherwise the end is to be read, which the kernel does not report again.
        let goes_on = !socket.ended;
        let (bytes, drained) = match read {
            Ok(Read::Nothing) => return Some(Took::All),
            // A client of Server-Sent Events may half-close, and still read. A client that is gone looks the same; but
            // if something is written to it, its system answers with a reset.
            Ok(Read::End) if !is_closing && socket.probe() => return Some(Took::All),
            Ok(Read::End) => {
                socket.say_goodbye();
                return Some(Took::Gone);
            }
            Err(_) => return Some(Took::Gone),
            Ok(Read::Plain { len, drained }) => {
                self.shard.worked(len);
                (&mut buffers.raw[..len], drained)
            }
            Ok(Read::Decrypted { len, drained, records }) => {
                self.shard.worked(len + records * BYTES_PER_RECORD);
                // It may hold an incomplete record.
                self.shard.count_buffers(id);
                (&mut buffers.decrypted[..], drained)
            }
        };
        if let Some(stop) = self.received(id, bytes) {
            return Some(stop);
        }
        // Less than the buffer holds: the kernel has no more, and reports new bytes.
        (drained && goes_on).then_some(Took::All)
    }

    /// Uses bytes that have arrived, after those that were held. Returns `Some` if reading has to stop.
    fn received(&mut self, id: ConnId, bytes: &mut [u8]) -> Option<Took> {
        if self.shard.is_closing(id) {
            // The broker's close frame is sent; what still comes is ignored.
            return None;
        }
        let socket = self.shard.sink(id)?;
        if socket.follows_events() {
            // A client of Server-Sent Events has nothing to say after its request.
            return None;
        }
        let held = socket.held.is_some();
        let Held { mut input, mut unread } = socket.take_held();
        let stop;
        if unread.is_empty() {
            let used;
            (used, stop) = self.frames(id, &mut input, bytes);
            unread = bytes[used..].to_vec();
        } else {
            unread.extend_from_slice(bytes);
            let used;
            (used, stop) = self.frames(id, &mut input, &mut unread);
            unread.drain(..used);
            if unread.capacity() / 4 > unread.len() {
                unread.shrink_to_fit();
            }
        }
        if let Some(socket) = self.shard.sink(id) {
            socket.hold(input, unread);
            if held || socket.held.is_some() {
                self.shard.count_buffers(id);
            }
        }
        stop
    }

    /// Executes the whole frames in `bytes`. Returns the bytes used, which are all of them if further input is ignored.
    fn frames(&mut self, id: ConnId, input: &mut Option<Box<Input>>, bytes: &mut [u8]) -> (usize, Option<Took>) {
        let clock = now();
        let mut at = 0;
        while at < bytes.len() {
            let rules = self.rules(id);
            if self.shard.is_closing(id) {
                return (bytes.len(), None);
            }
            if !self.may_go_on(id) {
                return (at, Some(Took::Waits));
            }
            if websocket::is_long(input.as_deref(), &bytes[at..], LONG_BYTES)
                && let Some(socket) = self.shard.sink(id).filter(|socket| !socket.heavy)
            {
                socket.heavy = true;
                return (at, Some(Took::Waits));
            }
            // The first message of a turn is done whatever it costs, so that every connection makes progress.
            if at > 0 && !self.shard.may_work() {
                return (at, Some(Took::Spent));
            }
            match websocket::next(input, &mut bytes[at..], &rules) {
                Ok(None) => break,
                Ok(Some((taken, event))) => {
                    self.shard.heard(id);
                    match event {
                        Event::Text(text) => {
                            if let Some(auth) = self.shard.handle(clock, id, &text) {
                                self.begin_check(id, auth);
                            }
                        }
                        Event::Binary(_) => {
                            let reason = CloseReason::UnsupportedData;
                            self.shard.close(clock, id, reason, "binary messages are not taken: send JSON text");
                        }
                        Event::Ping(payload) => {
                            self.shard.worked(payload.len());
                            self.shard.count_control(clock, id);
                            self.shard.pong(clock, id, payload);
                        }
                        Event::Close(code) => self.shard.close_with(clock, id, code.unwrap_or(0), ""),
                        Event::Pong => {
                            self.shard.worked(0);
                            self.shard.count_control(clock, id);
                        }
                        Event::Fragment => self.shard.worked(0),
                    }
                    at += taken;
                }
                Err(violation) => {
                    self.shard.close(clock, id, violation.reason, violation.text);
                    return (bytes.len(), None);
                }
            }
        }
        (at, None)
    }
}
