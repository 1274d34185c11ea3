//! Messages to clients: PROTOCOL §4. Each encoder appends the compact JSON payload to a buffer; the WebSocket head is
//! [`crate::frame`]'s.
//!
//! An `id` is echoed as it came ([`crate::request::Id::as_bytes`]); `data` goes in as the compact, checked bytes that
//! it is.

mod answer;
mod http;
mod object;
mod stream;

use crate::codes::ErrorCode;
use crate::kind::Kind;
use crate::request::OnSlow;

pub use answer::{
    authenticated, error, pong, published, published_batch, ready, subscribed, subscriptions, unsubscribed,
};
pub use http::{
    http_error, page_begin, page_end, published_body, published_lines_begin, published_lines_end, rejected_line,
};
pub use stream::{closed, gap, goaway, heartbeat, hello, image, position, topic, update};

/// The limits that `hello` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most subscriptions of a connection.
    pub subscriptions: u64,
    /// The largest message that the broker takes.
    pub message_bytes: u64,
    /// The largest image; a client must be ready for it and 1 KiB around it.
    pub image_bytes: u64,
    /// With more than this waiting for it, a connection is behind.
    pub behind_bytes: u64,
    /// The most updates that a topic retains.
    pub retain_updates: u64,
    /// How long a client may take no byte while there is something for it.
    pub stall_ms: u64,
}

/// What follows the start of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Next is `seq + 1`.
    Live,
    /// An image, then on.
    Image,
    /// Retained updates through `seq`, then on.
    History,
    /// The update after the entry's `seq`, then on without a hole.
    Resumed,
    /// The image, or a gap and everything retained, then on.
    Reset,
}

impl Start {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Start::Live => "live",
            Start::Image => "image",
            Start::History => "history",
            Start::Resumed => "resumed",
            Start::Reset => "reset",
        }
    }
}

/// Where a topic starts for a subscriber: in `subscribed`, and in `topic`.
#[derive(Debug, Clone, Copy)]
pub struct TopicStart<'a> {
    /// Its name.
    pub topic: &'a str,
    /// Its kind, if it was published yet.
    pub kind: Option<Kind>,
    /// Its epoch, if it was published yet.
    pub epoch: Option<&'a str>,
    /// Its newest update.
    pub seq: u64,
    /// Its oldest retained update; `seq + 1` where none is.
    pub oldest: u64,
    /// What follows.
    pub start: Start,
    /// The interval that its updates come at, 0 for every one.
    pub conflate_ms: u32,
}

/// A pattern in `subscribed`.
#[derive(Debug, Clone, Copy)]
pub struct PatternStart<'a> {
    /// The pattern as it was subscribed.
    pub pattern: &'a str,
    /// How many topics it matches now.
    pub matched: u64,
    /// The interval that updates come at, 0 for every one.
    pub conflate_ms: u32,
}

/// An entry of `subscribe` that is wrong.
#[derive(Debug, Clone, Copy)]
pub struct EntryError<'a> {
    /// The entry, topic or pattern.
    pub topic: &'a str,
    /// Whether it was a pattern. The key on the wire is `topic` for both.
    pub is_pattern: bool,
    /// What kind of mistake.
    pub code: ErrorCode,
    /// What is wrong.
    pub message: &'a str,
}

/// A subscription in the answer to `list`.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionRow<'a> {
    /// The topic or pattern.
    pub name: &'a str,
    /// Its interval, 0 for every update.
    pub conflate_ms: u32,
    /// What happens when the client does not keep up.
    pub on_slow: OnSlow,
}

/// Why updates are lost to a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// It did not keep up.
    Slow,
    /// They are no longer retained.
    Expired,
}

impl GapReason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::Slow => "slow",
            GapReason::Expired => "expired",
        }
    }
}
