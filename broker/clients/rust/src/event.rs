//! What a subscription yields: the broker's messages as typed events, each with everything needed to check it.

use std::sync::Arc;

use crate::continuity::Violation;
use crate::{Data, ErrorCode, Kind};

/// What follows the start of a topic's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// The update after [`TopicStart::seq`].
    Live,
    /// An image of [`TopicStart::seq`] or later.
    Image,
    /// Retained updates through [`TopicStart::seq`], then on.
    History,
    /// The update after the last one that this client got, then on without a hole.
    Resumed,
    /// What the client had does not connect any more: an image of a `state` or `patch` topic; of an `event` topic what is
    /// retained, with a gap before it where something was lost.
    Reset,
}

/// A topic's stream starts, or starts anew. Another `epoch` than before means: forget what you had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStart {
    /// The topic.
    pub topic: Arc<str>,
    /// Its kind; `None` while it waits for its first publish.
    pub kind: Option<Kind>,
    /// Its epoch; `None` while it waits for its first publish.
    pub epoch: Option<Arc<str>>,
    /// The topic's newest update when the subscription took effect.
    pub seq: u64,
    /// The oldest retained update (`seq + 1` where none is).
    pub oldest: u64,
    /// What follows.
    pub start: Start,
    /// The interval that the broker uses; 0 means every update.
    pub conflate_ms: u32,
}

/// Why updates are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// This client did not keep up.
    Slow,
    /// They are not retained any more.
    Expired,
    /// The connection was lost while they came, and a pattern's subscription starts anew instead of resuming.
    Disconnected,
    /// A reason that this version does not know.
    Other,
}

/// One event of a subscription. Per topic and epoch the events connect: an update follows what came before by exactly
/// one, unless an image replaces or a gap names what is missing. The client checks that; where it does not hold there
/// is a [`Event::Violation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A topic's stream starts, or starts anew.
    Topic(TopicStart),
    /// The whole state at `seq`; it replaces everything before.
    Image {
        /// The topic.
        topic: Arc<str>,
        /// Its epoch.
        epoch: Arc<str>,
        /// The newest update in it.
        seq: u64,
        /// When the broker took that update in, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, where the producer said so.
        source_ts: Option<u64>,
        /// The state.
        data: Data,
    },
    /// An update of an `event` topic, or a whole new state.
    Update {
        /// The topic.
        topic: Arc<str>,
        /// [`Kind::Event`] or [`Kind::State`].
        kind: Kind,
        /// Its number.
        seq: u64,
        /// Where it stands for several (a conflated topic): the first of them.
        from: Option<u64>,
        /// When the broker took it in, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, where the producer said so.
        source_ts: Option<u64>,
        /// The data as published.
        data: Data,
    },
    /// An RFC 7396 merge patch onto the state.
    Patch {
        /// The topic.
        topic: Arc<str>,
        /// Its number.
        seq: u64,
        /// Where it stands for several (a conflated topic): the first of them.
        from: Option<u64>,
        /// When the broker took it in, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, where the producer said so.
        source_ts: Option<u64>,
        /// The patch.
        data: Data,
    },
    /// The updates `from` to `to` are lost to this subscription.
    Gap {
        /// The topic.
        topic: Arc<str>,
        /// The first lost update.
        from: u64,
        /// The last lost update.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// The topic ended. The subscription did not: a [`Event::Topic`] with another epoch follows when it is published again.
    Closed {
        /// The topic.
        topic: Arc<str>,
    },
    /// The picture is whole: every topic of the subscription that was there when it was made has begun, with its image, its
    /// history or whatever else it starts with. It comes once, after the last of that, where the subscription asked for it
    /// with [`ready`](crate::SubscribeBuilder::ready).
    Ready,
    /// The broker refused an entry of this subscription: at once, or when the client subscribed again after a reconnect. With
    /// [`retry`](EntryError::retry) it stays part of the subscription, and the client asks for it again until the broker takes
    /// it; that it is refused is told once.
    Refused(EntryError),
    /// The broker broke its promise of continuity for a topic. The stream goes on from here; what was between is unknown.
    Violation {
        /// The topic.
        topic: Arc<str>,
        /// What was expected, and what came.
        violation: Violation,
    },
}

impl Event {
    /// The topic that the event is about: of a refused entry the entry, which may be a pattern, and nothing of
    /// [`Event::Ready`], which is about all of them.
    pub fn topic(&self) -> &str {
        match self {
            Event::Topic(start) => &start.topic,
            Event::Refused(refused) => &refused.entry,
            Event::Ready => "",
            Event::Image { topic, .. }
            | Event::Update { topic, .. }
            | Event::Patch { topic, .. }
            | Event::Gap { topic, .. }
            | Event::Closed { topic }
            | Event::Violation { topic, .. } => topic,
        }
    }
}

/// An entry of a subscription that the broker refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{entry}\" was refused ({}): {message}", .code.as_str())]
pub struct EntryError {
    /// The topic or pattern.
    pub entry: String,
    /// The broker's code.
    pub code: ErrorCode,
    /// The broker's sentence.
    pub message: String,
    /// Whether the same entry may work later.
    pub retry: bool,
}
