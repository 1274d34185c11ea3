//! Room in the ring, at the cost of those who still have something pending where it is to be used again.
//!
//! Whoever has falls out of step. Where many have, that is done in portions, well before the room is needed.

use std::sync::Arc;

use broker_protocol::frame::Frame;

use super::connection::{Conn, Place};
use super::{ConnId, Shard, enqueue};
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// Connections that are looked at in a step of work.
const CONNECTIONS_PER_STEP: usize = 16;

/// A pass over the connections that makes room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eviction {
    /// Everything before this place is to be free.
    place: u64,
    /// The next connection to be looked at.
    at: usize,
}

impl<S: Sink> Shard<S> {
    /// Makes room in the ring for a frame and copies it in; `None` for one too large for it.
    pub(super) fn put(&mut self, topic: &Arc<Topic>, seq: u64, merged: bool, frame: &Frame) -> Option<(u64, bool)> {
        if !self.make_room(frame.len()) {
            return None;
        }
        let at = self.ring.push(topic.clone(), seq, merged, frame);
        Some((at, self.ring.joins(at)))
    }

    /// Makes room for a frame at once. False for a frame that does not belong in the ring at all.
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        if !self.ring.takes(len) {
            return false;
        }
        while let Some(place) = self.ring.reclaim(len) {
            for id in 0..self.conns.bound() {
                self.evict(id as ConnId, place);
            }
            self.ring.release(place);
        }
        true
    }

    /// Makes room ahead of what will come, as far as this round's work allows.
    pub(super) fn evict_ahead(&mut self) {
        let Some(mut eviction) = self.evicting.or_else(|| self.ring.low().map(|place| Eviction { place, at: 0 }))
        else {
            return;
        };
        let bound = self.conns.bound();
        while eviction.at < bound {
            if self.work.is_spent() {
                self.evicting = Some(eviction);
                return;
            }
            let end = (eviction.at + CONNECTIONS_PER_STEP).min(bound);
            self.work.charge(1);
            // One of them may have much pending: the others wait for the next round then.
            while eviction.at < end && !self.work.is_spent() {
                self.evict(eviction.at as ConnId, eviction.place);
                eviction.at += 1;
            }
        }
        self.evicting = None;
        self.ring.release(eviction.place);
    }

    /// Whether a frame of this length has to wait: the room for it is being made, in portions.
    pub(super) fn must_wait_for_room(&self, len: usize) -> bool {
        self.evicting.is_some() && self.ring.takes(len) && self.ring.reclaim(len).is_some()
    }

    /// Takes a connection out of step that still has something pending before `place`.
    fn evict(&mut self, id: ConnId, place: u64) {
        let holds = |conn: &Conn<S>| conn.runs.first().is_some_and(|run| run.at < place);
        let Some(conn) = self.conns.get(id).filter(|conn| holds(conn)) else { return };
        if conn.place == Place::Parked && fault::strikes(Fault::EvictionUnderReader) {
            return;
        }
        self.stats.evicted.add(1);
        self.fall_out(id);
    }

    /// Deals with those for whom the last entries were too much, as far as this round's work allows.
    pub(super) fn settle_overflow(&mut self, now_us: u64) {
        while !self.work.is_spent()
            && let Some(id) = self.overflowed.pop()
        {
            // It may be gone, and another have its number.
            let Some(conn) = self.conns.get_mut(id) else { continue };
            conn.overflowed = false;
            if !conn.gone && u64::from(conn.pending_bytes) > self.engine.limits.behind_bytes {
                conn.behind = true;
                self.stats.fell_behind.add(1);
                self.stats.lag_bytes.record(conn.pending_bytes.into());
                self.fall_out(id);
                enqueue(&mut self.conns[id], id, &mut self.fifo, now_us);
            }
        }
    }
}
