//! A connection's position: from there the client may continue on another connection, in everything that it follows,
//! without giving a `seq` of any topic.
//!
//! The id of a position is the broker's start in µs since the UNIX epoch plus an ordinal. So all ids of an earlier run
//! are below those of this one, as long as ordinals grow more slowly than microseconds; while they do not, no id is
//! sent. With a journal, the start of its generation takes the place of the broker's, and ids are the same in all runs.

use broker_protocol::message;

use super::{ConnId, Shard};
use crate::clock::Now;
use crate::engine::Engine;
use crate::sink::Sink;

/// The minimum time between two positions sent to a connection, in milliseconds.
const POSITION_MS: u32 = 1000;

impl Engine {
    /// The ordinal that an id stands for. An id of another run, or one that was never sent, counts as 0, before
    /// everything. With a log that other brokers write as well, an id may be from one that is ahead: then its ordinal is
    /// above the last one here, and a connection that subscribes by it waits for the log.
    pub fn ordinal_of(&self, id: u64) -> u64 {
        let ordinal = id.saturating_sub(self.limits.order_base);
        let was_here = (self.limits.order_first..=self.feed.ordinal()).contains(&ordinal);
        if was_here || self.may_come(ordinal) { ordinal } else { 0 }
    }
}

impl<S: Sink> Shard<S> {
    /// The id up to which a connection has everything, and beyond which it has nothing, if nothing waits for it; `None`
    /// if that is not known at present.
    pub(super) fn position(&self, now: Now) -> Option<u64> {
        let limits = &self.engine.limits;
        let age_us = now.mono_us.saturating_sub(limits.order_base_mono_us) + limits.order_age_us;
        let reached = self.reached_ordinal()?;
        let number = reached.checked_sub(limits.order_first)?;
        (number <= age_us).then_some(limits.order_base + reached)
    }

    /// Sends a connection its position, if it asked for positions and its last one is long enough ago.
    pub(super) fn send_position(&mut self, id: ConnId, position: Option<u64>, now: Now) {
        let conn = &mut self.conns[id];
        let Some(position) = position else { return };
        if !conn.position_is_due || now.mono_ms().wrapping_sub(conn.last_position_ms) < POSITION_MS {
            return;
        }
        (conn.position_is_due, conn.last_position_ms) = (false, now.mono_ms());
        let mut payload = Vec::new();
        message::position(&mut payload, position);
        self.answer(now, id, &payload);
    }

    /// The ordinal up to which a connection has everything, if nothing waits for it.
    fn reached_ordinal(&self) -> Option<u64> {
        let (feed, read) = (&self.engine.feed, self.reader.ordinal());
        // Updates that nobody follows have ordinals but are not appended: if everything appended is read, those have
        // passed as well. And an image may be newer than everything read.
        if read < feed.ordinal() && self.reader.bytes() == feed.appended_bytes() {
            let (ordinal, bytes) = feed.settled();
            if self.reader.bytes() == bytes {
                return Some(ordinal);
            }
        }
        (read >= self.followed_from).then_some(read)
    }
}
