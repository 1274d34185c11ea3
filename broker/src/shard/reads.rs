//! Whose turn it is to be read, of the connections that have input.
//!
//! Connections with deferred reads take turns, in three classes. When ten thousand clients hang up at once, come back and
//! subscribe, that is seconds of work, and a publisher's next message does not wait for it:
//!
//! ```text
//! light    its latest turns took little work
//! costly   it is new, its client has hung up, or a recent turn took much: behind the light ones, a few in every round
//! heavy    it has sent more than a round's work, or a long message: behind all others, until it is read to its end, and
//!          only while the shards keep up with the publishers
//! ```
//!
//! Heavy ones wait while the long requests that are under way hold much.

use std::collections::VecDeque;

use broker_engine::ConnId;

use super::Driver;
use super::socket::{ReadState, Socket};

/// The most connections with deferred reads that are visited in one round.
const DEFERRED_PER_ROUND: usize = 1024;
/// So many costly connections have their turns in every round in which something is read, whatever the light ones have.
const COSTLY_PER_ROUND: usize = 4;

/// The connections whose reads are deferred, in the order of their turns.
#[derive(Default)]
pub(super) struct DeferredReads {
    light: VecDeque<ConnId>,
    costly: VecDeque<ConnId>,
    pub(super) heavy: VecDeque<ConnId>,
    no_room: bool,
}

impl DeferredReads {
    /// Returns whether some wait only until the shards have read the feed.
    pub(super) fn wait_for_room(&self) -> bool {
        self.no_room && !self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.light.is_empty() && self.costly.is_empty() && self.heavy.is_empty()
    }

    pub(super) fn push(&mut self, id: ConnId, socket: &Socket) {
        let turns = match socket {
            Socket { heavy: true, .. } => &mut self.heavy,
            Socket { ended: false, turns_until_light: 0, .. } => &mut self.light,
            _ => &mut self.costly,
        };
        turns.push_back(id);
    }
}

impl Driver {
    /// Queues a connection for reading: its socket has bytes or, if it has `ended`, their end. A client of Server-Sent
    /// Events whose socket is `gone` has nothing more to say.
    pub(super) fn readable(&mut self, id: ConnId, ended: bool, gone: bool) {
        // Any input is a sign of life, even if it is not read for the moment.
        self.shard.heard(id);
        let Some(socket) = self.shard.sink(id) else { return };
        socket.ended |= ended;
        socket.gone |= gone && socket.follows_events();
        if socket.read_state == ReadState::Idle {
            socket.read_state = ReadState::Deferred;
            socket.heavy = false;
            self.reads.push(id, socket);
        }
    }

    /// Queues the connections for reading whose messages waited for answers of the journal.
    pub(super) fn read_released(&mut self) {
        while let Some(id) = self.shard.next_released() {
            let Some(socket) = self.shard.sink(id) else { continue };
            if socket.read_state == ReadState::Idle {
                socket.read_state = ReadState::Deferred;
                self.reads.push(id, socket);
            }
        }
    }

    /// Queues a blocked connection for reading: its socket takes bytes again, so it may soon be read again, too.
    pub(super) fn unblock(&mut self, id: ConnId) {
        let Some(socket) = self.shard.sink(id) else { return };
        socket.full = false;
        if socket.read_state == ReadState::Blocked {
            socket.read_state = ReadState::Deferred;
            self.reads.push(id, socket);
        }
    }

    /// Does the deferred reads, as far as the round's work allows, a few of the costly ones, and at least one of the
    /// heavy ones. Returns whether some can go on at once.
    pub(super) fn resume_deferred(&mut self) -> bool {
        if !self.shard.may_work() {
            // Earlier rounds have done too much.
            return !self.reads.is_empty();
        }
        self.reads.no_room = !self.shard.engine().has_room();
        let mut more = false;
        for _ in 0..self.reads.light.len().min(DEFERRED_PER_ROUND) {
            if !self.shard.may_work() {
                more = true;
                break;
            }
            let Some(id) = self.reads.light.pop_front() else { break };
            more |= self.resume(id);
        }
        for nth in 0..self.reads.costly.len().min(DEFERRED_PER_ROUND) {
            if nth >= COSTLY_PER_ROUND && !self.shard.may_work() {
                more = true;
                break;
            }
            let Some(id) = self.reads.costly.pop_front() else { break };
            more |= self.resume(id);
        }
        if !self.shard.may_begin_long() {
            more |= !self.reads.heavy.is_empty();
        } else if self.shard.engine().keeps_up() {
            let mut has_read = false;
            for _ in 0..self.reads.heavy.len().min(DEFERRED_PER_ROUND) {
                if has_read && !self.shard.may_work() {
                    return true;
                }
                let Some(id) = self.reads.heavy.pop_front() else { break };
                has_read |= self.resume(id);
            }
            more |= has_read;
        } else {
            self.reads.no_room |= !self.reads.heavy.is_empty();
        }
        more
    }

    /// Gives a connection its turn. Returns false if it may not be read now.
    fn resume(&mut self, id: ConnId) -> bool {
        let may_go_on = self.may_go_on(id);
        let reads_answers = self.shard.may_read(id);
        let Some(socket) = self.shard.sink(id).filter(|socket| socket.read_state == ReadState::Deferred) else {
            return false;
        };
        if may_go_on || socket.gone {
            socket.read_state = ReadState::Idle;
            self.read_on(id);
            return true;
        }
        if socket.full && !reads_answers {
            // A blocked connection leaves the queue, so that any number of them does not delay the others.
            socket.read_state = ReadState::Blocked;
        } else {
            self.reads.push(id, socket);
        }
        false
    }
}
