//! What time brings: views that are due, gaps between writes that have passed, heartbeats, pings, stalls, connections that
//! linger, patterns to be forgotten. Everything in bounded portions; no timer per connection.

use broker_protocol::codes::CloseReason;
use broker_protocol::{frame, message};

use super::connection::{Closing, Place};
use super::patterns::Linked;
use super::{ConnId, GroupId, Shard};
use crate::clock::Now;
use crate::fault;
use crate::sink::Sink;

/// A heartbeat interval is cut into this many sweeps over all connections: heartbeats, pings and stalls are late by one
/// at most.
const SWEEPS_PER_HEARTBEAT: u32 = 16;
/// Connections looked at in one round at most.
const CONNECTIONS_PER_SWEEP: usize = fault::bound(256, 2);
/// Names looked at in one round for patterns that are gone.
const NAMES_PER_SWEEP: usize = fault::bound(64, 2);

#[derive(Default)]
pub(crate) struct Sweep {
    /// Where the pass over the connections goes on; `None` between passes.
    at: Option<usize>,
    /// Connections behind among those that the pass has looked at.
    behind: u64,
    /// Where the oldest frame is that one of them still has to get, or that came since the pass began.
    oldest_frame: u64,
    next_us: u64,
    /// Patterns that names still refer to: those of the pass that is on, and those that wait for the next.
    burying: Vec<GroupId>,
    buried_next: Vec<GroupId>,
    burying_at: usize,
    /// Where the pass over the names goes on; `None` between passes.
    names_at: Option<usize>,
}

impl Sweep {
    pub(crate) fn bury(&mut self, group: GroupId) {
        self.buried_next.push(group);
    }
}

impl<S: Sink> Shard<S> {
    /// Does what has become due. Returns whether more is due already.
    pub fn tick(&mut self, now: Now) -> bool {
        self.work.end_requests();
        let mut more = self.views_due(now.mono_us);
        while let Some((due, id)) = self.delayed.front().copied()
            && due <= now.mono_us
        {
            self.delayed.pop_front();
            let conn = &mut self.conns[id];
            conn.place = Place::Rest;
            if conn.gone {
                self.free(id);
            } else {
                super::enqueue(conn, id, &mut self.fifo, now.mono_us);
                more = true;
            }
        }
        while let Some((until, id, session)) = self.lingering.front().copied()
            && until <= now.mono_us
        {
            self.lingering.pop_front();
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.disconnect(id);
            }
        }
        more |= self.bury_some();
        more |= self.sweep_connections(now);
        more |= self.forget_names();
        self.close_pending(&mut || now);
        self.settle_budgets(now);
        more |= self.leave_some();
        self.stats.ring_bytes.set(self.ring.held());
        // What became due is still to be written: the driver has to come round once more before it sleeps.
        more || !self.fifo.is_empty() || !self.later.is_empty()
    }

    /// When [`Shard::tick`] has something to do next, on the monotonic clock in µs.
    pub fn next_tick_us(&self) -> u64 {
        let views = self.due.first().map(|(due, _)| *due);
        let delayed = self.delayed.front().map(|(due, _)| *due);
        let lingering = self.lingering.front().map(|(until, ..)| *until);
        [views, delayed, lingering].into_iter().flatten().fold(self.sweep.next_us, u64::min)
    }

    fn sweep_connections(&mut self, now: Now) -> bool {
        let limits = &self.engine.limits;
        let (heartbeat_ms, stall_ms) = (limits.heartbeat_ms, limits.stall_ms);
        let from = match self.sweep.at {
            Some(at) => at,
            None if now.mono_us >= self.sweep.next_us => {
                let every_ms = (heartbeat_ms.min(stall_ms) / SWEEPS_PER_HEARTBEAT).clamp(1, 1000);
                self.sweep.next_us = now.mono_us + u64::from(every_ms) * 1000;
                self.sweep.names_at.get_or_insert(0);
                self.sweep.oldest_frame = self.ring.head();
                0
            }
            None => return false,
        };
        let end = (from + CONNECTIONS_PER_SWEEP).min(self.conns.bound());
        for id in from..end {
            self.look_after(id as ConnId, now, heartbeat_ms, stall_ms);
        }
        self.sweep.at = (end < self.conns.bound()).then_some(end);
        if self.sweep.at.is_none() {
            self.stats.behind.set(std::mem::take(&mut self.sweep.behind));
            // What nobody has to get any more is let go of, also where nothing comes that would take its place.
            self.ring.release(self.sweep.oldest_frame);
        }
        self.sweep.at.is_some()
    }

    fn look_after(&mut self, id: ConnId, now: Now, heartbeat_ms: u32, stall_ms: u32) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(run) = conn.runs.first() {
            self.sweep.oldest_frame = self.sweep.oldest_frame.min(run.at);
        }
        if conn.gone || conn.closing != Closing::No {
            return;
        }
        self.sweep.behind += u64::from(conn.behind);
        let now_ms = now.mono_ms();
        if conn.place == Place::Parked {
            let since = *conn.stalled_since_ms.get_or_insert(now_ms);
            if now_ms.wrapping_sub(since) >= stall_ms {
                self.close(now, id, CloseReason::Slow, "took no byte for stall_ms");
            }
            return;
        }
        conn.stalled_since_ms = None;
        // Two pings in a row without any frame in answer.
        if conn.sink.answers_pings() && now_ms.wrapping_sub(conn.last_ping_ms) >= heartbeat_ms {
            if conn.pings_unanswered >= 2 {
                let reason = CloseReason::NoSignOfLife;
                self.close(now, id, reason, reason.text());
                return;
            }
            conn.pings_unanswered += 1;
            conn.last_ping_ms = now_ms;
            self.control(now, id, |out| frame::push_ping(out, b""));
        }
        let conn = &self.conns[id];
        if conn.positions && conn.unpositioned && !conn.has_work() {
            let position = self.position(now);
            self.tell_position(id, position, now);
        }
        let conn = &self.conns[id];
        if now_ms.wrapping_sub(conn.last_data_ms) >= heartbeat_ms {
            let mut payload = Vec::new();
            message::heartbeat(&mut payload, now.wall_us);
            self.answer(now, id, &payload);
        }
    }

    /// Lets go of names that only patterns cover and that have no topic any more: the next beginning makes them again.
    /// Without this, every name that ever was would stay for as long as somebody is subscribed to `>`.
    fn forget_names(&mut self) -> bool {
        let Some(from) = self.sweep.names_at else { return false };
        let end = (from + NAMES_PER_SWEEP).min(self.locals.bound());
        for id in from..end {
            let Some(local) = self.locals.get_mut(id as u32) else { continue };
            if local.topic.is_some() || !local.direct.is_empty() {
                continue;
            }
            // Who still catches up with an ended incarnation finds it here.
            local.prune(self.ring.tail());
            if local.previous.is_empty() {
                local.groups = Linked::default();
                self.release(id as u32);
            }
        }
        self.sweep.names_at = (end < self.locals.bound()).then_some(end);
        self.sweep.names_at.is_some()
    }

    /// Takes patterns that are gone out of the names that they matched, some names at a time.
    fn bury_some(&mut self) -> bool {
        if self.sweep.burying.is_empty() {
            if self.sweep.buried_next.is_empty() {
                return false;
            }
            self.sweep.burying = std::mem::take(&mut self.sweep.buried_next);
            self.sweep.burying_at = 0;
            for group in &self.sweep.burying {
                self.groups[*group].forgotten = true;
            }
        }
        let end = (self.sweep.burying_at + NAMES_PER_SWEEP).min(self.locals.bound());
        for id in self.sweep.burying_at..end {
            if let Some(local) = self.locals.get_mut(id as u32) {
                let groups = &self.groups;
                let before = local.groups.len();
                self.work.charge(before / 8);
                match &mut local.groups {
                    Linked::Few(few) => few.retain(|group| !groups[*group].forgotten),
                    Linked::Many(set) if set.groups.iter().any(|group| groups[*group].forgotten) => {
                        local.groups = Linked::default();
                    }
                    Linked::Many(_) => {}
                }
                if local.groups.len() < before {
                    // A pattern whose walk has not come by covers the name nevertheless.
                    self.link_all(id as u32);
                }
                self.release(id as u32);
            }
        }
        self.sweep.burying_at = end;
        if end == self.locals.bound() {
            for group in std::mem::take(&mut self.sweep.burying) {
                self.groups.remove(group);
            }
        }
        !self.sweep.burying.is_empty() || !self.sweep.buried_next.is_empty()
    }
}
