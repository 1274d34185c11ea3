//! Making room in the ring, at the cost of connections that still have something pending in the part to be reused.
//!
//! Such a connection falls out of step. If there are many, this is done in portions, well before the room is needed.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use broker_protocol::frame::Frame;

use super::conn::{Conn, QueueState};
use super::{ConnId, Shard};
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// Connections that are visited in one step of work.
const CONNECTIONS_PER_STEP: usize = 16;

/// Connections that have to fall out of step.
#[derive(Default)]
pub(super) struct Evictions {
    /// The pass over the connections that makes room in the ring, if one is under way.
    pass: Option<Eviction>,
    /// Connections for which more waits, since the last entry, than may.
    pub(super) overflowed: Vec<ConnId>,
}

/// A pass over the connections that makes room.
#[derive(Clone, Copy, Debug)]
struct Eviction {
    /// Everything before this ring offset is to be free.
    ring_offset: u64,
    /// The next connection to visit.
    next: usize,
}

impl Evictions {
    /// Continues the pass that is under way, or begins one that frees everything before `low`, if that is an offset.
    fn resume(&mut self, low: impl FnOnce() -> Option<u64>) -> Option<Eviction> {
        self.pass.take().or_else(|| low().map(|ring_offset| Eviction { ring_offset, next: 0 }))
    }

    /// Leaves the rest of a pass to a later round.
    fn pause(&mut self, eviction: Eviction) {
        self.pass = Some(eviction);
    }

    /// Whether a pass is under way, or connections have still to be dealt with.
    fn is_pending(&self) -> bool {
        self.pass.is_some() || !self.overflowed.is_empty()
    }
}

impl Eviction {
    /// The connections of the next step of work, of those with numbers below `bound`; `None` at the end.
    fn portion(&self, bound: usize) -> Option<Range<usize>> {
        (self.next < bound).then(|| self.next..(self.next + CONNECTIONS_PER_STEP).min(bound))
    }
}

impl<S: Sink> Shard<S> {
    /// Makes room in the ring for a frame and copies it in; `None` for a frame that is too large for the ring.
    pub(super) fn put(&mut self, topic: &Arc<Topic>, seq: u64, merged: bool, frame: &Frame) -> Option<(u64, bool)> {
        if !self.make_room(frame.len()) {
            return None;
        }
        let ring_offset = self.ring.push(topic.clone(), seq, merged, frame);
        Some((ring_offset, self.ring.joins(ring_offset)))
    }

    /// Makes room for a frame at once. Returns false for a frame that is too large for the ring.
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        if !self.ring.accepts(len) {
            return false;
        }
        while let Some(ring_offset) = self.ring.reclaim(len) {
            for id in 0..self.conns.bound() {
                if self.begin_eviction(id as ConnId, ring_offset) {
                    self.fall_out(id as ConnId);
                }
            }
            self.ring.release(ring_offset);
        }
        true
    }

    /// Makes room for future frames, as far as this round's work allows.
    pub(super) fn evict_ahead(&mut self) {
        let Some(mut eviction) = self.evictions.resume(|| self.ring.low()) else { return };
        let bound = self.conns.bound();
        while let Some(portion) = eviction.portion(bound) {
            if self.work.is_spent() {
                self.evictions.pause(eviction);
                return;
            }
            self.work.charge(1);
            // One of them may have much pending: then the others wait for the next round.
            while eviction.next < portion.end && !self.work.is_spent() {
                let id = eviction.next as ConnId;
                if self.begin_eviction(id, eviction.ring_offset) && !self.fall_out_as_work_allows(id) {
                    break;
                }
                eviction.next += 1;
            }
        }
        self.ring.release(eviction.ring_offset);
    }

    /// Whether there are connections that still have to fall out of step.
    pub(super) fn is_evicting(&self) -> bool {
        self.evictions.is_pending()
    }

    /// Whether connections fall out of step more slowly than entries come: what is on their runs must not fill the
    /// ring, or more connections would be evicted.
    pub(super) fn must_settle_first(&self) -> bool {
        !self.evictions.overflowed.is_empty() && self.ring.is_half_full()
    }

    /// Whether a frame of this length has to wait because room for it is still being made, in portions.
    pub(super) fn must_wait_for_room(&self, len: usize) -> bool {
        self.evictions.pass.is_some() && self.ring.accepts(len) && self.ring.reclaim(len).is_some()
    }

    /// Whether a connection has to fall out of step because it has something pending before `ring_offset`.
    fn begin_eviction(&mut self, id: ConnId, ring_offset: u64) -> bool {
        let holds = |conn: &Conn<S>| conn.runs.first().is_some_and(|run| run.ring_offset < ring_offset);
        let Some(conn) = self.conns.get(id).filter(|conn| conn.is_falling || holds(conn)) else { return false };
        if conn.queue_state == QueueState::Parked && fault::strikes(Fault::EvictionUnderReader) {
            return false;
        }
        self.stats.evicted.add(u64::from(!conn.is_falling));
        true
    }

    /// Handles the connections for which the last entries were too much, as far as this round's work allows.
    pub(super) fn settle_overflow(&mut self, now_us: u64) {
        while !self.work.is_spent()
            && let Some(id) = self.evictions.overflowed.last().copied()
        {
            // It may be gone, and its number reused.
            if let Some(conn) = self.conns.get_mut(id).filter(|conn| !conn.gone && conn.overflowed) {
                let is_too_much = u64::from(conn.pending_bytes) > self.engine.limits.behind_bytes();
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
            self.evictions.overflowed.pop();
        }
    }
}
