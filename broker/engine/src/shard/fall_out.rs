//! Falling out of step: what is on a connection's runs becomes wants, and from then on it catches up from the topics.
//!
//! If much is pending, this is done in portions, from the oldest frame on. Until it is complete, only answers are sent
//! and no request of the connection is read, so that no client sees an intermediate state: the older frames of a topic
//! may already be wanted while the newer ones are still on the runs.

use super::conn::{At, CatchUp, Introduce, Want};
use super::{ConnId, Shard};
use crate::budget::shared::SharedSum;
use crate::fault;
use crate::sink::Sink;
use broker_protocol::message::GapReason;

/// Work to turn a frame into a want, in steps.
const WANT_STEPS: usize = 2;
/// Frames that are visited in one step of work.
const FRAMES_PER_STEP: usize = 8;
/// Frames in one portion. After each portion it is checked whether work is left, and whether all wants together are too
/// much.
const FRAMES_AT_ONCE: usize = fault::bound(64, 2);

/// What one portion did.
#[derive(Default)]
struct Portion {
    frames: usize,
    wants: usize,
}

impl<S: Sink> Shard<S> {
    /// Turns everything on a connection's runs into wants, at once.
    pub(super) fn fall_out(&mut self, id: ConnId) {
        while !self.fall_out_some(id) {}
    }

    /// Turns it into wants as far as this round's work allows. Returns whether it is complete.
    pub(super) fn fall_out_as_work_allows(&mut self, id: ConnId) -> bool {
        while !self.work.is_spent() {
            if self.fall_out_some(id) {
                return true;
            }
        }
        false
    }

    fn fall_out_some(&mut self, id: ConnId) -> bool {
        let conn = &mut self.conns[id];
        let mut catch_up = conn.catch_up.take().unwrap_or_default();
        if !std::mem::replace(&mut conn.is_falling, true) {
            catch_up.swallowed_bytes += u64::from(conn.pending_bytes);
            catch_up.swallowed_updates += u64::from(conn.pending_frames);
        }
        let portion = self.want_oldest(id, &mut catch_up);
        self.work.charge(portion.frames / FRAMES_PER_STEP + portion.wants * WANT_STEPS);
        let conn = &mut self.conns[id];
        // Extrapolates from this portion.
        let to_come = conn.pending_frames as usize * portion.wants / portion.frames.max(1);
        let wants = catch_up.wants.len() + to_come;
        conn.catch_up = Some(catch_up);
        if portion.wants > 0 && self.must_pay(wants, to_come) {
            self.overdraw(id);
            return true;
        }
        let conn = &mut self.conns[id];
        conn.is_falling = !conn.runs.is_empty();
        let is_done = !conn.is_falling;
        if is_done {
            conn.settle();
        }
        self.file(id, SharedSum::Wants);
        is_done
    }

    /// Takes the oldest frames off a connection's runs and turns them into wants.
    fn want_oldest(&mut self, id: ConnId, catch_up: &mut CatchUp) -> Portion {
        let mut portion = Portion::default();
        let may_be_strict = self.conns[id].is_strict;
        let Some(mut run) = self.conns[id].runs.first().copied() else { return portion };
        let (mut bytes, before) = (0, catch_up.wants.len());
        for slot in self.ring.slots(run.ring_offset, run.len as usize).take(FRAMES_AT_ONCE) {
            portion.frames += 1;
            bytes += slot.frame.len() as u32;
            let topic = &slot.topic;
            let at = match slot.seq {
                0 => At::From(1),
                seq if slot.merged => At::Image(seq),
                // If the connection has asked for a longer interval since, this becomes the image; but a mere `closed`
                // does not.
                seq => At::From(seq),
            };
            match catch_up.wants.get_mut(&topic.id()) {
                Some(Want { at: At::After { .. }, .. }) | None => {}
                Some(want) => {
                    // What was wanted comes after this frame.
                    want.at = want.at.reaching_back_to(at);
                    continue;
                }
            }
            let name_id = self.follows.of_topic(topic.id()).or_else(|| self.follows.named(topic.name()));
            let Some(name_id) = name_id else { continue };
            let strict = may_be_strict && self.is_strict(id, topic.name());
            let want = Want {
                introduce: if slot.seq == 0 { Introduce::Begins } else { Introduce::No },
                after: self.follows.names[name_id].unfinished(catch_up, topic),
                strict,
                ..Want::new(topic.clone(), at, GapReason::Slow)
            };
            catch_up.want(want);
        }
        if portion.frames == 0 {
            // No connection has a run whose frames have left the ring. If one had, this loop would have to end
            // nevertheless.
            bytes = run.len;
        }
        portion.wants = catch_up.wants.len().saturating_sub(before);
        run.ring_offset += u64::from(bytes);
        run.len -= bytes;
        let conn = &mut self.conns[id];
        conn.pending_bytes -= bytes;
        conn.pending_frames -= portion.frames as u32;
        if run.len > 0 {
            conn.runs[0] = run;
        } else {
            conn.runs.remove(0);
        }
        portion
    }
}
