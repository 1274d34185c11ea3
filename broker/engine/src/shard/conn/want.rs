//! What a connection lacks of one topic: a small entry, from which its next frames are planned.

use std::ops::Deref;
use std::sync::Arc;

use broker_protocol::message::GapReason;
use broker_protocol::request::From;

use super::ready::Token;
use crate::topic::{Topic, TopicId};

/// What a connection lacks of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Its image, then what follows; the client lacks everything from this `seq` on (1: it has nothing).
    Image(u64),
    /// Everything from this `seq` on, as far as it is retained.
    From(u64),
    /// Nothing: feed entries up to `seq` are not for it; over once the shard has read the feed up to `feed_position`.
    After { seq: u64, feed_position: u64 },
}

impl At {
    /// This, or `earlier` if that reaches further back.
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
    /// As for a client that subscribed before the topic began.
    Begins,
    /// As for a client that subscribed to a pattern with this `from`.
    Fresh(From),
}

#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) topic: Wanted,
    pub(crate) at: At,
    pub(crate) introduce: Introduce,
    /// The ended incarnation of the same name that has to be finished first.
    pub(crate) after: Option<TopicId>,
    /// The reason to give for a gap.
    pub(crate) reason: GapReason,
    /// The subscription has `on_slow: "disconnect"`.
    pub(crate) strict: bool,
    /// The feed's length when the want was created: entries up to there are part of what was asked for, and do not
    /// count as waiting.
    pub(crate) since: u64,
    /// Held until the topic has begun for the connection: until everything up to `until`, or what replaces it, was
    /// sent.
    pub(crate) ready: Option<Token>,
    pub(crate) until: u64,
}

/// What a want costs in bytes, with its share of the map that holds it.
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

    /// A topic that the client does not know, or has to be introduced to again.
    pub(crate) fn introduction(topic: Arc<Topic>, from: From, after: Option<TopicId>) -> Self {
        let introduce = Introduce::Fresh(from);
        Self { introduce, after, since: u64::MAX, ..Self::new(topic, At::Image(1), GapReason::Expired) }
    }

    /// Swallows everything up to the `closed` of a topic that was never introduced to the client.
    pub(crate) fn swallowing(topic: Arc<Topic>, feed_position: u64) -> Self {
        Self::new(topic, At::After { seq: u64::MAX, feed_position }, GapReason::Expired)
    }

    /// Called when something of it was sent: once that is all that the topic began with, drops the token.
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

    /// Whether the topic ended and the client was sent that; only the feed's `closed` is left to be swallowed.
    pub(crate) fn is_over(&self) -> bool {
        let At::After { seq, .. } = self.at else { return false };
        let state = self.topic.lock();
        state.closed && seq > state.seq()
    }
}

/// A topic of which a connection wants something: what it holds is kept for that even when it ends.
#[derive(Debug)]
pub(crate) struct Wanted(Arc<Topic>);

impl Wanted {
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        topic.begin_wanting(WANT_BYTES);
        Self(topic)
    }
}

impl Clone for Wanted {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Deref for Wanted {
    type Target = Arc<Topic>;

    fn deref(&self) -> &Arc<Topic> {
        &self.0
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.end_wanting(WANT_BYTES);
    }
}
