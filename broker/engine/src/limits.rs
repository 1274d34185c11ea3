//! Every quantity of the engine that could grow has a name, a unit and a bound here.

use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;

/// How much of a topic is kept for those who come back, fall behind or ask for history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retain {
    /// Updates kept at most.
    pub updates: u64,
    /// Bytes of frames kept at most; the newest update is kept whatever its size.
    pub bytes: u64,
    /// Age in milliseconds beyond which an update is dropped; 0 keeps it whatever its age.
    pub ms: u64,
}

/// What the configuration says of the topics that a pattern matches. The first rule that matches a topic holds.
#[derive(Clone, Debug)]
pub struct TopicRule {
    /// Which topics.
    pub pattern: Pattern,
    /// The kind they have, whatever their first publish says; a publish of a kind that does not fit is `kind_mismatch`.
    pub kind: Option<Kind>,
    /// What is kept of them.
    pub retain: Retain,
}

/// The engine's settings, those shared by all shards and those of each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Live topics at most; a publish that would begin one more is refused with `limit`.
    pub topics_max: u64,
    /// Bytes of one topic's image at most; a publish beyond is `too_large`.
    pub image_bytes: u64,
    /// Bytes of all images together; a publish beyond is refused with `limit`.
    pub images_bytes_max: u64,
    /// Bytes of images that are kept encoded; beyond, the largest is encoded anew when it is needed.
    pub images_encoded_bytes_max: u64,
    /// Bytes of frames that sockets took a part of; beyond, the connection with the largest is closed.
    pub images_partial_bytes_max: u64,
    /// Bytes of the sources that topics remember; a publish that would add beyond is refused with `limit`.
    pub sources_bytes_max: u64,
    /// Bytes of what connections still want from topics; beyond, the connection that wants most is closed.
    pub behind_bytes_max: u64,
    /// Bytes of unread answers, incomplete messages and unsent events; beyond, the connection with most is closed.
    pub buffers_bytes_max: u64,
    /// Bytes of names without a topic that are subscribed to; an entry beyond is refused with `limit`.
    pub names_waited_bytes_max: u64,
    /// Bytes of subscriptions and their patterns; an entry beyond is refused with `limit`.
    pub subscriptions_bytes_max: u64,
    /// What is kept of a topic that no rule matches.
    pub retain: Retain,
    /// Bytes of all histories together; beyond, the topic with the largest history pays, oldest updates first.
    pub retain_bytes_max: u64,
    /// Rules for topics by pattern.
    pub topics: Vec<TopicRule>,
    /// Subscriptions of one connection at most.
    pub subscriptions: u64,
    /// Bytes that may wait for a connection before it counts as behind.
    pub behind_bytes: u64,
    /// Bytes handed to a socket in one write at most.
    pub turn_bytes_max: usize,
    /// Bytes of answers that a connection may leave unread before the broker stops reading it.
    pub answers_bytes_max: usize,
    /// Bytes of a shard's ring.
    pub ring_bytes: usize,
    /// Least time between two writes to one connection, in microseconds; 0 writes at once.
    pub write_gap_us: u64,
    /// Silence after which a `heartbeat` is sent, and the interval of WebSocket pings, in milliseconds.
    pub heartbeat_ms: u32,
    /// How long a connection may take no byte while something waits for it, in milliseconds.
    pub stall_ms: u32,
    /// How long a closing connection may take to take its close frame and to hang up, in milliseconds.
    pub close_ms: u32,
    /// Bytes that the slowest shard may lag behind the feed's tail before publishers wait.
    pub feed_bytes_max: u64,
    /// The largest message taken from a client, in bytes; told in `hello`.
    pub message_bytes: u64,
    /// How long a topic may go without a publish before it ends, in milliseconds; 0 for ever.
    pub topic_idle_ms: u64,
    /// The id of the first place in the broker's order, and when it was taken on the monotonic clock: the start of the
    /// broker in microseconds since the UNIX epoch, so that no two runs share an id.
    pub order_base: u64,
    /// See `order_base`.
    pub order_base_mono_us: u64,
    /// The server's name and version, told in `hello`.
    pub server: String,
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
            order_base_mono_us: 0,
            server: concat!("tickcast/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Limits {
    /// The rule for a topic: its kind where the configuration fixes one, and what is kept of it. A topic that grows by
    /// patches is one of states.
    pub(crate) fn rule(&self, topic: &str) -> (Option<Kind>, Retain) {
        match self.topics.iter().find(|rule| rule.pattern.matches(topic)) {
            Some(rule) => (rule.kind.map(Kind::of_topic), rule.retain),
            None => (None, self.retain),
        }
    }
}
