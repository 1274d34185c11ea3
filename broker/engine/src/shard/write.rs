//! One write: what waits for a connection is gathered and written, and advanced as far as the socket took it.

use super::conn::{At, Run};
use super::plan::{Piece, PieceKind};
use super::{ConnId, Shard};
use crate::budget::shared::SharedSum;
use crate::fault::{self, Fault};
use crate::sink::{Sink, Wrote};
use broker_protocol::message::GapReason;

/// A scratch buffer that a large image made larger than this is freed.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

/// The result of a write.
pub(super) enum Outcome {
    /// All of it was written.
    All,
    /// The socket is full.
    Full,
    Gone,
}

impl<S: Sink> Shard<S> {
    /// Writes the connection's only run directly from the ring.
    pub(super) fn write_run(&mut self, id: ConnId) -> Option<Outcome> {
        let conn = &mut self.conns[id];
        let run = conn.runs[0];
        let len = whole_frames(&self.ring, run, self.engine.limits.turn_bytes_max());
        let wrote = conn.sink.write(self.ring.bytes(run.ring_offset, len));
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

    /// Takes `taken` bytes off the front of run `index`; if a frame was cut, its rest becomes the carry. Returns the
    /// number of frames that begin in them.
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
            self.ring.slots(run.ring_offset, taken).count() as u32
        };
        if taken < run.len as usize {
            let cut = run.ring_offset + taken as u64;
            let slot = self.ring.slot_at(cut);
            if slot.ring_offset != cut {
                let rest = Some((slot.frame.clone(), (cut - slot.ring_offset) as u32));
                gone = (slot.ring_offset + slot.frame.len() as u64 - run.ring_offset) as usize;
                if !fault::strikes(Fault::HalfFrame) {
                    self.set_carry(id, rest);
                }
            }
        } else if fault::strikes(Fault::FrameSentTwice) {
            return 0;
        }
        let conn = &mut self.conns[id];
        let run = &mut conn.runs[index];
        run.ring_offset += gone as u64;
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

    /// Gathers what waits, writes it, and advances what was written. `None` if there is nothing to write.
    pub(super) fn write_gathered(&mut self, id: ConnId) -> Option<Outcome> {
        let max = self.engine.limits.turn_bytes_max();
        let conn = &mut self.conns[id];
        self.plan.clear(max, conn.sink.encoding());
        let held = conn.is_held();
        let mut carried = 0;
        if let Some((frame, offset)) = conn.carry.as_deref() {
            let offset = *offset as usize;
            carried = (frame.len() - offset).min(max);
            self.plan.add_frame(frame, offset, offset + carried);
        }
        let whole_carry = conn.carry.as_deref().is_none_or(|(frame, at)| carried == frame.len() - *at as usize);
        let mut controlled = 0;
        let mut runs = 0;
        if whole_carry {
            if let Some(control) = &conn.control {
                controlled = control.bytes.len() - control.written;
                self.plan.add_control(&control.bytes[control.written..]);
            }
            let mut all_runs = !held;
            for run in conn.runs.iter().filter(|_| !held) {
                let room = self.plan.room();
                if room == 0 {
                    all_runs = false;
                    break;
                }
                let len = whole_frames(&self.ring, *run, room);
                self.plan.add_run(&self.ring, run.ring_offset, len);
                runs += 1;
                if len < run.len as usize {
                    all_runs = false;
                    break;
                }
            }
            if all_runs
                && !self.plan.is_full()
                && let Some(mut catch_up) = conn.catch_up.take()
            {
                self.advance_walks(id, &mut catch_up);
                self.plan_catch_up(id, &mut catch_up);
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
        debug_assert!(conn.sink.encoding().is_none() || taken == 0 || taken == offered, "a part of a turn was taken");
        self.stats.bytes.add(taken as u64);
        self.progress(id, taken);
        // A transport with an encoding of its own takes all or nothing.
        let frame_bytes = if taken == offered { self.plan.frame_bytes } else { taken };
        self.commit(id, frame_bytes, carried, controlled, runs);
        self.expire(id);
        if self.plan.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.plan.scratch = Vec::new();
        }
        Some(if taken == offered { Outcome::All } else { Outcome::Full })
    }

    /// Drops the wants that only waited for the feed, and files the connection by what it still wants.
    fn expire(&mut self, id: ConnId) {
        let (conn, read) = (&mut self.conns[id], self.reader.bytes());
        if let Some(catch_up) = &mut conn.catch_up {
            catch_up.expire(read);
            conn.settle();
            self.file(id, SharedSum::Wants);
        }
    }

    /// Advances, part by part in the order of the write, what `taken` bytes of it cover.
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
            // The usual case: everything that waited was written, and the slots need not be read.
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
            let conn = &mut self.conns[id];
            conn.position_is_due = true;
            conn.messages.sent.add(frames);
            self.stats.deliveries.add(frames.into());
            self.stats.frames_per_write.record(frames.into());
        }
    }

    /// Applies the effects of writing a piece.
    fn apply(&mut self, id: ConnId, piece: &Piece) {
        match piece.kind {
            PieceKind::Image { .. } => self.stats.images.add(1),
            PieceKind::Gap { updates } => {
                self.stats.gaps.add(1);
                self.stats.gap_updates.add(updates);
            }
            _ => {}
        }
        let conn = &mut self.conns[id];
        let Some(want) = conn.catch_up.as_mut().and_then(|catch_up| catch_up.advance(piece.topic, piece.at)) else {
            return;
        };
        if !matches!(piece.kind, PieceKind::Introduction(_)) {
            // What is lost from now on is lost because the connection is slow.
            want.reason = GapReason::Slow;
        }
        if let PieceKind::Introduction(Some(seq)) = piece.kind {
            want.until = seq;
        }
        want.has_begun();
        if let PieceKind::Image { step, state } = &piece.kind
            && *step > 0
            && let At::After { seq, .. } = piece.at
        {
            let topic = want.topic.clone();
            self.joined_view(id, &topic, *step, seq, state.clone());
        }
    }
}

/// The number of bytes of a run's leading whole frames that fit, at least one frame.
fn whole_frames(ring: &super::ring::Ring, run: Run, max: usize) -> usize {
    if run.len as usize <= max {
        return run.len as usize;
    }
    let cut = ring.slot_at(run.ring_offset + max as u64);
    let len = (cut.ring_offset - run.ring_offset) as usize;
    if len > 0 { len } else { cut.frame.len() }
}
