//! A turn's plan: a connection's wants are turned into frames that the topics already hold, as many as the turn allows.
//!
//! ```text
//! introduce   the `topic` message, if the client does not know the topic yet
//! history     every update that it lacks, after a gap for those that are no longer retained
//! image       the newest state instead
//! closed      if the topic ended
//! ```

#[cfg(test)]
mod tests;

use broker_protocol::frame::Frame;
use broker_protocol::message::{self, GapReason, Start, TopicStart};
use broker_protocol::request::OnSlow;

use smallvec::SmallVec;

use super::conn::{At, CatchUp, Introduce, Step, Want, interval};
use super::follows::Resolved;
use super::ring::Ring;
use super::start::start;
use super::{ConnId, Shard};
use crate::engine::begins_frame;
use crate::fault::{self, Fault};
use crate::image::Tree;
use crate::sink::{Encoding, Sink};
use crate::topic::{Topic, TopicId};

/// Maximum number of wants that are visited in one turn.
const WANTS_PER_TURN: usize = fault::bound(256, 2);
/// The least bytes that are included of a frame. Gaps and introductions are shorter, so they are never cut, and other
/// frames may follow them in the same turn.
const BEGUN_BYTES_MIN: usize = 1024;

/// What a turn writes, and what changes once it is written.
#[derive(Default)]
pub(super) struct Plan {
    /// The turn's bytes, as the transport gets them.
    pub(super) scratch: Vec<u8>,
    /// The bytes of the frames in `scratch`: as many as in `scratch`, unless the transport has an encoding. The turn's
    /// bounds are in these bytes. Nothing may follow a frame that is cut.
    pub(super) frame_bytes: usize,
    /// The frames that come from topics, after everything else.
    pub(super) pieces: Vec<Piece>,
    encoding: Option<&'static Encoding>,
    bytes_max: usize,
}

/// A frame of a turn's plan, and the effect of writing it.
pub(crate) struct Piece {
    pub(crate) frame: Frame,
    /// How many of its bytes are in this turn.
    pub(crate) included: usize,
    pub(crate) topic: TopicId,
    /// The want after this frame.
    pub(crate) at: At,
    pub(crate) kind: PieceKind,
}

#[derive(Clone, Debug)]
pub(crate) enum PieceKind {
    /// The `topic` message, with the `seq` that it contains.
    Introduction(Option<u64>),
    Update,
    /// The image, for a subscription at this interval; with its state if differences may follow.
    Image {
        step: Step,
        state: Option<Tree>,
    },
    Gap {
        updates: u64,
    },
    Closed,
}

impl Plan {
    /// Starts a new plan, for a turn of at most `bytes_max` bytes on a transport with this encoding.
    pub(super) fn clear(&mut self, bytes_max: usize, encoding: Option<&'static Encoding>) {
        self.scratch.clear();
        self.pieces.clear();
        (self.frame_bytes, self.bytes_max, self.encoding) = (0, bytes_max, encoding);
    }

    /// Adds the bytes `from..to` of a frame, counted from the beginning of its head. A cut is never inside the head.
    pub(super) fn add_frame(&mut self, frame: &Frame, from: usize, to: usize) {
        self.frame_bytes += to - from;
        let Some(encoding) = self.encoding else {
            return self.scratch.extend_from_slice(&frame.bytes()[from..to]);
        };
        if from == 0 {
            self.scratch.extend_from_slice(encoding.before);
        }
        self.scratch.extend_from_slice(&frame.bytes()[from.max(frame.head_len())..to]);
        if to == frame.len() && !(from > 0 && fault::planted(Fault::EndForgotten)) {
            self.scratch.extend_from_slice(encoding.after);
        }
    }

    /// Adds whole frames from the ring.
    pub(super) fn add_run(&mut self, ring: &Ring, at: u64, len: usize) {
        self.frame_bytes += len;
        let Some(encoding) = self.encoding else {
            return self.scratch.extend_from_slice(ring.bytes(at, len));
        };
        for slot in ring.slots(at, len) {
            encoding.push(&mut self.scratch, slot.frame.payload());
        }
    }

    /// Adds messages that are already as the transport gets them.
    pub(super) fn add_control(&mut self, bytes: &[u8]) {
        self.frame_bytes += bytes.len();
        self.scratch.extend_from_slice(bytes);
    }

    /// Returns whether the turn is full: the last frame may be included only in part.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Returns the bytes of frames that still fit.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.frame_bytes)
    }

    fn push(&mut self, frame: Frame, topic: TopicId, at: At, kind: PieceKind) {
        // A frame is begun even if little room is left, otherwise a large one would never be sent.
        let included = frame.len().min(self.room().max(BEGUN_BYTES_MIN));
        self.add_frame(&frame, 0, included);
        self.pieces.push(Piece { frame, included, topic, at, kind });
    }

    fn text(&mut self, payload: &[u8], topic: TopicId, at: At, kind: PieceKind) {
        self.push(Frame::text(payload), topic, at, kind);
    }

    fn closed(&mut self, topic: &Topic, seq: u64, feed_position: u64) {
        let mut payload = Vec::new();
        message::closed(&mut payload, topic.name());
        self.text(&payload, topic.id(), At::After { seq: seq + 1, feed_position }, PieceKind::Closed);
    }

    fn gap(&mut self, topic: &Topic, from: u64, to: u64, reason: GapReason, then: At) {
        let reported = to - u64::from(from < to && fault::strikes(Fault::ShortGap));
        let mut payload = Vec::new();
        message::gap(&mut payload, topic.name(), from, reported, reason);
        self.text(&payload, topic.id(), then, PieceKind::Gap { updates: to + 1 - from });
    }
}

/// The result of planning a want.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// Writing the plan advances the want, or nothing can be done for it now.
    Unchanged,
    /// It continues at this without a frame.
    Continue(At),
    /// Nothing of it is left to send.
    Done,
    /// Updates are lost, and the client asked to be disconnected in that case.
    Refused,
}

impl<S: Sink> Shard<S> {
    /// Plans frames for the wants of a connection, after what is already in the plan.
    pub(super) fn plan_catch_up(&mut self, id: ConnId, catch_up: &mut CatchUp) {
        let mut left = WANTS_PER_TURN;
        let cursor = catch_up.cursor;
        let mut verdicts: SmallVec<[(TopicId, Verdict); 4]> = SmallVec::new();
        let order = catch_up.wants.range(cursor..).chain(catch_up.wants.range(..cursor));
        for (topic, want) in order {
            if self.plan.is_full() || left == 0 || self.work.is_spent() {
                catch_up.cursor = *topic;
                break;
            }
            left -= 1;
            self.work.charge(WANT_STEPS);
            // By now the id may belong to a later epoch: waiting for that would be a deadlock.
            let previous = want.after.and_then(|old| catch_up.wants.get(&old));
            if previous.is_some_and(|previous| previous.topic.began_before(&want.topic)) {
                continue;
            }
            let verdict = self.plan_want(id, want);
            if !matches!(verdict, Verdict::Unchanged) {
                verdicts.push((*topic, verdict));
            }
        }
        for (topic, verdict) in verdicts {
            match verdict {
                Verdict::Unchanged => {}
                Verdict::Continue(at) => _ = catch_up.advance(topic, at),
                Verdict::Done => _ = catch_up.wants.remove(&topic),
                Verdict::Refused => self.departures.close_as_slow(id, self.conns[id].session),
            }
        }
    }

    fn plan_want(&mut self, id: ConnId, want: &Want) -> Verdict {
        if matches!(want.at, At::After { .. }) && want.introduce == Introduce::No {
            return Verdict::Unchanged;
        }
        if fault::planted(Fault::WantWithoutProgress) && matches!(want.at, At::Image(_)) {
            return Verdict::Unchanged;
        }
        let resolved = self.resolve(&self.conns[id], want.topic.name());
        // Unsubscribing removes the wants: without a subscription there is nothing to send.
        let Some(resolved) = resolved else { return Verdict::Done };
        match self.plan_introduction(want, resolved.step) {
            At::After { .. } => Verdict::Unchanged,
            At::From(from) => self.plan_history(id, want, &resolved, from),
            At::Image(lacks) => self.plan_image(want, &resolved, lacks),
        }
    }

    /// Plans the `topic` message, if one is needed. Returns what is wanted after it.
    fn plan_introduction(&mut self, want: &Want, step: Step) -> At {
        let topic = &want.topic;
        match want.introduce {
            Introduce::No => want.at,
            Introduce::Begins => {
                let frame = begins_frame(topic, interval(step, topic));
                self.plan.push(frame, topic.id(), want.at, PieceKind::Introduction(None));
                want.at
            }
            Introduce::Fresh(from) => {
                let state = topic.lock();
                let feed_position = self.engine.feed.appended_bytes();
                let (mut start, mut then) = start(&state, topic, from, step > 0 && topic.has_image(), feed_position);
                let (seq, oldest) = (state.seq(), state.history.oldest());
                if state.closed && matches!(then, At::After { .. }) {
                    // Its `closed` may already have been skipped for this want.
                    then = At::From(seq + 1);
                }
                if state.is_released(topic) {
                    (start, then) = (Start::Live, At::From(seq + 1));
                }
                drop(state);
                let mut payload = Vec::new();
                message::topic(
                    &mut payload,
                    &TopicStart {
                        topic: topic.name(),
                        kind: Some(topic.kind()),
                        epoch: Some(topic.epoch()),
                        seq,
                        oldest,
                        start,
                        conflate_ms: interval(step, topic),
                    },
                );
                self.plan.text(&payload, topic.id(), then, PieceKind::Introduction(Some(seq)));
                then
            }
        }
    }

    /// Plans every retained update from `from` on, or the image if that replaces them.
    fn plan_history(&mut self, id: ConnId, want: &Want, resolved: &Resolved, from: u64) -> Verdict {
        let topic = &want.topic;
        let conflated = resolved.step > 0 && topic.has_image();
        let state = topic.lock();
        let feed_position = self.engine.feed.appended_bytes();
        let (seq, oldest) = (state.seq(), state.history.oldest());
        let (closed, released) = (state.closed, state.is_released(topic));
        // An ended topic is wanted until its `closed` is sent as well.
        let done = if closed { At::From(seq + 1) } else { At::After { seq, feed_position } };
        let dropped = from < oldest;
        if dropped && is_refused(want, resolved) {
            return Verdict::Refused;
        }
        let is_smaller = || state.history.bytes_from(from).is_some_and(|bytes| state.image_bytes() < bytes);
        let may_merge = self.conns[id].behind && resolved.on_slow == OnSlow::Conflate;
        let merged =
            topic.has_image() && !released && from <= seq && (conflated || dropped || (may_merge && is_smaller()));
        if merged {
            drop(state);
            return self.plan_image(want, resolved, from);
        }
        if dropped {
            let then = if oldest > seq { done } else { At::From(oldest) };
            self.plan.gap(topic, from, oldest - 1, want.reason, then);
        }
        let first = from.max(oldest);
        for (next, kept) in (first..).zip(state.history.since(first)) {
            let then = if next == seq { done } else { At::From(next + 1) };
            self.plan.push(kept.frame.clone(), topic.id(), then, PieceKind::Update);
            if self.plan.is_full() {
                return Verdict::Unchanged;
            }
        }
        drop(state);
        if closed {
            self.plan.closed(topic, seq, feed_position);
        } else if from > seq && want.introduce == Introduce::No {
            // Nothing is lacking: only what is already in the feed must not be sent twice. But an introduction in this
            // plan has to be sent first.
            return Verdict::Continue(At::After { seq, feed_position });
        }
        Verdict::Unchanged
    }

    /// Plans the newest state, for a client that lacks everything from `lacks` on.
    fn plan_image(&mut self, want: &Want, resolved: &Resolved, lacks: u64) -> Verdict {
        let topic = &want.topic;
        let Some(now) = topic.snapshot() else {
            // The topic ended and has dropped what it held: the loss is reported.
            let (seq, feed_position) = (topic.lock().seq(), self.engine.feed.appended_bytes());
            if lacks <= seq && is_refused(want, resolved) {
                return Verdict::Refused;
            }
            if lacks <= seq {
                self.plan.gap(topic, lacks, seq, want.reason, At::From(seq + 1));
            }
            self.plan.closed(topic, seq, feed_position);
            return Verdict::Unchanged;
        };
        let (seq, closed) = (now.seq, now.closed);
        if !now.is_encoded() {
            self.work.charge_bytes(now.tree.bytes());
        }
        let frame = topic.image_frame(&now, self.engine.limits.images_encoded_bytes_max());
        let feed_position = self.engine.feed.appended_bytes();
        let step = if topic.has_image() { resolved.step } else { 0 };
        let is_last = !closed || fault::strikes(Fault::ClosedForgotten);
        let done = if is_last { At::After { seq, feed_position } } else { At::From(seq + 1) };
        let state = (step > 0 && now.has_patches).then(|| now.tree.clone());
        self.plan.push(frame, topic.id(), done, PieceKind::Image { step, state });
        if !is_last && !self.plan.is_full() {
            self.plan.closed(topic, seq, feed_position);
        }
        Verdict::Unchanged
    }
}

/// Returns whether the client asked to be disconnected rather than lose updates that are no longer retained.
fn is_refused(want: &Want, resolved: &Resolved) -> bool {
    resolved.on_slow == OnSlow::Disconnect && want.reason == GapReason::Slow
}

/// Work to visit a want and to plan its messages, in steps.
const WANT_STEPS: usize = 4;
