//! What a connection still lacks of one topic: a small entry, from which its next frames are planned.

use std::sync::Arc;

use broker_protocol::message::GapReason;
use broker_protocol::request::From;

use super::ready::Token;
use super::wanted::Wanted;
use crate::topic::{Topic, TopicId};

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
    /// What is lacking of a topic that the client knows.
    pub(crate) fn new(topic: Arc<Topic>, at: At, reason: GapReason) -> Self {
        Self {
            topic: Wanted::new(topic),
            at,
            introduce: Introduce::No,
            after: None,
            reason,
            strict: false,
            since: 0,
            ready: None,
            until: 0,
        }
    }

    /// A topic that the client does not know, or has to be told of anew.
    pub(crate) fn introduction(topic: Arc<Topic>, from: From, after: Option<TopicId>) -> Self {
        let introduce = Introduce::Fresh(from);
        Self { introduce, after, since: u64::MAX, ..Self::new(topic, At::Image(1), GapReason::Expired) }
    }

    /// Swallows everything up to the `closed` of a topic that the client was never told of.
    pub(crate) fn swallowing(topic: Arc<Topic>, place: u64) -> Self {
        Self::new(topic, At::After { seq: u64::MAX, place }, GapReason::Expired)
    }

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
