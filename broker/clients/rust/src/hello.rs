//! What the broker says about itself and its limits when a connection begins.

/// The broker's `hello`: the first message on every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The broker's name and version, such as `tickcast/0.1.0`.
    pub server: String,
    /// The broker's name for this connection.
    pub session: String,
    /// The longest silence of a healthy broker.
    pub heartbeat_ms: u64,
    /// The optional parts of the protocol that it has.
    pub features: Vec<String>,
    /// Its limits.
    pub limits: Limits,
}

/// The limits in a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Entries that one connection may subscribe to.
    pub subscriptions: u64,
    /// The largest message that the broker takes.
    pub message_bytes: u64,
    /// The largest image.
    pub image_bytes: u64,
    /// What may wait for a connection before it counts as slow.
    pub behind_bytes: u64,
    /// The updates kept of each topic.
    pub retain_updates: u64,
    /// How long a connection may take nothing before it is closed.
    pub stall_ms: u64,
}

impl Default for Limits {
    /// The protocol's own example, for a broker that leaves one out.
    fn default() -> Self {
        Limits {
            subscriptions: 1_024,
            message_bytes: 65_536,
            image_bytes: 1 << 20,
            behind_bytes: 65_536,
            retain_updates: 1_024,
            stall_ms: 60_000,
        }
    }
}
