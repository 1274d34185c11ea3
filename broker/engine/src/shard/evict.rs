//! Room in the ring, at the cost of those who still have something pending where it is to be used again.
//!
//! Whoever has falls out of step. Where many have, that is done in portions, well before the room is needed.

use std::sync::Arc;

use broker_protocol::frame::Frame;

use super::conn::{Conn, Turn};
use super::{ConnId, Shard};
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
                if self.begin_eviction(id as ConnId, place) {
                    self.fall_out(id as ConnId);
                }
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
                let id = eviction.at as ConnId;
                if self.begin_eviction(id, eviction.place) && !self.fall_out_as_work_allows(id) {
                    break;
                }
                eviction.at += 1;
            }
        }
        self.evicting = None;
        self.ring.release(eviction.place);
    }

    /// Whether connections that have to fall out of step still wait for that.
    pub(super) fn is_evicting(&self) -> bool {
        self.evicting.is_some() || !self.overflowed.is_empty()
    }

    /// Whether connections fall out of step more slowly than entries come: what is on their runs is not to fill the ring,
    /// where it would cost more of them their place.
    pub(super) fn must_settle_first(&self) -> bool {
        !self.overflowed.is_empty() && self.ring.is_half_full()
    }

    /// Whether a frame of this length has to wait: the room for it is being made, in portions.
    pub(super) fn must_wait_for_room(&self, len: usize) -> bool {
        self.evicting.is_some() && self.ring.takes(len) && self.ring.reclaim(len).is_some()
    }

    /// Whether a connection has to fall out of step, as it still has something pending before `place`.
    fn begin_eviction(&mut self, id: ConnId, place: u64) -> bool {
        let holds = |conn: &Conn<S>| conn.runs.first().is_some_and(|run| run.at < place);
        let Some(conn) = self.conns.get(id).filter(|conn| conn.is_falling || holds(conn)) else { return false };
        if conn.turn == Turn::Parked && fault::strikes(Fault::EvictionUnderReader) {
            return false;
        }
        self.stats.evicted.add(u64::from(!conn.is_falling));
        true
    }

    /// Deals with those for whom the last entries were too much, as far as this round's work allows.
    pub(super) fn settle_overflow(&mut self, now_us: u64) {
        while !self.work.is_spent()
            && let Some(id) = self.overflowed.last().copied()
        {
            // It may be gone, and another have its number.
            if let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.gone && conn.overflowed) {
                let is_too_much = u64::from(conn.pending_bytes) > self.engine.limits.behind_bytes;
                if is_too_much && !conn.is_falling {
                    conn.behind = true;
                    self.stats.fell_behind.add(1);
                    self.stats.lag_bytes.record(conn.pending_bytes.into());
                }
                if is_too_much || conn.is_falling {
                    if !self.fall_out_as_work_allows(id) {
                        return;
                    }
                    self.enqueue(id, now_us);
                }
                self.conns[id].overflowed = false;
            }
            self.overflowed.pop();
        }
    }
}
