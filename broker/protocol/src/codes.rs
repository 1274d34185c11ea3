//! The one catalogue of what can go wrong on the wire: error codes, which answer a request and leave the connection
//! open, and close reasons, which end it.

use std::fmt;

/// Declares an enum together with the array of all its values, so that none can be left out.
macro_rules! catalogue {
    ($(#[$doc:meta])* $name:ident { $($(#[$entry_doc:meta])* $entry:ident $(= $value:literal)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$entry_doc])* $entry $(= $value)?,)* }

        impl $name {
            /// Every entry of the catalogue.
            pub const ALL: &[$name] = &[$($name::$entry,)*];

            /// Returns its index in [`Self::ALL`], for arrays with one element per entry.
            pub fn index(self) -> usize {
                Self::ALL.iter().position(|entry| *entry == self).unwrap_or_default()
            }
        }
    };
}

catalogue! {
    /// Why a request was refused.
    ErrorCode {
        /// The message is not JSON.
        BadJson,
        /// JSON, but not a request: not an object, no `op`, wrong types, unknown fields.
        BadRequest,
        /// An `op` that this protocol does not have.
        UnknownOp,
        /// Not a valid topic name, or a pattern where a topic is needed.
        BadTopic,
        /// A wildcard where none is allowed.
        BadPattern,
        /// A token that is wrong or has expired.
        BadToken,
        /// Not allowed to this connection.
        Forbidden,
        /// The topic carries another kind of updates.
        KindMismatch,
        /// A patch to a topic that has no state to change.
        NoState,
        /// The thing asked for does not exist.
        NotFound,
        /// A message, body or image over its limit.
        TooLarge,
        /// A number of things (subscriptions, topics) at its limit.
        Limit,
        /// Too many requests for now.
        RateLimited,
        /// The broker cannot do this at present.
        Unavailable,
        /// HTTP: the request did not arrive in time.
        Timeout,
        /// The broker would not start with this configuration.
        BadConfig,
        /// HTTP: this path does not support this method.
        MethodNotAllowed,
        /// HTTP: the body's media type is not supported here.
        UnsupportedMediaType,
    }
}

impl ErrorCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadJson => "bad_json",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::UnknownOp => "unknown_op",
            ErrorCode::BadTopic => "bad_topic",
            ErrorCode::BadPattern => "bad_pattern",
            ErrorCode::BadToken => "bad_token",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::KindMismatch => "kind_mismatch",
            ErrorCode::NoState => "no_state",
            ErrorCode::NotFound => "not_found",
            ErrorCode::TooLarge => "too_large",
            ErrorCode::Limit => "limit",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::Timeout => "timeout",
            ErrorCode::BadConfig => "bad_config",
            ErrorCode::MethodNotAllowed => "method_not_allowed",
            ErrorCode::UnsupportedMediaType => "unsupported_media_type",
        }
    }

    /// Whether the same request may succeed later. A limit can have room again; a wrong request stays wrong.
    pub fn retry(self) -> bool {
        matches!(self, ErrorCode::Limit | ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::Timeout)
    }

    /// Returns the HTTP status that corresponds to it.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorCode::BadJson
            | ErrorCode::BadRequest
            | ErrorCode::UnknownOp
            | ErrorCode::BadTopic
            | ErrorCode::BadPattern => 400,
            ErrorCode::BadToken => 401,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::Timeout => 408,
            ErrorCode::KindMismatch | ErrorCode::NoState => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::UnsupportedMediaType => 415,
            ErrorCode::BadConfig => 422,
            ErrorCode::Limit | ErrorCode::RateLimited => 429,
            ErrorCode::Unavailable => 503,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

catalogue! {
    /// Why the broker closes a connection. Each entry says whether the client should reconnect.
    CloseReason {
        /// Normal end. Reconnect: yes, after the `after_ms` of `goaway` with jitter.
        Normal = 1000,
        /// The broker is going away. Reconnect: yes, after the `after_ms` of `goaway` with jitter.
        GoingAway = 1001,
        /// A breach of the WebSocket protocol. Reconnect: no.
        ProtocolError = 1002,
        /// A binary message. Reconnect: no.
        UnsupportedData = 1003,
        /// Text that is not UTF-8. Reconnect: no.
        InvalidUtf8 = 1007,
        /// A message over `message_bytes`. Reconnect: no.
        TooBig = 1009,
        /// An internal error. Reconnect: yes.
        Internal = 1011,
        /// Authentication missing, wrong or expired. Reconnect: with a new token.
        Unauthenticated = 4001,
        /// Not allowed. Reconnect: no.
        Forbidden = 4003,
        /// A slow consumer that asked for this, or that took nothing for `stall_ms`. Reconnect: yes.
        Slow = 4008,
        /// No sign of life. Reconnect: yes.
        NoSignOfLife = 4009,
        /// Too many connections or requests. Reconnect: later.
        LimitExceeded = 4029,
    }
}

impl CloseReason {
    /// The code of the close frame.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason as one word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::Normal => "normal",
            CloseReason::GoingAway => "going_away",
            CloseReason::ProtocolError => "protocol_error",
            CloseReason::UnsupportedData => "unsupported_data",
            CloseReason::InvalidUtf8 => "invalid_utf8",
            CloseReason::TooBig => "too_big",
            CloseReason::Internal => "internal",
            CloseReason::Unauthenticated => "unauthenticated",
            CloseReason::Forbidden => "forbidden",
            CloseReason::Slow => "slow",
            CloseReason::NoSignOfLife => "no_sign_of_life",
            CloseReason::LimitExceeded => "limit_exceeded",
        }
    }

    /// The reason's text in the close frame.
    pub fn text(self) -> &'static str {
        match self {
            CloseReason::Normal => "bye",
            CloseReason::GoingAway => "going away",
            CloseReason::ProtocolError => "protocol error",
            CloseReason::UnsupportedData => "binary messages are not supported",
            CloseReason::InvalidUtf8 => "invalid UTF-8",
            CloseReason::TooBig => "message too big",
            CloseReason::Internal => "internal error",
            CloseReason::Unauthenticated => "authentication missing, wrong or expired",
            CloseReason::Forbidden => "forbidden",
            CloseReason::Slow => "slow consumer",
            CloseReason::NoSignOfLife => "no sign of life",
            CloseReason::LimitExceeded => "limit exceeded",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code(), self.text())
    }
}
