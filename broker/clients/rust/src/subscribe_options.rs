//! The choices that a subscription offers, and what the broker lists of them.

/// What a subscription's topics start with when they do not resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// The image if the topic has one, then live updates.
    #[default]
    Image,
    /// Only what is published from now on.
    Live,
    /// Up to this many retained updates of each topic, then live updates.
    Last(u64),
}

/// What the broker does when this client does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSlow {
    /// Sends the image of `state` and `patch` topics. Of `event` topics it sends what is retained, and a gap for the
    /// rest.
    #[default]
    Conflate,
    /// Sends every update that is still retained, of any kind: for recorders.
    Retain,
    /// Closes the connection. This client then reconnects and resumes.
    Disconnect,
}

/// One row of [`Client::list`](crate::Client::list).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The topic or pattern.
    pub entry: String,
    /// The conflation interval that the broker uses.
    pub conflate_ms: u32,
    /// What the broker does when this client is slow, as the protocol spells it.
    pub on_slow: String,
}
