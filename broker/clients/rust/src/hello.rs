//! The broker's first message on a connection: what it is, and its limits.

/// The broker's `hello`: the first message on every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The broker's name and version, such as `tickcast/0.1.0`.
    pub server: String,
    /// The broker's name for this connection.
    pub session: String,
    /// The longest silence of a healthy broker, in milliseconds.
    pub heartbeat_ms: u64,
    /// The optional parts of the protocol that it supports.
    pub features: Vec<String>,
    /// Whether a token is needed: `required` or `optional`. `None` if the broker does not know tokens.
    pub auth: Option<String>,
    /// Its limits.
    pub limits: Limits,
}

impl Hello {
    /// Whether the broker knows tokens.
    pub(crate) fn knows_tokens(&self) -> bool {
        self.features.iter().any(|feature| feature == "auth")
    }

    /// Whether it takes nobody without one.
    pub(crate) fn needs_token(&self) -> bool {
        self.auth.as_deref() == Some("required")
    }
}

/// The limits in a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The most entries that one connection may subscribe to.
    pub subscriptions: u64,
    /// The largest message that the broker accepts.
    pub message_bytes: u64,
    /// The largest image.
    pub image_bytes: u64,
    /// The most bytes that may wait for a connection before it counts as slow.
    pub behind_bytes: u64,
    /// The number of updates retained of each topic.
    pub retain_updates: u64,
    /// How long a connection may accept no bytes before the broker closes it, in milliseconds.
    pub stall_ms: u64,
}

impl Default for Limits {
    /// The values of the protocol's example, for those that a broker leaves out.
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
