//! Every quantity of the engine that could grow has a name, a unit and a bound here.

use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;

/// How much of a topic is kept for clients that come back, fall behind or ask for history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retain {
    /// Updates kept at most.
    pub updates: u64,
    /// Bytes of frames kept at most; the newest update is kept whatever its size.
    pub bytes: u64,
    /// Age in milliseconds beyond which an update is dropped; 0 keeps it whatever its age.
    pub ms: u64,
}

/// What the configuration specifies for the topics that a pattern matches. The first rule that matches a topic applies.
#[derive(Clone, Debug)]
pub struct TopicRule {
    /// The topics that it applies to.
    pub pattern: Pattern,
    /// Their kind, whatever their first publish says; a publish of a kind that does not fit is `kind_mismatch`.
    pub kind: Option<Kind>,
    /// How much of them is kept.
    pub retain: Retain,
}

/// The engine's settings: those shared by all shards and those of each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of live topics; a publish that would begin another is refused with `limit`.
    pub topics_max: u64,
    /// Maximum bytes of one topic's image; a publish that would exceed it is refused with `too_large`.
    pub image_bytes: u64,
    /// Maximum bytes of all images together; a publish that would exceed it is refused with `limit`.
    pub images_bytes_max: u64,
    /// Maximum bytes of images that are kept encoded; above it, the largest is dropped and encoded again when needed.
    pub images_encoded_bytes_max: u64,
    /// Maximum bytes of frames that sockets took a part of; above it, the connection with the largest is closed.
    pub images_partial_bytes_max: u64,
    /// Maximum bytes of the sources that topics remember; a publish that would exceed it is refused with `limit`.
    pub sources_bytes_max: u64,
    /// Maximum bytes of what connections still want from topics; above it, the connection that wants most is closed.
    pub behind_bytes_max: u64,
    /// Maximum bytes of unread answers, incomplete messages and unsent Server-Sent Events; above it, the connection
    /// with most is closed.
    pub buffers_bytes_max: u64,
    /// Maximum bytes of names without a topic that are subscribed to; an entry that would exceed it is refused with
    /// `limit`.
    pub names_waited_bytes_max: u64,
    /// Maximum bytes of subscriptions and their patterns; an entry that would exceed it is refused with `limit`.
    pub subscriptions_bytes_max: u64,
    /// Maximum bytes of what is remembered of publishers; above it, the oldest are forgotten.
    pub publishers_bytes_max: u64,
    /// How much is kept of a topic that no rule matches.
    pub retain: Retain,
    /// Maximum bytes of all histories together; above it, the topic with the largest history drops its oldest updates.
    pub retain_bytes_max: u64,
    /// Rules for topics by pattern.
    pub topics: Vec<TopicRule>,
    /// Maximum number of subscriptions of one connection.
    pub subscriptions: u64,
    /// Bytes that may wait for a connection before it counts as behind.
    pub behind_bytes: u64,
    /// Maximum bytes handed to a socket in one write.
    pub turn_bytes_max: usize,
    /// Bytes of answers that a connection may leave unread before the broker stops reading it.
    pub answers_bytes_max: usize,
    /// Bytes of a shard's ring.
    pub ring_bytes: usize,
    /// Minimum time between two writes to one connection, in microseconds; 0 writes at once.
    pub write_gap_us: u64,
    /// Silence after which a `heartbeat` is sent, and the interval of WebSocket pings, in milliseconds.
    pub heartbeat_ms: u32,
    /// How long a connection may take no bytes while something waits for it, in milliseconds.
    pub stall_ms: u32,
    /// How long a closing connection may take to accept its close frame and to hang up, in milliseconds.
    pub close_ms: u32,
    /// Bytes that the slowest shard may lag behind the feed's tail before publishers wait.
    pub feed_bytes_max: u64,
    /// Size of the largest message taken from a client, in bytes; sent in `hello`.
    pub message_bytes: u64,
    /// How long a topic may go without a publish before it ends, in milliseconds; 0 means for ever.
    pub topic_idle_ms: u64,
    /// The id that corresponds to ordinal 0: the start of the broker in microseconds since the UNIX epoch, so that no
    /// two runs share an id.
    pub order_base: u64,
    /// The ordinal at which ids begin: with a journal, an earlier generation had those before it.
    pub order_first: u64,
    /// The time of `order_base` on the monotonic clock.
    pub order_base_mono_us: u64,
    /// How long before that time ids began, in microseconds: with a journal, in an earlier run.
    pub order_age_us: u64,
    /// Whether quotas count what exceeds them, and refuse nothing.
    pub quota_dry_run: bool,
    /// The server's name and version, sent in `hello`.
    pub server: String,
    /// The broker's name, sent in `hello`, if it is one of several that share a journal.
    pub node: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            topics_max: 1_000_000,
            image_bytes: 1 << 20,
            images_bytes_max: 1 << 30,
            images_encoded_bytes_max: 1 << 29,
            images_partial_bytes_max: 256 << 20,
            sources_bytes_max: 64 << 20,
            behind_bytes_max: 32 << 20,
            buffers_bytes_max: 256 << 20,
            names_waited_bytes_max: 64 << 20,
            subscriptions_bytes_max: 256 << 20,
            publishers_bytes_max: 8 << 20,
            retain: Retain { updates: 1024, bytes: 1 << 20, ms: 0 },
            retain_bytes_max: 1 << 30,
            topics: Vec::new(),
            subscriptions: 1024,
            behind_bytes: 65_536,
            turn_bytes_max: 65_536,
            answers_bytes_max: 262_144,
            ring_bytes: 8 << 20,
            write_gap_us: 0,
            heartbeat_ms: 25_000,
            stall_ms: 60_000,
            close_ms: 1_000,
            feed_bytes_max: 64 << 20,
            message_bytes: 65_536,
            topic_idle_ms: 0,
            order_base: 0,
            order_first: 0,
            order_base_mono_us: 0,
            order_age_us: 0,
            quota_dry_run: false,
            server: concat!("tickcast/", env!("CARGO_PKG_VERSION")).to_owned(),
            node: None,
        }
    }
}
