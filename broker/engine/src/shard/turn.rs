//! A connection's turn: everything that is sent, in one write.
//!
//! ```text
//! rest of a half-written frame ─ answers, pings ─ runs of the ring ─ catch-up
//! ```
//!
//! Mostly there is just one run, which is written directly from the ring. Otherwise the parts are gathered by copying
//! and written, and only what the socket took counts as sent: the rest stays where it was.

use super::conn::{Closing, QueueState};
use super::write::Outcome;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::fault::{self};
use crate::sink::Sink;

/// Connections served before the shard looks for new input: few enough that updates arriving meanwhile ride along to
/// the connections that still wait; many enough that looking costs little. With 64 of them a write to 100 subscribers
/// of a saturated topic took 26 of the 32 updates in flight, with 16 it takes all.
pub(crate) const CONNECTIONS_PER_TURN: usize = fault::bound(16, 2);

/// Of the connections that catch up, or whose requests are long, this many have a turn even if others fill it.
const LATER_PER_TURN: usize = fault::bound(4, 1);

impl<S: Sink> Shard<S> {
    /// Serves up to [`CONNECTIONS_PER_TURN`] connections, each once: one with more to do waits for the next turn behind
    /// the others, and behind new input. Connections in step come first. Returns whether more wait.
    pub fn turn(&mut self, clock: &mut impl FnMut() -> Now) -> bool {
        let (ready, _) = self.queue.len();
        let prompt = CONNECTIONS_PER_TURN.min(ready);
        for _ in 0..prompt {
            let Some(id) = self.queue.pop() else { break };
            self.serve(id, clock);
        }
        let (_, later) = self.queue.len();
        for _ in 0..LATER_PER_TURN.max(CONNECTIONS_PER_TURN - prompt).min(later) {
            let Some(id) = self.queue.pop_later() else { break };
            self.serve(id, clock);
        }
        self.close_pending(clock);
        !self.queue.is_empty()
    }

    fn serve(&mut self, id: ConnId, clock: &mut impl FnMut() -> Now) {
        let conn = &mut self.conns[id];
        if conn.gone {
            conn.queue_state = QueueState::Idle;
            self.free(id);
            return;
        }
        let gap = self.engine.limits.write_gap_us();
        if gap > 0 && conn.last_write_us > 0 {
            let now = clock().mono_us;
            let due = conn.last_write_us + gap;
            if now < due {
                self.queue.delay(id, &mut conn.queue_state, due);
                return;
            }
        }
        // It still counts as queued: what this queues for it is written in this very turn.
        if conn.in_progress.is_some() {
            self.continue_request(id, clock());
        }
        let conn = &mut self.conns[id];
        conn.queue_state = QueueState::Idle;
        let visible = conn.carry.is_some() || !conn.runs.is_empty() || conn.catch_up.is_some();
        let simple = conn.carry.is_none() && conn.control.is_none() && conn.catch_up.is_none() && conn.runs.len() == 1;
        let simple = simple && !conn.is_held() && conn.sink.encoding().is_none();
        let outcome = if simple { self.write_run(id) } else { self.write_gathered(id) };
        let Some(outcome) = outcome else {
            // Nothing to write now; if it only waits for the feed, or for work, it is queued again.
            self.end_turn(id, clock);
            self.queue_rest(id);
            return;
        };
        let now = clock();
        self.stats.writes.add(1);
        let conn = &mut self.conns[id];
        match outcome {
            Outcome::Gone => {
                self.disconnect(id);
            }
            Outcome::All => {
                self.end_turn(id, &mut || now);
                let conn = &mut self.conns[id];
                conn.last_write_us = now.mono_us;
                if visible {
                    conn.last_data_ms = now.mono_ms();
                }
                if conn.waiting_since_us != 0 {
                    self.stats.latency_us.record(now.mono_us.saturating_sub(conn.waiting_since_us));
                }
                conn.waiting_since_us = if conn.has_work() { now.mono_us.max(1) } else { 0 };
                if let Closing::Sent { finished: false } = conn.closing
                    && conn.control.is_none()
                {
                    conn.closing = Closing::Sent { finished: true };
                    conn.sink.finish();
                }
                self.queue_rest(id);
            }
            Outcome::Full => {
                self.stats.writes_short.add(1);
                self.stats.parked.add(1);
                conn.queue_state = QueueState::Parked;
                conn.sink.end_turn(None);
                if conn.sink.holds_output() {
                    self.count_buffers(id);
                }
            }
        }
    }

    /// Finishes a turn after its writes: a connection in step may be sent its position.
    fn end_turn(&mut self, id: ConnId, clock: &mut impl FnMut() -> Now) {
        let Some(conn) = self.conns.get(id).filter(|conn| !conn.gone) else { return };
        if !conn.readies.is_empty() {
            self.send_ready(id, clock());
        }
        let conn = &self.conns[id];
        let may_ask = conn.sink.encoding().is_some() || (conn.wants_positions && conn.position_is_due);
        // A stream whose request waits for the log must not get an id instead of its own.
        let in_step = may_ask && !conn.has_work() && conn.closing == Closing::No && !self.awaiting.must_go_on(id);
        let position = if in_step { self.position(clock()) } else { None };
        self.conns[id].sink.end_turn(position);
        if self.conns[id].sink.holds_output() {
            // It holds less by what it has just sent, or more by what its socket did not take.
            self.count_buffers(id);
        }
        if self.conns[id].wants_positions {
            self.send_position(id, position, clock());
        }
    }

    fn queue_rest(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.gone || !conn.has_work() {
            return;
        }
        // Connections that catch up or have long requests come after the ready ones.
        let waits = conn.catch_up.is_some() || conn.in_progress.is_some();
        if waits {
            let request_bytes = conn.in_progress.as_ref().map_or(0, |request| request.held_bytes());
            self.queue.push_later(id, &mut conn.queue_state, request_bytes)
        } else {
            self.queue.push(id, &mut conn.queue_state)
        }
    }
}
