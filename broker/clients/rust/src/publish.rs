//! What a producer publishes, and the broker's answers.

use std::sync::Arc;

use crate::{ErrorCode, Kind};

/// One update to publish. `data` is JSON text and is carried byte for byte: numbers keep every digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The topic's name.
    pub topic: String,
    /// What the update is; `None` means the topic's own kind, and `event` on a new topic.
    pub kind: Option<Kind>,
    /// The raw JSON text.
    pub data: String,
    /// The update's source, and the number that the source gives it, which grows with each of its updates on the topic.
    /// They make the update safe to send again: see [`Publish::source`].
    pub source: Option<(Arc<str>, u64)>,
    /// When it happened at the source, in microseconds since the UNIX epoch. Subscribers receive it.
    pub source_ts: Option<u64>,
}

impl Publish {
    /// An update of the topic's own kind (`event` on a new topic).
    pub fn new(topic: impl Into<String>, data: impl Into<String>) -> Publish {
        Publish { topic: topic.into(), kind: None, data: data.into(), source: None, source_ts: None }
    }

    /// Something that happened: a trade, a goal. It is never skipped silently.
    pub fn event(topic: impl Into<String>, data: impl Into<String>) -> Publish {
        Publish { kind: Some(Kind::Event), ..Publish::new(topic, data) }
    }

    /// The whole new state: a quote, a scoreboard. A newer state replaces it.
    pub fn state(topic: impl Into<String>, data: impl Into<String>) -> Publish {
        Publish { kind: Some(Kind::State), ..Publish::new(topic, data) }
    }

    /// An RFC 7396 merge patch onto the topic's state: book levels, changed fields.
    pub fn patch(topic: impl Into<String>, data: impl Into<String>) -> Publish {
        Publish { kind: Some(Kind::Patch), ..Publish::new(topic, data) }
    }

    /// Names the source (at most 64 bytes) and its number for this update, which grows per topic. The broker publishes
    /// an update once however often it is sent. So two redundant feeds may both send it, and this client sends it again
    /// after a lost connection leaves open whether it was accepted.
    pub fn source(mut self, source: impl Into<Arc<str>>, source_seq: u64) -> Publish {
        self.source = Some((source.into(), source_seq));
        self
    }

    /// Sets when it happened at the source, in microseconds since the UNIX epoch.
    pub fn source_ts(mut self, source_ts: u64) -> Publish {
        self.source_ts = Some(source_ts);
        self
    }
}

/// The answer to [`Client::publish`](crate::Client::publish).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The topic.
    pub topic: Arc<str>,
    /// The topic's epoch.
    pub epoch: Arc<str>,
    /// The update's sequence number; for a duplicate, the topic's newest.
    pub seq: u64,
    /// Whether the source's update had been published before. It was then not published again.
    pub duplicate: bool,
}

/// The answer to [`Client::publish_batch`](crate::Client::publish_batch).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// How many updates the broker accepted, duplicates included.
    pub accepted: u64,
    /// How many of them had been published before.
    pub duplicates: u64,
    /// The updates that were not accepted: the index in the batch, the code, and the broker's message.
    pub rejected: Vec<(usize, ErrorCode, String)>,
    /// The wait that the broker asks for, in milliseconds, if some were over a rate.
    pub retry_ms: Option<u64>,
}
