//! Messages to clients: PROTOCOL §4. Each encoder appends the compact JSON payload to a buffer; the WebSocket head is
//! [`crate::frame`]'s.
//!
//! An `id` is echoed as received ([`crate::request::Id::as_bytes`]); `data` is inserted as its compact, checked bytes.

mod answer;
mod http;
mod object;
mod stream;

use crate::codes::ErrorCode;
use crate::kind::Kind;
use crate::request::OnSlow;

pub use answer::{
    authenticated, error, pong, published, published_batch, rate_limited, ready, subscribed, subscription_error,
    subscriptions, unsubscribed,
};
pub use http::{
    http_error, page_begin, page_end, published_body, published_lines_begin, published_lines_end, rejected_line,
};
pub use stream::{closed, fresh, gap, goaway, heartbeat, hello, image, position, reauth, stale, topic, update};

/// Who greets, as `hello` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server<'a> {
    /// The server's name and version.
    pub version: &'a str,
    /// The broker's name, if it is one of several that share a journal.
    pub node: Option<&'a str>,
}

/// Whether a client has to authenticate, as `hello` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Until then it may do nothing.
    Required,
    /// Until then it may do what is allowed to everybody.
    Optional,
}

impl Auth {
    fn as_str(self) -> &'static str {
        match self {
            Auth::Required => "required",
            Auth::Optional => "optional",
        }
    }
}

/// The limits that `hello` contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of subscriptions of a connection.
    pub subscriptions: u64,
    /// The largest message that the broker accepts, in bytes.
    pub message_bytes: u64,
    /// The largest image in bytes; a client must accept messages of 1 KiB more.
    pub image_bytes: u64,
    /// A connection with more bytes than this waiting for it is behind.
    pub behind_bytes: u64,
    /// Maximum number of updates that a topic retains.
    pub retain_updates: u64,
    /// How long a client may take no bytes while something waits for it, in milliseconds.
    pub stall_ms: u64,
}

/// What follows the start of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The next update is `seq + 1`.
    Live,
    /// An image, then updates.
    Image,
    /// Retained updates through `seq`, then new ones.
    History,
    /// The update after the entry's `seq`, then all others without a gap.
    Resumed,
    /// The image, or a gap and everything retained, then updates.
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

/// Where a topic starts for a subscriber, in `subscribed` and in `topic`.
#[derive(Debug, Clone, Copy)]
pub struct TopicStart<'a> {
    /// Its name.
    pub topic: &'a str,
    /// Its kind, if anything was published to it.
    pub kind: Option<Kind>,
    /// Its epoch, if anything was published to it.
    pub epoch: Option<&'a str>,
    /// The `seq` of its newest update.
    pub seq: u64,
    /// The `seq` of its oldest retained update; `seq + 1` if there is none.
    pub oldest: u64,
    /// What follows.
    pub start: Start,
    /// The interval of its updates in milliseconds; 0 for every update.
    pub conflate_ms: u32,
}

/// A pattern in `subscribed`.
#[derive(Debug, Clone, Copy)]
pub struct PatternStart<'a> {
    /// The pattern as it was subscribed to.
    pub pattern: &'a str,
    /// How many topics it now matches.
    pub matched: u64,
    /// The interval of its updates in milliseconds; 0 for every update.
    pub conflate_ms: u32,
}

/// An invalid entry of `subscribe`.
#[derive(Debug, Clone, Copy)]
pub struct EntryError<'a> {
    /// The entry, topic or pattern.
    pub topic: &'a str,
    /// Whether it was a pattern. The key on the wire is `topic` for both.
    pub is_pattern: bool,
    /// The error code.
    pub code: ErrorCode,
    /// What is wrong.
    pub message: &'a str,
}

/// A subscription in the answer to `list`.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionRow<'a> {
    /// The topic or pattern.
    pub name: &'a str,
    /// Its interval in milliseconds; 0 for every update.
    pub conflate_ms: u32,
    /// What happens when the client does not keep up.
    pub on_slow: OnSlow,
}

/// Why a subscriber loses updates.
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
