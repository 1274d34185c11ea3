//! Connections that are leaving: closing, gone, or with much state still to be dropped.
//!
//! A connection that is closed gets the rest of a half-written frame and its close frame, and has `close_ms` to hang
//! up. One that is gone keeps its number until no queue refers to it. The state of many subscriptions and wants is
//! dropped in portions; see `leave.rs`.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use broker_protocol::codes::CloseReason;

use super::conn::{CatchUp, Closing, QueueState};
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::sink::Sink;

/// Work to drop a connection with its socket, in steps: some 8 µs.
const DISCONNECT_STEPS: usize = 64;

/// The departing connections of a shard.
#[derive(Default)]
pub(super) struct Departures {
    /// Connections that are closed as slow once the current borrow is over, with their sessions: by then they may be
    /// gone and their numbers reused.
    slow: Vec<(ConnId, u64)>,
    /// Connections that are closing, with the time at which each is dropped at the latest, in order of time.
    lingering: VecDeque<(u64, ConnId, u64)>,
    /// Connections that would hold too much, and are closed in this round.
    pub(super) overdrawn: Vec<ConnId>,
    /// Connections that are closing or gone, with subscriptions still to be removed.
    pub(super) leavers: VecDeque<ConnId>,
    /// What was still wanted by departed connections, to be dropped in portions.
    pub(super) discarded: VecDeque<Box<CatchUp>>,
}

impl Departures {
    /// Notes that a connection is to be closed as slow before the round is over.
    pub(super) fn close_as_slow(&mut self, id: ConnId, session: u64) {
        self.slow.push((id, session));
    }

    /// Gives a closing connection until `until_us` to hang up. Times must not fall from one call to the next.
    fn linger(&mut self, until_us: u64, id: ConnId, session: u64) {
        self.lingering.push_back((until_us, id, session));
    }

    /// Takes the next connection that did not hang up in time.
    fn pop_late(&mut self, now_us: u64) -> Option<(ConnId, u64)> {
        let (until_us, id, session) = *self.lingering.front()?;
        if until_us > now_us {
            return None;
        }
        self.lingering.pop_front();
        Some((id, session))
    }

    /// When the next of them has to be gone, on the monotonic clock in µs.
    pub(super) fn next_late_us(&self) -> Option<u64> {
        self.lingering.front().map(|(until_us, ..)| *until_us)
    }
}

impl<S: Sink> Shard<S> {
    /// Removes a connection that is gone, and releases everything that it held.
    pub fn disconnect(&mut self, id: ConnId) {
        if self.conns.get(id).is_none_or(|conn| conn.gone) {
            return;
        }
        self.work.charge(DISCONNECT_STEPS);
        self.leave_all(id);
        self.permits.remove(id);
        self.quotas.remove(&id);
        self.awaiting.remove(id);
        self.barriers.remove(id);
        let conn = &mut self.conns[id];
        conn.gone = true;
        conn.control = None;
        self.forget_payer(id);
        let conn = &mut self.conns[id];
        if conn.queue_state == QueueState::Parked {
            self.stats.parked.sub(1);
        }
        self.stats.connections.sub(1);
        let listens = conn.sink.encoding().is_some();
        self.stats.listeners.sub(u64::from(listens));
        if conn.closing == Closing::No {
            // A client that only listens cannot say goodbye in another way.
            let ended = if listens { &self.stats.closed_by_client } else { &self.stats.vanished };
            ended.add(1);
        }
        // An entry in a queue may still refer to the slot, which is then freed when that entry comes up.
        self.free(id);
    }

    /// Closes a connection: only the rest of a half-written frame and the close frame will follow.
    pub fn close(&mut self, now: Now, id: ConnId, reason: CloseReason, text: &str) {
        if self.is_closing(id) {
            return;
        }
        self.stats.closed.count(reason);
        self.begin_closing(now, id, reason.code(), text);
    }

    /// Closes a connection whose client sent a close frame, which is echoed with its code. 0 sends a close frame
    /// without one.
    pub fn close_with(&mut self, now: Now, id: ConnId, code: u16, text: &str) {
        if self.is_closing(id) {
            return;
        }
        self.stats.closed_by_client.add(1);
        self.begin_closing(now, id, code, text);
    }

    fn begin_closing(&mut self, now: Now, id: ConnId, code: u16, text: &str) {
        self.leave_all(id);
        let conn = &mut self.conns[id];
        conn.closing = Closing::Sent { finished: false };
        // Unsent answers are dropped along with the data, but not the rest of a half-written one.
        let encoding = conn.sink.encoding();
        conn.control().close(encoding, code, text);
        conn.sink.stop_listening();
        let session = conn.session;
        self.enqueue(id, now.mono_us);
        self.count_as_leaving(id);
        let until = now.mono_us + u64::from(self.engine.limits.close_ms) * 1000;
        self.departures.linger(until, id, session);
    }

    /// Whether the broker has sent this connection its last frame and waits for it to hang up, or it is gone.
    pub fn is_closing(&self, id: ConnId) -> bool {
        self.conns.get(id).is_none_or(|conn| conn.gone || conn.closing != Closing::No)
    }

    pub(super) fn close_pending(&mut self, clock: &mut impl FnMut() -> Now) {
        const REASON: CloseReason = CloseReason::Slow;
        while let Some((id, session)) = self.departures.slow.pop() {
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.close(clock(), id, REASON, REASON.text());
            }
        }
    }

    /// Frees the number of a connection that is gone, once no queue refers to it.
    pub(super) fn free(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.gone && !conn.in_leavers && matches!(conn.queue_state, QueueState::Idle | QueueState::Parked) {
            self.conns.remove(id);
        }
    }

    /// Drops the connections that did not hang up in time.
    pub(super) fn drop_late(&mut self, now: Now) {
        while !self.work.is_spent()
            && let Some((id, session)) = self.departures.pop_late(now.mono_us)
        {
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.disconnect(id);
            }
        }
    }
}
