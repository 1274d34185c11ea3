//! Catching up: what a connection gets from the topic itself, because it just came, came back, or fell out of step.
//!
//! One small entry per topic says what is wanted. When the connection's turn comes, the entry is turned into frames that
//! the topic holds anyway (its image, its history), as many as the turn allows; what the socket took moves the entry on.
//! At the end it becomes `After`: the feed entries up to there are swallowed, and it goes once the shard has read past
//! them. Nobody is stopped for it.

use broker_protocol::frame::Frame;
use broker_protocol::message::{GapReason, Start};
use broker_protocol::request::{CONFLATE_LADDER_MS, From};

use super::connection::Step;
use super::ready::Token;
use crate::image::Tree;
use crate::topic::{Topic, TopicId, TopicState, Wanted};

#[cfg(test)]
mod tests;

/// What a connection still lacks of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Its image, then what follows; the client lacks what comes from this `seq` on, or has nothing where it is 1.
    Image(u64),
    /// Everything from this `seq` on, as far as it is retained.
    From(u64),
    /// Nothing: feed entries up to `seq` are not for it; over once the shard has read the feed up to `place`.
    After { seq: u64, place: u64 },
}

impl At {
    /// What is lacking where what `earlier` says is lacking too.
    pub(crate) fn reaching_back_to(self, earlier: At) -> At {
        let lacks = |at: At| match at {
            At::Image(seq) | At::From(seq) => Some(seq),
            At::After { .. } => None,
        };
        match (lacks(self), lacks(earlier)) {
            (Some(seq), Some(before)) if before < seq => earlier,
            _ => self,
        }
    }
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
    pub(crate) topic: Wanted,
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
    /// Held until the topic has begun for the connection: until everything up to `until` was sent, or what stands for it.
    pub(crate) ready: Option<Token>,
    pub(crate) until: u64,
}

/// What a want costs, with its share of the map that it stands in.
pub(crate) const WANT_BYTES: u64 = (std::mem::size_of::<Want>() * 3 / 2) as u64;

impl Want {
    /// Something of it was sent: where that was all of what the topic began with, nobody has to wait for it.
    pub(crate) fn has_begun(&mut self) {
        let begun = match self.at {
            At::Image(_) => false,
            At::From(next) => next > self.until,
            At::After { .. } => true,
        };
        if begun {
            self.ready = None;
        }
    }

    /// The topic ended and the client was told; what is left is to swallow the feed's `closed`.
    pub(crate) fn is_over(&self) -> bool {
        let At::After { seq, .. } = self.at else { return false };
        let state = self.topic.lock();
        state.closed && seq > state.seq()
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

#[derive(Clone, Debug)]
pub(crate) enum PieceKind {
    /// The `topic` message, with the `seq` that it says.
    Introduction(Option<u64>),
    Update,
    /// The image, for a subscription at this interval; with its state where differences may follow.
    Image {
        step: Step,
        state: Option<Tree>,
    },
    Gap {
        updates: u64,
    },
    Closed,
}

/// How a subscription to a topic begins: what its answer says, and what is wanted then.
pub(crate) fn start(state: &TopicState, topic: &Topic, from: From, conflated: bool, place: u64) -> (Start, At) {
    let seq = state.seq();
    let live = At::After { seq, place };
    match from {
        _ if conflated => (Start::Image, At::Image(1)),
        From::Image if topic.has_image() => (Start::Image, At::Image(1)),
        From::Image | From::Live => (Start::Live, live),
        From::After(ordinal) => match state.history.seq_at(ordinal) {
            // It began since.
            Some(0) if topic.has_image() => (Start::Image, At::Image(1)),
            Some(0) if seq > 0 => (Start::History, At::From(1)),
            Some(has) if has == seq => (Start::Resumed, live),
            Some(has) => (Start::Resumed, At::From(has + 1)),
            None if topic.has_image() => (Start::Reset, At::Image(1)),
            // Which of them the client has is not known: all that are not retained may be missing.
            None => (Start::Reset, At::From(1)),
        },
        From::Last(_) if state.has_patches => (Start::Image, At::Image(1)),
        From::Last(updates) => {
            let first = state.history.oldest().max((seq + 1).saturating_sub(updates));
            if first > seq { (Start::Live, live) } else { (Start::History, At::From(first)) }
        }
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
