//! What a subscription yields: the broker's messages as typed events, each with everything that is needed to check it.

use std::sync::Arc;

use crate::violation::Violation;
use crate::{Data, ErrorCode, Kind};

/// What follows the start of a topic's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// The update after [`TopicStart::seq`].
    Live,
    /// An image of [`TopicStart::seq`] or later.
    Image,
    /// Retained updates through [`TopicStart::seq`], then the updates after it.
    History,
    /// The update after the last one that this client received, and then all others without a hole.
    Resumed,
    /// The stream does not connect to what the client had any more. A `state` or `patch` topic starts with an image. An
    /// `event` topic starts with what is retained, after a gap if something was lost.
    Reset,
}

/// The start of a topic's stream, or a new start. If the `epoch` is another one than before, forget the state you had.
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
    /// The oldest retained update, or `seq + 1` if none is retained.
    pub oldest: u64,
    /// What follows.
    pub start: Start,
    /// The conflation interval that the broker uses, in milliseconds; 0 means every update.
    pub conflate_ms: u32,
}

/// Why updates are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// This client did not keep up.
    Slow,
    /// They are not retained any more.
    Expired,
    /// They were published while the connection was lost, and a pattern's subscription starts anew instead of resuming.
    Disconnected,
    /// A reason that this version does not know.
    Other,
}

/// One event of a subscription. Per topic and epoch the events connect: an update's number is exactly one above the
/// last, unless an image replaces what is missing or a gap names it. The client checks this, and reports a breach as an
/// [`Event::Violation`].
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
        /// When the broker accepted that update, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, in microseconds since the UNIX epoch, if the producer gave that time.
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
        /// The first of several updates that this one replaces, on a conflated topic.
        from: Option<u64>,
        /// When the broker accepted it, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, in microseconds since the UNIX epoch, if the producer gave that time.
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
        /// The first of several updates that this one replaces, on a conflated topic.
        from: Option<u64>,
        /// When the broker accepted it, in microseconds since the UNIX epoch.
        ts: u64,
        /// When it happened at its source, in microseconds since the UNIX epoch, if the producer gave that time.
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
    /// The topic ended. The subscription did not: an [`Event::Topic`] with another epoch follows when the topic is
    /// published again.
    Closed {
        /// The topic.
        topic: Arc<str>,
    },
    /// The picture is complete: every topic that existed when the subscription was made has begun, with its image, its
    /// history or whatever else it starts with. This comes once, after the last of those, if the subscription asked for
    /// it with [`ready`](crate::SubscribeBuilder::ready).
    Ready,
    /// The broker refused an entry of this subscription: at once, or when the client subscribed again after a
    /// reconnect. With [`retry`](EntryError::retry) the entry stays part of the subscription, and the client asks for
    /// it again until the broker accepts it; the refusal is reported once.
    Refused(EntryError),
    /// The broker broke its promise of continuity for a topic. The stream continues from here; what was in between is
    /// unknown.
    Violation {
        /// The topic.
        topic: Arc<str>,
        /// What was expected, and what came.
        violation: Violation,
    },
}

impl Event {
    /// The topic that the event is about. For a refused entry this is the entry, which may be a pattern. For
    /// [`Event::Ready`], which is about all topics, it is empty.
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
    /// The broker's message.
    pub message: String,
    /// Whether the same entry may work later.
    pub retry: bool,
}
