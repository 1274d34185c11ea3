//! What can go wrong: one small enum for each thing that a program can ask for. An error describes its own level;
//! `source()` returns the cause.

use std::sync::Arc;

use crate::event::EntryError;
use crate::{ErrorCode, Kind};

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// This client cannot use the URL.
    #[error("the URL \"{url}\" cannot be used: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No address could be connected to.
    #[error("none of the brokers can be reached: {}", .0.iter().map(one_line).collect::<Vec<_>>().join("; "))]
    NoBroker(Vec<ConnectError>),
    /// The TCP connection failed.
    #[error("no connection to {address}")]
    Tcp {
        /// The broker's `host:port`.
        address: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The HTTP part of the handshake failed.
    #[error("the WebSocket handshake with {address} failed")]
    Http {
        /// The broker's `host:port`.
        address: String,
        /// hyper's error.
        source: hyper::Error,
    },
    /// The server answered with something other than an upgrade.
    #[error("{address} refused the WebSocket upgrade with HTTP {status}: {body}")]
    Refused {
        /// The broker's `host:port`.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The first bytes of the response's body.
        body: String,
        /// The wait of its `Retry-After`, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// TLS could not be set up, or its handshake failed.
    #[error("no TLS connection to {address}: {why}")]
    Tls {
        /// The broker's `host:port`.
        address: String,
        /// What is wrong: a file, the broker's certificate, or what it said about ours.
        why: String,
    },
    /// There is no token to connect with ([`Token`](crate::Token)).
    #[error("there is no token to connect to {address} with: {why}")]
    Token {
        /// The URL.
        address: String,
        /// What the token function, or reading the file, returned.
        why: String,
    },
    /// The server's upgrade is invalid, or its first message is not a `hello`.
    #[error("{address} does not speak Tickcast: {why}")]
    NotTickcast {
        /// The broker's `host:port`.
        address: String,
        /// What the server did.
        why: String,
    },
    /// The broker closed the connection at once.
    #[error("{address} closed the connection with code {code}: {reason}")]
    Closed {
        /// The broker's `host:port`.
        address: String,
        /// The close code.
        code: u16,
        /// The broker's reason.
        reason: String,
    },
    /// The attempt took longer than `connect_timeout_ms`.
    #[error("no answer from {address} within {timeout_ms} ms")]
    Timeout {
        /// The broker's `host:port`.
        address: String,
        /// The limit, in milliseconds.
        timeout_ms: u64,
    },
}

/// Why a client is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedReason {
    /// The program closed it.
    #[error("the client was closed")]
    Here,
    /// The broker requires authentication (close code 4001, `bad_token`, or HTTP 401 in the handshake), and this client has
    /// no token to offer, or none that the broker takes: a fixed one is offered once, and others are asked for once more
    /// ([`Token`](crate::Token)). Every further attempt would end the same way, so there is none.
    #[error("the broker requires authentication, and this client has no token to offer that it accepts: {reason}")]
    Unauthenticated {
        /// The broker's reason.
        reason: Arc<str>,
    },
    /// The broker closed it with a code that forbids reconnecting (see the close codes in the protocol).
    #[error("the broker closed the connection for good, with code {code}: {reason}")]
    ByBroker {
        /// The close code.
        code: u16,
        /// The broker's reason.
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
        /// The broker's message.
        message: String,
        /// Whether the same request may work later.
        retry: bool,
        /// The wait that the broker asks for, in milliseconds.
        retry_ms: Option<u64>,
    },
    /// No answer came within `answer_timeout_ms`. A full queue of one subscription blocks all answers.
    #[error("no answer came within {timeout_ms} ms")]
    Timeout {
        /// The limit, in milliseconds.
        timeout_ms: u64,
    },
}

/// Why a subscription could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It has no topic and no pattern.
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
    /// A field of the update breaks the protocol's rules. Nothing was sent.
    #[error("update {index} for \"{topic}\" cannot be published: {why}")]
    Invalid {
        /// Its index in the batch (0 if it is not in a batch).
        index: usize,
        /// Its topic.
        topic: String,
        /// The code with which the broker would refuse it.
        code: ErrorCode,
        /// What is wrong.
        why: String,
    },
    /// The update is larger than the broker accepts. Nothing was sent.
    #[error(
        "update {index} for \"{topic}\" takes {bytes} bytes, and the broker accepts messages up to {message_bytes}"
    )]
    TooLarge {
        /// Its index in the batch (0 if it is not in a batch).
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
        /// The broker's message.
        message: String,
        /// Whether the same update may work later. The client does not send it again by itself: it might overtake a
        /// newer one.
        retry: bool,
        /// The wait that the broker asks for, in milliseconds.
        retry_ms: Option<u64>,
    },
    /// The update is a patch, and the topic has no state to change: it was never published, it ended, or the broker
    /// lost it in a restart. Publish the topic's whole state first (`{}` if nothing is known of it), then continue with
    /// patches. Patches that are in flight by then are refused as well.
    #[error("the topic has no state for the patch to change: publish a whole state first ({message})")]
    NoState {
        /// The broker's message.
        message: String,
    },
    /// The connection was lost between request and answer: the update may or may not have been published. Updates with
    /// a `source` never get this error: they are sent again.
    #[error("the connection was lost before the answer came: the update may or may not have been published")]
    Unanswered,
    /// No answer came within `answer_timeout_ms`: the update may or may not have been published.
    #[error("no answer came within {timeout_ms} ms: the update may or may not have been published")]
    Timeout {
        /// The limit, in milliseconds.
        timeout_ms: u64,
    },
    /// The client is over.
    #[error("nothing can be published any more")]
    Closed(#[source] ClosedReason),
}

impl PublishError {
    /// The broker's refusal of an update.
    pub(crate) fn refused(code: ErrorCode, message: String, retry: bool, retry_ms: Option<u64>) -> PublishError {
        match code {
            ErrorCode::NoState => PublishError::NoState { message },
            _ => PublishError::Refused { code, message, retry, retry_ms },
        }
    }
}

/// An update that was published without waiting for an answer, and failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnacknowledgedError {
    /// The topic.
    pub topic: String,
    /// The kind with which it was sent.
    pub kind: Option<Kind>,
    /// Why.
    pub error: PublishError,
}

/// An error and its sources in one line.
pub(crate) fn one_line(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}
