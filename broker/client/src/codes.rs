//! Stands in for the protocol crate's catalogue until that is there.

/// What an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something that happened.
    Event,
    /// The whole new state.
    State,
    /// A merge patch onto the state.
    Patch,
}

/// Why the broker refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "replaced by the protocol crate's type within the hour")]
pub enum ErrorCode {
    BadRequest,
    BadTopic,
    BadPattern,
    Forbidden,
    KindMismatch,
    TooLarge,
    Limit,
    Unavailable,
}

impl ErrorCode {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        "bad_request"
    }
}
