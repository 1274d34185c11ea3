//! A connection's turn: everything that goes out, in one write.
//!
//! ```text
//! rest of a half-written frame ─ answers, pings ─ runs of the ring ─ catch-up
//! ```
//!
//! Mostly there is just one run: it is written from the ring as it lies. Otherwise the parts are gathered by copying, the
//! write is made, and only what the socket took is counted as sent: a part that did not go out stays where it was.

use broker_protocol::codes::CloseReason;
use broker_protocol::message::GapReason;

use super::conn::{At, Closing, Run, Turn};
use super::plan::{Piece, PieceKind};
use super::{ConnId, Shard};
use crate::budget::purse::Purse;
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::{Sink, Wrote};

/// Connections served before new input is looked for: small, so that what arrives meanwhile rides along to those who
/// still wait; large enough that looking costs little. With 64 of them a write to 100 subscribers of a saturated topic took
/// 26 of 32 updates that were under way, with 16 it takes all.
pub(crate) const CONNECTIONS_PER_TURN: usize = fault::bound(16, 2);

/// Of those that catch up, or whose requests are long, so many have a turn even where others fill it.
const LATER_PER_TURN: usize = fault::bound(4, 1);

/// Scratch that a large image grew is given back above this.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

enum Outcome {
    /// All of it went out.
    All,
    /// The socket is full.
    Full,
    Gone,
}

impl<S: Sink> Shard<S> {
    /// Serves up to [`CONNECTIONS_PER_TURN`] connections, each once: who has more to do waits for the next turn behind the
    /// others, and behind new input. Those that are in step come first. Returns whether more wait.
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

    pub(super) fn close_pending(&mut self, clock: &mut impl FnMut() -> Now) {
        const REASON: CloseReason = CloseReason::Slow;
        while let Some((id, session)) = self.to_close.pop() {
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.close(clock(), id, REASON, REASON.text());
            }
        }
    }

    fn serve(&mut self, id: ConnId, clock: &mut impl FnMut() -> Now) {
        let conn = &mut self.conns[id];
        if conn.gone {
            conn.turn = Turn::None;
            self.free(id);
            return;
        }
        let gap = self.engine.limits.write_gap_us;
        if gap > 0 && conn.last_write_us > 0 {
            let now = clock().mono_us;
            let due = conn.last_write_us + gap;
            if now < due {
                self.queue.delay(id, &mut conn.turn, due);
                return;
            }
        }
        // Still in its place: what this queues for it is written in this very turn.
        if conn.subscribing.is_some() {
            self.subscribe_on(id, clock());
        }
        let conn = &mut self.conns[id];
        conn.turn = Turn::None;
        let visible = conn.carry.is_some() || !conn.runs.is_empty() || conn.catch_up.is_some();
        let simple = conn.carry.is_none() && conn.control.is_none() && conn.catch_up.is_none() && conn.runs.len() == 1;
        let simple = simple && !conn.is_held();
        let outcome = if simple { self.write_run(id) } else { self.write_gathered(id) };
        let Some(outcome) = outcome else {
            // Nothing to write now; what only waits for the feed, or for work, takes its place again.
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
                conn.turn = Turn::Parked;
                conn.sink.end_turn(None);
            }
        }
    }

    /// The turn's writes are over: who is in step may be told where that is.
    fn end_turn(&mut self, id: ConnId, clock: &mut impl FnMut() -> Now) {
        let Some(conn) = self.conns.get(id).filter(|conn| !conn.gone) else { return };
        if !conn.readies.is_empty() {
            self.tell_ready(id, clock());
        }
        let conn = &self.conns[id];
        let may_ask = conn.sink.follows_order() || (conn.positions && conn.unpositioned);
        let in_step = may_ask && !conn.has_work() && conn.closing == Closing::No;
        let position = if in_step { self.position(clock()) } else { None };
        self.conns[id].sink.end_turn(position);
        if self.conns[id].positions {
            self.tell_position(id, position, clock());
        }
    }

    fn queue_rest(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.gone || !conn.has_work() {
            return;
        }
        // Catching up and long requests come after what is ready for others.
        let waits = conn.catch_up.is_some() || conn.subscribing.is_some();
        if waits { self.queue.push_later(id, &mut conn.turn) } else { self.queue.push(id, &mut conn.turn) }
    }

    /// Writes the only run from where it lies.
    fn write_run(&mut self, id: ConnId) -> Option<Outcome> {
        let conn = &mut self.conns[id];
        let run = conn.runs[0];
        let len = whole_frames(&self.ring, run, self.engine.limits.turn_bytes_max);
        let wrote = conn.sink.write(self.ring.bytes(run.at, len));
        let taken = match wrote {
            Wrote::Bytes(taken) => taken,
            Wrote::Full => 0,
            Wrote::Gone => return Some(Outcome::Gone),
        };
        self.stats.bytes.add(taken as u64);
        self.progress(id, taken);
        let frames = self.take_from_run(id, 0, taken);
        self.count_frames(id, frames);
        let conn = &mut self.conns[id];
        conn.runs.retain(|run| run.len > 0);
        Some(if taken == len { Outcome::All } else { Outcome::Full })
    }

    /// Takes `taken` bytes off the front of run `index`; where a frame was cut, its rest becomes the carry. Returns the
    /// frames that begin in them.
    fn take_from_run(&mut self, id: ConnId, index: usize, taken: usize) -> u32 {
        if taken == 0 {
            return 0;
        }
        let conn = &self.conns[id];
        let run = conn.runs[index];
        let mut gone = taken;
        let frames = if conn.runs.len() == 1 && taken == run.len as usize {
            conn.pending_frames
        } else {
            self.ring.slots(run.at, taken).count() as u32
        };
        if taken < run.len as usize {
            let cut = run.at + taken as u64;
            let slot = self.ring.slot_at(cut);
            if slot.at != cut {
                let rest = Some((slot.frame.clone(), (cut - slot.at) as u32));
                gone = (slot.at + slot.frame.len() as u64 - run.at) as usize;
                if !fault::strikes(Fault::HalfFrame) {
                    self.set_carry(id, rest);
                }
            }
        } else if fault::strikes(Fault::FrameSentTwice) {
            return 0;
        }
        let conn = &mut self.conns[id];
        let run = &mut conn.runs[index];
        run.at += gone as u64;
        run.len -= gone as u32;
        conn.pending_bytes -= gone as u32;
        conn.pending_frames -= frames;
        frames
    }

    fn progress(&mut self, id: ConnId, taken: usize) {
        if taken > 0 {
            let conn = &mut self.conns[id];
            conn.stalled_since_ms = None;
        }
    }

    /// Gathers what waits, writes it, and moves on what went out. `None` where there is nothing to write.
    fn write_gathered(&mut self, id: ConnId) -> Option<Outcome> {
        let max = self.engine.limits.turn_bytes_max;
        self.plan.clear(max);
        let conn = &mut self.conns[id];
        let held = conn.is_held();
        let mut carried = 0;
        if let Some((frame, offset)) = conn.carry.as_deref() {
            let rest = &frame.bytes()[*offset as usize..];
            carried = rest.len().min(max);
            self.plan.scratch.extend_from_slice(&rest[..carried]);
        }
        let whole_carry = conn.carry.as_deref().is_none_or(|(frame, at)| carried == frame.len() - *at as usize);
        let mut controlled = 0;
        let mut runs = 0;
        if whole_carry {
            if let Some(control) = &conn.control {
                controlled = control.bytes.len() - control.written;
                self.plan.scratch.extend_from_slice(&control.bytes[control.written..]);
            }
            let mut all_runs = !held;
            for run in conn.runs.iter().filter(|_| !held) {
                let room = max.saturating_sub(self.plan.scratch.len());
                if room == 0 {
                    all_runs = false;
                    break;
                }
                let len = whole_frames(&self.ring, *run, room);
                self.plan.scratch.extend_from_slice(self.ring.bytes(run.at, len));
                runs += 1;
                if len < run.len as usize {
                    all_runs = false;
                    break;
                }
            }
            if all_runs
                && self.plan.scratch.len() < max
                && let Some(mut catch_up) = conn.catch_up.take()
            {
                self.advance_walks(id, &mut catch_up);
                self.plan_catch_up(id, &mut catch_up);
                while let Some((topic, at)) = self.plan.moved.pop() {
                    catch_up.go_on(topic, at);
                }
                while let Some(topic) = self.plan.dropped.pop() {
                    catch_up.wants.remove(&topic);
                }
                self.conns[id].catch_up = Some(catch_up);
            }
        }
        if self.plan.scratch.is_empty() {
            self.expire(id);
            return None;
        }
        let offered = self.plan.scratch.len();
        let conn = &mut self.conns[id];
        let taken = match conn.sink.write(&self.plan.scratch) {
            Wrote::Bytes(taken) => taken,
            Wrote::Full => 0,
            Wrote::Gone => return Some(Outcome::Gone),
        };
        self.stats.bytes.add(taken as u64);
        self.progress(id, taken);
        self.commit(id, taken, carried, controlled, runs);
        self.expire(id);
        if self.plan.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.plan.scratch = Vec::new();
        }
        Some(if taken == offered { Outcome::All } else { Outcome::Full })
    }

    /// Lets go of what only waited for the feed, and files the connection by what it wants now.
    fn expire(&mut self, id: ConnId) {
        let (conn, read) = (&mut self.conns[id], self.reader.bytes());
        if let Some(catch_up) = &mut conn.catch_up {
            catch_up.expire(read);
            conn.settle();
            self.file(id, Purse::Wants);
        }
    }

    /// Moves on, part by part in the order of the write, what `taken` bytes of it cover.
    fn commit(&mut self, id: ConnId, mut taken: usize, carried: usize, controlled: usize, runs: usize) {
        let conn = &mut self.conns[id];
        if carried > 0
            && let Some((frame, offset)) = conn.carry.as_deref().cloned()
        {
            let went = taken.min(carried);
            taken -= went;
            let offset = offset + went as u32;
            let rest = (frame.len() > offset as usize).then_some((frame, offset));
            self.set_carry(id, rest);
        }
        let conn = &mut self.conns[id];
        if controlled > 0
            && let Some(control) = &mut conn.control
        {
            let went = taken.min(controlled);
            taken -= went;
            control.written += went;
            if control.written == control.bytes.len() {
                conn.control = None;
            }
        }
        let mut frames = 0;
        if runs == conn.runs.len() && taken >= conn.pending_bytes as usize {
            // The usual case: all that waited went out, without a look at the slots.
            taken -= conn.pending_bytes as usize;
            frames = std::mem::take(&mut conn.pending_frames);
            conn.pending_bytes = 0;
            conn.runs.clear();
        } else {
            for index in 0..runs {
                let len = (self.conns[id].runs[index].len as usize).min(taken);
                frames += self.take_from_run(id, index, len);
                taken -= len;
            }
            self.conns[id].runs.retain(|run| run.len > 0);
        }
        if controlled > 0 {
            self.count_buffers(id);
        }
        let mut pieces = std::mem::take(&mut self.plan.pieces);
        for piece in pieces.drain(..) {
            if taken == 0 {
                break;
            }
            let went = taken.min(piece.included);
            taken -= went;
            self.apply(id, &piece);
            frames += 1;
            if went < piece.frame.len() {
                self.set_carry(id, Some((piece.frame, went as u32)));
                break;
            }
        }
        self.plan.pieces = pieces;
        self.count_frames(id, frames);
    }

    fn count_frames(&mut self, id: ConnId, frames: u32) {
        if frames > 0 {
            self.conns[id].unpositioned = true;
            self.stats.deliveries.add(frames.into());
            self.stats.frames_per_write.record(frames.into());
        }
    }

    /// What the going out of a piece does.
    fn apply(&mut self, id: ConnId, piece: &Piece) {
        match piece.what {
            PieceKind::Image { .. } => self.stats.images.add(1),
            PieceKind::Gap { updates } => {
                self.stats.gaps.add(1);
                self.stats.gap_updates.add(updates);
            }
            _ => {}
        }
        let conn = &mut self.conns[id];
        let Some(want) = conn.catch_up.as_mut().and_then(|catch_up| catch_up.go_on(piece.topic, piece.at)) else {
            return;
        };
        if !matches!(piece.what, PieceKind::Introduction(_)) {
            // What goes missing from now on does so because the connection is slow.
            want.reason = GapReason::Slow;
        }
        if let PieceKind::Introduction(Some(seq)) = piece.what {
            want.until = seq;
        }
        want.has_begun();
        if let PieceKind::Image { step, state } = &piece.what
            && *step > 0
            && let At::After { seq, .. } = piece.at
        {
            let topic = want.topic.clone();
            self.joined_view(id, &topic, *step, seq, state.clone());
        }
    }
}

/// The bytes of a run's leading frames that fit, at least one frame.
fn whole_frames(ring: &super::ring::Ring, run: Run, max: usize) -> usize {
    if run.len as usize <= max {
        return run.len as usize;
    }
    let cut = ring.slot_at(run.at + max as u64);
    let len = (cut.at - run.at) as usize;
    if len > 0 { len } else { cut.frame.len() }
}
