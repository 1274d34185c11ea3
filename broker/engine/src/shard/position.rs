//! A connection's position in the broker's order: from there it may go on with another connection, in everything that it
//! follows, without naming a `seq` of any topic.
//!
//! The id of a position is the broker's start in µs since the UNIX epoch plus a place in its order. So an id of an earlier
//! run is below all of this one's, as long as places come slower than microseconds; while they do not, no id is told.

use broker_protocol::message;

use super::{ConnId, Shard};
use crate::clock::Now;
use crate::engine::Engine;
use crate::sink::Sink;

/// The least time between two positions that a connection is told, in milliseconds.
const POSITION_MS: u32 = 1000;

impl Engine {
    /// The place in the broker's order that an id stands for. One of another run, or one that never was, is before all.
    pub fn place_of(&self, id: u64) -> u64 {
        let place = id.saturating_sub(self.limits.order_base);
        if place <= self.feed.ordinal() { place } else { 0 }
    }
}

impl<S: Sink> Shard<S> {
    /// The id of the place up to which a connection for which nothing waits has everything, and beyond which it has
    /// nothing; `None` where that is not known just now.
    pub(super) fn position(&self, now: Now) -> Option<u64> {
        let limits = &self.engine.limits;
        let age_us = now.mono_us.saturating_sub(limits.order_base_mono_us);
        self.place_in_order().filter(|place| *place <= age_us).map(|place| limits.order_base + place)
    }

    /// Tells a connection its position, where it asked for that, and was not told too short a time ago.
    pub(super) fn tell_position(&mut self, id: ConnId, position: Option<u64>, now: Now) {
        let conn = &mut self.conns[id];
        let Some(position) = position else { return };
        if !conn.unpositioned || now.mono_ms().wrapping_sub(conn.last_position_ms) < POSITION_MS {
            return;
        }
        (conn.unpositioned, conn.last_position_ms) = (false, now.mono_ms());
        let mut payload = Vec::new();
        message::position(&mut payload, position);
        self.answer(now, id, &payload);
    }

    /// The place in the broker's order up to which a connection for which nothing waits has everything.
    fn place_in_order(&self) -> Option<u64> {
        let (feed, read) = (&self.engine.feed, self.reader.ordinal());
        // What nobody follows has places too, but is not appended: where all that was is read, it has passed as well. And
        // an image may be newer than all that was read.
        if read < feed.ordinal() && self.reader.bytes() == feed.appended_bytes() {
            let (ordinal, bytes) = feed.settled();
            if self.reader.bytes() == bytes {
                return Some(ordinal);
            }
        }
        (read >= self.followed_from).then_some(read)
    }
}
