//! What can go wrong, one small enum per thing one can ask for. An error says its own level; `source()` says the rest.

use std::sync::Arc;

use crate::event::EntryError;
use crate::{ErrorCode, Kind};

/// Why no connection came to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one that this client can use.
    #[error("the URL \"{url}\" cannot be used: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The TCP connection failed.
    #[error("no connection to {address}")]
    Tcp {
        /// Where to.
        address: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The HTTP part of the handshake failed.
    #[error("the WebSocket handshake with {address} failed")]
    Http {
        /// Where to.
        address: String,
        /// What hyper says.
        source: hyper::Error,
    },
    /// The server answered with something else than an upgrade.
    #[error("{address} refused the WebSocket upgrade with HTTP {status}: {body}")]
    Refused {
        /// Where to.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The first bytes of its body.
        body: String,
    },
    /// The server's upgrade is not one, or its first message is no `hello`.
    #[error("{address} does not speak Tickcast: {why}")]
    NotTickcast {
        /// Where to.
        address: String,
        /// What it did.
        why: String,
    },
    /// The broker closed the connection at once.
    #[error("{address} closed the connection with code {code}: {reason}")]
    Closed {
        /// Where to.
        address: String,
        /// The close code.
        code: u16,
        /// The broker's words.
        reason: String,
    },
    /// The attempt took longer than `connect_timeout_ms`.
    #[error("no answer from {address} within {timeout_ms} ms")]
    Timeout {
        /// Where to.
        address: String,
        /// The limit.
        timeout_ms: u64,
    },
}

/// Why a client is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedReason {
    /// It was closed on this side.
    #[error("the client was closed")]
    Here,
    /// The broker wants to know who this is (close code 4001, or HTTP 401 in the handshake), and this client has no token to
    /// offer: it would end the same way as often as it came back. Nothing is tried again.
    #[error("the broker wants authentication, and this client has none to offer: {reason}")]
    Unauthenticated {
        /// The broker's words.
        reason: Arc<str>,
    },
    /// The broker closed it in a way that forbids coming back (see the close codes in the protocol).
    #[error("the broker closed the connection for good, with code {code}: {reason}")]
    ByBroker {
        /// The close code.
        code: u16,
        /// The broker's words.
        reason: Arc<str>,
    },
}

/// Why a request (`list`, `ping`, `unsubscribe`) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The client is over.
    #[error("no request can be made any more")]
    Closed(#[source] ClosedReason),
    /// The broker refused it.
    #[error("the broker refused the request ({}): {message}", .code.as_str())]
    Refused {
        /// The broker's code.
        code: ErrorCode,
        /// The broker's sentence.
        message: String,
        /// Whether the same request may work later.
        retry: bool,
    },
    /// No answer came within `answer_timeout_ms`. A full queue of one subscription holds up all answers.
    #[error("no answer came within {timeout_ms} ms")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
}

/// Why a subscription did not come to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It names no topic and no pattern.
    #[error("a subscription needs at least one topic or pattern")]
    Empty,
    /// The broker refused each of its entries.
    #[error("the broker refused every entry; the first: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<EntryError>),
    /// The request as a whole failed.
    #[error("the subscription failed")]
    Request(#[source] RequestError),
}

/// Why an update was not published, or is not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The update cannot be sent: a field breaks the protocol's rules. Nothing was sent.
    #[error("update {index} for \"{topic}\" cannot be published: {why}")]
    Invalid {
        /// Its place in the batch (0 where it came alone).
        index: usize,
        /// Its topic.
        topic: String,
        /// The code with which the broker would refuse it.
        code: ErrorCode,
        /// What is wrong.
        why: String,
    },
    /// The update is larger than the broker takes. Nothing was sent.
    #[error("update {index} for \"{topic}\" takes {bytes} bytes, and the broker takes messages up to {message_bytes}")]
    TooLarge {
        /// Its place in the batch (0 where it came alone).
        index: usize,
        /// Its topic.
        topic: String,
        /// The bytes of the message that would carry it.
        bytes: usize,
        /// `hello.limits.message_bytes`.
        message_bytes: u64,
    },
    /// The broker refused it.
    #[error("the broker refused the update ({}): {message}", .code.as_str())]
    Refused {
        /// The broker's code.
        code: ErrorCode,
        /// The broker's sentence.
        message: String,
        /// Whether the same update may work later.
        retry: bool,
    },
    /// A patch, and the topic has no state that it could change: it was never published, it ended, or the broker lost it in a
    /// restart. Publish the topic's whole state first (`{}` where nothing is known of it) and go on from that: patches that
    /// were on their way by then are refused as well.
    #[error("the topic has no state that the patch could change: publish a whole state first ({message})")]
    NoState {
        /// The broker's sentence.
        message: String,
    },
    /// The connection was lost between request and answer: the update may or may not have been published. Updates with a
    /// `source` never end here: they are sent again.
    #[error("the connection was lost before the answer came: the update may or may not have been published")]
    Unanswered,
    /// No answer came within `answer_timeout_ms`: the update may or may not have been published.
    #[error("no answer came within {timeout_ms} ms: the update may or may not have been published")]
    Timeout {
        /// The limit.
        timeout_ms: u64,
    },
    /// The client is over.
    #[error("nothing can be published any more")]
    Closed(#[source] ClosedReason),
}

impl PublishError {
    /// The broker's refusal of an update.
    pub(crate) fn refused(code: ErrorCode, message: String, retry: bool) -> PublishError {
        match code {
            ErrorCode::NoState => PublishError::NoState { message },
            _ => PublishError::Refused { code, message, retry },
        }
    }
}

/// An update that was published without waiting for an answer and did not make it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnacknowledgedError {
    /// The topic.
    pub topic: String,
    /// The kind it was sent with.
    pub kind: Option<Kind>,
    /// Why.
    pub error: PublishError,
}
