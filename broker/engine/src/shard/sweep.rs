//! Everything driven by time: views that are due, gaps between writes that have passed, heartbeats, pings, stalls,
//! closing connections, patterns to be forgotten. All in bounded portions; no timer per connection.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use broker_protocol::codes::CloseReason;
use broker_protocol::message;

use super::conn::{Closing, QueueState};
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::fault;
use crate::sink::Sink;

/// In a heartbeat interval there are at least this many sweeps over all connections, and at least one a second:
/// heartbeats, pings and stalls are late by one sweep at most.
const SWEEPS_PER_HEARTBEAT: u32 = 16;
/// Maximum number of connections visited in one round.
const CONNECTIONS_PER_SWEEP: usize = fault::bound(256, 2);
/// Maximum number of sinks asked in one round whether to wait for their peers: asking costs a few system calls.
const QUESTIONS_PER_SWEEP: usize = fault::bound(8, 1);

#[derive(Default)]
pub(crate) struct Sweep {
    /// Where the pass over the connections continues; `None` between passes.
    at: Option<usize>,
    /// Connections behind among those that the pass has visited.
    behind: u64,
    /// The ring offset of the oldest frame that one of them still has to get, or that was pushed since the pass began.
    oldest_frame: u64,
    next_us: u64,
}

impl<S: Sink> Shard<S> {
    /// Does everything that has become due. Returns whether more is already due.
    pub fn tick(&mut self, now: Now) -> bool {
        self.work.end_requests();
        let mut more = self.views_due(now.mono_us);
        while let Some(id) = self.queue.pop_delayed(now.mono_us) {
            let conn = &mut self.conns[id];
            conn.queue_state = QueueState::Idle;
            if conn.gone {
                self.free(id);
            } else {
                self.enqueue(id, now.mono_us);
                more = true;
            }
        }
        self.drop_late(now);
        more |= self.retire_patterns();
        more |= self.sweep_connections(now);
        more |= self.forget_names();
        self.close_pending(&mut || now);
        self.settle_budgets(now);
        more |= self.leave_some();
        self.stats.ring_bytes.set(self.ring.held());
        // What became due is still to be written: the driver has to run another round before it sleeps.
        more || !self.queue.is_empty() || self.awaiting.has_any_released()
    }

    /// When [`Shard::tick`] has something to do next, on the monotonic clock in µs.
    pub fn next_tick_us(&self) -> u64 {
        let views = self.views.next_due().map(|(due, _)| due);
        let delayed = self.queue.next_delayed_us();
        let lingering = self.departures.next_late_us();
        [views, delayed, lingering].into_iter().flatten().fold(self.sweep.next_us, u64::min)
    }

    fn sweep_connections(&mut self, now: Now) -> bool {
        let limits = &self.engine.limits;
        let (heartbeat_ms, stall_ms) = (limits.heartbeat_ms, limits.stall_ms());
        let from = match self.sweep.at {
            Some(at) => at,
            None if now.mono_us >= self.sweep.next_us => {
                let every_ms = (heartbeat_ms.min(stall_ms) / SWEEPS_PER_HEARTBEAT).clamp(1, 1000);
                self.sweep.next_us = now.mono_us + u64::from(every_ms) * 1000;
                self.retiring.begin_names();
                self.sweep.oldest_frame = self.ring.head();
                self.rates.begin_pass(now.mono_us);
                0
            }
            None => return false,
        };
        let end = (from + CONNECTIONS_PER_SWEEP).min(self.conns.bound());
        let (mut at, mut questions) = (from, 0);
        while at < end && questions < QUESTIONS_PER_SWEEP {
            questions += usize::from(self.check_connection(at as ConnId, now, heartbeat_ms, stall_ms));
            at += 1;
        }
        self.sweep.at = (at < self.conns.bound()).then_some(at);
        if self.sweep.at.is_none() {
            self.stats.behind.set(std::mem::take(&mut self.sweep.behind));
            // Frames that no connection has to get any more are released even if no new ones replace them.
            self.ring.release(self.sweep.oldest_frame);
        }
        self.sweep.at.is_some()
    }

    /// Checks one connection for stalls, pings and heartbeats. Returns whether its sink was asked for more patience.
    fn check_connection(&mut self, id: ConnId, now: Now, heartbeat_ms: u32, stall_ms: u32) -> bool {
        let mut conn = self.conns.get_mut(id);
        self.rates.visit(id, conn.as_mut().map(|conn| &mut conn.messages));
        let Some(conn) = conn else { return false };
        if let Some(run) = conn.runs.first() {
            self.sweep.oldest_frame = self.sweep.oldest_frame.min(run.ring_offset);
        }
        if conn.gone || conn.closing != Closing::No {
            return false;
        }
        self.sweep.behind += u64::from(conn.behind);
        self.give_up_waiting(now, id);
        self.give_up_log(now, id);
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let now_ms = now.mono_ms();
        if conn.queue_state == QueueState::Parked {
            let since = *conn.stalled_since_ms.get_or_insert(moment(now_ms));
            if now_ms.wrapping_sub(since.get()) < stall_ms {
                return false;
            }
            match conn.sink.more_patience_ms(stall_ms).min(stall_ms) {
                0 => self.close(now, id, CloseReason::Slow, "read nothing for stall_ms"),
                more_ms => conn.stalled_since_ms = Some(moment(now_ms.wrapping_sub(stall_ms - more_ms))),
            }
            return true;
        }
        conn.stalled_since_ms = None;
        // Closes it after two pings in a row without any frame in answer.
        if conn.sink.encoding().is_none() && now_ms.wrapping_sub(conn.last_ping_ms) >= heartbeat_ms {
            if conn.pings_unanswered >= 2 {
                let reason = CloseReason::NoSignOfLife;
                self.close(now, id, reason, reason.text());
                return false;
            }
            conn.pings_unanswered += 1;
            conn.last_ping_ms = now_ms;
            self.control(now, id, |control, _| control.ping());
        }
        let conn = &self.conns[id];
        if conn.wants_positions && conn.position_is_due && !conn.has_work() {
            let position = self.position(now);
            self.send_position(id, position, now);
        }
        let conn = &self.conns[id];
        if now_ms.wrapping_sub(conn.last_data_ms) >= heartbeat_ms {
            let mut payload = Vec::new();
            message::heartbeat(&mut payload, now.wall_us);
            self.conns[id].last_data_ms = now_ms;
            self.control(now, id, |control, encoding| control.heartbeat(encoding, &payload));
        }
        false
    }
}

/// A time in milliseconds that is not 0, which would be none: at 0 it is a millisecond late.
fn moment(ms: u32) -> NonZeroU32 {
    NonZeroU32::new(ms).unwrap_or(NonZeroU32::MIN)
}
