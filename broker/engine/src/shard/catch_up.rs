//! Catching up: what a connection gets from the topic itself, because it just came, came back, or fell out of step.
//!
//! One small entry per topic says what is wanted. When the connection's turn comes, the entry is turned into frames that
//! the topic holds anyway (its image, its history), as many as the turn allows; what the socket took moves the entry on.
//! At the end it becomes `After`: the feed entries up to there are swallowed, and it goes once the shard has read past
//! them. Nobody is stopped for it.

use std::sync::Arc;

use broker_protocol::codes::CloseReason;
use broker_protocol::frame::Frame;
use broker_protocol::message::{self, GapReason, Start, TopicStart};
use broker_protocol::request::{CONFLATE_LADDER_MS, From, OnSlow};

use super::connection::{CatchUp, Step, Target};
use super::deliver::Resolved;
use super::{ConnId, GroupId, Shard};
use crate::clock::Now;
use crate::engine::begins_frame;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId, TopicState};

#[cfg(test)]
mod tests;

/// Topics that a walk introduces in one turn at most.
const WALK_TOPICS_PER_TURN: usize = fault::bound(64, 2);
/// Names that a walk looks at in one turn at most.
const WALK_STEPS_PER_TURN: usize = fault::bound(512, 2);
/// Wants that are looked at in one turn at most.
const WANTS_PER_TURN: usize = fault::bound(256, 2);

/// What a connection still lacks of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Its image, then what follows.
    Image,
    /// Everything from this `seq` on, as far as it is retained.
    From(u64),
    /// Nothing: feed entries up to `seq` are not for it; over once the shard has read the feed up to `place`.
    After { seq: u64, place: u64 },
}

/// Whether a `topic` message has to come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Introduce {
    No,
    /// As to one who was there before the topic began.
    Begins,
    /// As to one who subscribed with this `from`, by a pattern.
    Fresh(From),
}

#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) topic: Arc<Topic>,
    pub(crate) at: At,
    pub(crate) introduce: Introduce,
    /// The ended incarnation of the same name that comes first.
    pub(crate) after: Option<TopicId>,
    /// Why something may be missing.
    pub(crate) reason: GapReason,
    /// The subscription said `on_slow: "disconnect"`.
    pub(crate) strict: bool,
    /// The feed's length when it was wanted: entries up to there are part of what was asked for, and do not count as
    /// waiting.
    pub(crate) since: u64,
}

impl Want {
    /// The topic ended and the client was told; what is left is to swallow the feed's `closed`.
    pub(crate) fn is_over(&self) -> bool {
        let At::After { seq, .. } = self.at else { return false };
        let state = self.topic.lock();
        state.closed && seq > state.seq()
    }
}

/// A pattern's topics, introduced one after the other in the order of their names.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) group: GroupId,
    /// The last name dealt with.
    pub(crate) at: Option<Arc<str>>,
    pub(crate) from: From,
    /// Only topics that have an image: the connection knows all of them, but at another interval.
    pub(crate) images_only: bool,
    pub(crate) pattern: broker_protocol::pattern::Pattern,
}

impl Walk {
    /// Whether the walk will come to this topic.
    pub(crate) fn will_introduce(&self, topic: &Topic) -> bool {
        let name = &**topic.name();
        self.at.as_deref().is_none_or(|at| name > at)
            && (topic.has_image() || !self.images_only)
            && self.pattern.matches(name)
    }
}

/// A frame of a turn's plan, and what its going out does.
pub(crate) struct Piece {
    pub(crate) frame: Frame,
    /// Bytes of it that are in the scratch buffer.
    pub(crate) included: usize,
    pub(crate) topic: TopicId,
    /// The want from then on.
    pub(crate) at: At,
    pub(crate) what: PieceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Introduction,
    Update,
    Image { step: Step },
    Gap { updates: u64 },
    Closed,
}

/// How a subscription to a topic begins: what its answer says, and what is wanted then.
pub(crate) fn start(state: &TopicState, topic: &Topic, from: From, conflated: bool, place: u64) -> (Start, At) {
    let seq = state.seq();
    let live = At::After { seq, place };
    match from {
        _ if conflated => (Start::Image, At::Image),
        From::Image if topic.has_image() => (Start::Image, At::Image),
        From::Image | From::Live => (Start::Live, live),
        From::After(ordinal) => match state.history.seq_at(ordinal) {
            // It began since.
            Some(0) if topic.has_image() => (Start::Image, At::Image),
            Some(0) if seq > 0 => (Start::History, At::From(1)),
            Some(has) if has == seq => (Start::Resumed, live),
            Some(has) => (Start::Resumed, At::From(has + 1)),
            None if topic.has_image() => (Start::Reset, At::Image),
            // Which of them the client has is not known: all that are not retained may be missing.
            None => (Start::Reset, At::From(1)),
        },
        From::Last(_) if state.has_patches => (Start::Image, At::Image),
        From::Last(updates) => {
            let first = state.history.oldest().max((seq + 1).saturating_sub(updates));
            if first > seq { (Start::Live, live) } else { (Start::History, At::From(first)) }
        }
    }
}

impl<S: Sink> Shard<S> {
    /// Plans what the wants and walks of a connection put behind what is in the scratch buffer already.
    pub(super) fn plan_catch_up(&mut self, id: ConnId, catch_up: &mut CatchUp) {
        self.advance_walks(id, catch_up);
        let mut left = WANTS_PER_TURN;
        let cursor = catch_up.cursor;
        let order = catch_up.wants.range(cursor..).chain(catch_up.wants.range(..cursor));
        for (topic, want) in order {
            if self.is_full() || left == 0 {
                catch_up.cursor = *topic;
                break;
            }
            left -= 1;
            // A number may by now be a later incarnation's: waiting for that would be waiting for each other.
            let previous = want.after.and_then(|old| catch_up.wants.get(&old));
            if previous.is_some_and(|previous| previous.topic.began_before(&want.topic)) {
                continue;
            }
            self.plan_want(id, want);
        }
    }

    fn plan_want(&mut self, id: ConnId, want: &Want) {
        if matches!(want.at, At::After { .. }) && want.introduce == Introduce::No {
            return;
        }
        let topic = &want.topic;
        let resolved = self.by_name.get(topic.name()).and_then(|local| self.resolve(&self.conns[id], *local));
        // Unsubscribing takes the wants along: without a subscription there is nothing to say.
        let Some(Resolved { step, on_slow, .. }) = resolved else { return };
        let conflated = step > 0 && topic.has_image();
        let behind = self.conns[id].behind;
        let mut at = want.at;
        match want.introduce {
            Introduce::No => {}
            Introduce::Begins => {
                let frame = begins_frame(topic, interval(step, topic));
                self.piece(frame, topic.id(), at, PieceKind::Introduction);
            }
            Introduce::Fresh(from) => {
                let state = topic.lock();
                let place = self.engine.feed.appended_bytes();
                let (start, mut then) = start(&state, topic, from, conflated, place);
                let (seq, oldest) = (state.seq(), state.history.oldest());
                if state.closed && matches!(then, At::After { .. }) {
                    // Its `closed` may have been swallowed for this want already.
                    then = At::From(seq + 1);
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
                at = then;
                self.piece(Frame::text(&payload), topic.id(), at, PieceKind::Introduction);
            }
        }
        let mut image = at == At::Image;
        if let At::From(from) = at {
            let state = topic.lock();
            let place = self.engine.feed.appended_bytes();
            let (seq, oldest) = (state.seq(), state.history.oldest());
            let closed = state.closed;
            // What ended is wanted until its `closed` went out as well.
            let done = if closed { At::From(seq + 1) } else { At::After { seq, place } };
            let pending = state.history.bytes_from(from);
            let dropped = from < oldest;
            let merged = topic.has_image()
                && from <= seq
                && (conflated
                    || dropped
                    || (behind
                        && on_slow == OnSlow::Conflate
                        && pending.is_some_and(|bytes| state.image_bytes() < bytes)));
            if dropped && on_slow == OnSlow::Disconnect && want.reason == GapReason::Slow {
                self.to_close.push((id, CloseReason::Slow));
                return;
            }
            if merged {
                image = true;
            } else {
                if dropped {
                    let mut payload = Vec::new();
                    let to = oldest - 1 - u64::from(from + 1 < oldest && fault::strikes(Fault::ShortGap));
                    message::gap(&mut payload, topic.name(), from, to, want.reason);
                    let then = if oldest > seq { done } else { At::From(oldest) };
                    self.piece(Frame::text(&payload), topic.id(), then, PieceKind::Gap { updates: oldest - from });
                }
                let first = from.max(oldest);
                for (next, kept) in (first..).zip(state.history.since(first)) {
                    let then = if next == seq { done } else { At::From(next + 1) };
                    self.piece(kept.frame.clone(), topic.id(), then, PieceKind::Update);
                    if self.is_full() {
                        return;
                    }
                }
                drop(state);
                if closed {
                    self.plan_closed(topic, seq, place);
                } else if from > seq && want.introduce == Introduce::No {
                    // Nothing is lacking: only what is in the feed already must not come twice. But an introduction that
                    // is in this plan has to go out first.
                    self.pieces_none(id, topic.id(), At::After { seq, place });
                }
                return;
            }
        }
        if image {
            // An update without an image cannot be: state and patch topics have one from their first `seq`.
            let Some(now) = topic.snapshot() else { return };
            let (seq, closed, frame) = (now.seq, now.closed, topic.image_frame(&now));
            let place = self.engine.feed.appended_bytes();
            let step = if conflated { step } else { 0 };
            let said = !closed || fault::strikes(Fault::ClosedForgotten);
            let done = if said { At::After { seq, place } } else { At::From(seq + 1) };
            self.piece(frame, topic.id(), done, PieceKind::Image { step });
            if !said && !self.is_full() {
                self.plan_closed(topic, seq, place);
            }
        }
    }

    /// Whether the plan of this turn is at its end: the last frame may stand in it only in part.
    fn is_full(&self) -> bool {
        self.scratch.len() >= self.engine.limits.turn_bytes_max
    }

    fn plan_closed(&mut self, topic: &Topic, seq: u64, place: u64) {
        let mut payload = Vec::new();
        message::closed(&mut payload, topic.name());
        self.piece(Frame::text(&payload), topic.id(), At::After { seq: seq + 1, place }, PieceKind::Closed);
    }

    /// A want that is fulfilled without a frame.
    fn pieces_none(&mut self, id: ConnId, topic: TopicId, at: At) {
        self.moved.push((id, topic, at));
    }

    fn piece(&mut self, frame: Frame, topic: TopicId, at: At, what: PieceKind) {
        let room = self.engine.limits.turn_bytes_max.saturating_sub(self.scratch.len());
        // A frame is begun even where little room is left, lest a large one never comes.
        let included = frame.len().min(room.max(1024));
        self.scratch.extend_from_slice(&frame.bytes()[..included]);
        self.pieces.push(Piece { frame, included, topic, at, what });
    }

    /// Reads the feed up to date before a walk goes on in the directory. What ended before is forgotten by then, so that
    /// nothing comes of a topic that the walk passes by because it is not in the directory any more.
    pub(super) fn read_before_walks(&mut self, id: ConnId, now: Now) {
        if self.conns[id].catch_up.as_ref().is_none_or(|catch_up| catch_up.walks.is_empty()) {
            return;
        }
        let removals = self.engine.directory.read().removals();
        let end = self.engine.feed.appended_bytes();
        let behind = self.reader.bytes() < end && self.take_in(now) && self.reader.bytes() < end;
        self.walks_as_of = (!behind).then_some(removals);
    }

    /// Makes wants of the next topics of a connection's walks.
    fn advance_walks(&mut self, id: ConnId, catch_up: &mut CatchUp) {
        let mut topics = WALK_TOPICS_PER_TURN.saturating_sub(catch_up.wants.len());
        let mut steps = WALK_STEPS_PER_TURN;
        while topics > 0
            && steps > 0
            && let Some(walk) = catch_up.walks.last_mut()
        {
            let next = {
                let names = self.engine.directory.read();
                if self.walks_as_of != Some(names.removals()) {
                    break;
                }
                names.next_match(&walk.pattern, walk.at.as_deref(), &mut steps).map(|topic| topic.cloned())
            };
            match next {
                Ok(Some(topic)) => {
                    topics -= 1;
                    steps = steps.saturating_sub(1);
                    walk.at = Some(topic.name().clone());
                    let walk = walk.clone();
                    self.introduce(id, catch_up, &walk, topic);
                }
                Ok(None) => {
                    catch_up.walks.pop();
                }
                Err(name) => walk.at = Some(name),
            }
        }
    }

    fn introduce(&mut self, id: ConnId, catch_up: &mut CatchUp, walk: &Walk, topic: Arc<Topic>) {
        if !topic.has_image() && walk.images_only {
            return;
        }
        // A walk in another pattern's stead goes where that one would have gone.
        if !self.groups[walk.group].pattern.matches(topic.name()) {
            return;
        }
        // Where two walks of a pattern come by, the later one does it.
        let others = catch_up.walks.split_last().map_or(&[][..], |(_, others)| others);
        if others.iter().any(|other| other.group == walk.group && other.will_introduce(&topic)) {
            return;
        }
        let local_id = self.local(topic.name());
        self.link_all(local_id);
        let local = &self.locals[local_id];
        match &local.topic {
            None => self.attach(local_id, topic.clone()),
            // The shard follows another incarnation: it will read of that one's end and of this one's beginning.
            Some(held) if !Arc::ptr_eq(held, &topic) => return,
            Some(_) => {}
        }
        let Some(resolved) = self.resolve(&self.conns[id], local_id) else { return };
        // Another subscription, more specific, has it already.
        if resolved.target != Target::Pattern(walk.group) {
            return;
        }
        let after = self.locals[local_id].unfinished(catch_up, &topic);
        let want = Want {
            at: At::Image,
            introduce: Introduce::Fresh(walk.from),
            after,
            reason: GapReason::Expired,
            strict: resolved.on_slow == OnSlow::Disconnect,
            since: self.engine.feed.appended_bytes(),
            topic: topic.clone(),
        };
        catch_up.wants.insert(topic.id(), want);
    }
}

/// The interval in ms that a step means for this topic: events are never merged.
pub(super) fn interval(step: Step, topic: &Topic) -> u32 {
    if topic.has_image() { ladder(step) } else { 0 }
}

/// The interval in ms of a step.
pub(super) fn ladder(step: Step) -> u32 {
    match step {
        0 => 0,
        step => CONFLATE_LADDER_MS[usize::from(step) - 1],
    }
}

/// The step of an interval, which is on the ladder.
pub(super) fn step(ms: u32) -> Step {
    match ms {
        0 => 0,
        ms => CONFLATE_LADDER_MS.iter().position(|step| *step >= ms).map_or(12, |at| at as Step + 1),
    }
}
