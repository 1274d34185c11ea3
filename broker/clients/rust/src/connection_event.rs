//! What happens to the connection, for programs that want to know.

use std::collections::VecDeque;

use tokio::sync::broadcast;

use crate::authenticated::Authenticated;
use crate::error::{ClosedReason, UnacknowledgedError};

/// Something that happened to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// A connection was established.
    Connected {
        /// The broker's name for it.
        session: String,
        /// Whether it replaces one that was lost, or one that was left for a better broker at another address (then
        /// without a [`Disconnected`](ConnectionEvent::Disconnected)). Every subscription is then being resumed.
        resumed: bool,
    },
    /// The connection was lost or closed.
    Disconnected {
        /// Why, as a sentence for people.
        reason: String,
        /// The broker's close code, if it sent one.
        code: Option<u16>,
        /// The wait before the next attempt, in milliseconds: 0 if another address is tried at once; `None` if there will
        /// be no attempt.
        retry_ms: Option<u64>,
    },
    /// An attempt to reconnect failed.
    AttemptFailed {
        /// Why, as a sentence for people.
        reason: String,
        /// The wait before the next attempt, in milliseconds: 0 if another address is tried at once.
        retry_ms: u64,
    },
    /// The broker is cut off from its journal, so that what it sends may be old. If there are other addresses, the
    /// client looks for a broker that is not, and goes there. A [`Fresh`](ConnectionEvent::Fresh) ends it, or a
    /// [`Disconnected`](ConnectionEvent::Disconnected).
    Stale {
        /// Since when, in microseconds since the UNIX epoch.
        since: u64,
    },
    /// The broker is not cut off any more, or another one that is not has taken over.
    Fresh,
    /// The broker has accepted the token, or what this client may has changed.
    Authenticated(Authenticated),
    /// There is no token to renew the connection's with ([`Token`](crate::Token)). It is asked for again, and the
    /// connection goes on with the token that it has. This comes once, until there is one.
    TokenFailed {
        /// Why, as a sentence for people.
        reason: String,
        /// The wait before it is asked for again, in milliseconds.
        retry_ms: u64,
    },
    /// The broker is about to close the connection.
    GoAway {
        /// The broker's reason.
        reason: String,
        /// How long to wait before reconnecting, in milliseconds.
        after_ms: u64,
    },
    /// An update that was published without waiting for an answer was refused, or may be lost.
    Unacknowledged(UnacknowledgedError),
    /// The broker sent an error that answers none of our requests.
    Error {
        /// The broker's code.
        code: String,
        /// The broker's message.
        message: String,
    },
    /// The client is over.
    Closed(ClosedReason),
    /// This receiver fell behind and missed this many events.
    Missed(u64),
}

/// A receiver of [`ConnectionEvent`]s. It first yields the [`Connected`](ConnectionEvent::Connected) of the current
/// connection, if there is one, and the [`Stale`](ConnectionEvent::Stale) of its broker, if it is stale; then everything
/// that happens after the receiver was made.
#[derive(Debug)]
pub struct ConnectionEvents {
    pub(crate) current: VecDeque<ConnectionEvent>,
    pub(crate) events: broadcast::Receiver<ConnectionEvent>,
}

impl ConnectionEvents {
    /// Returns the next event, or `None` when the client is over and all events have been read. Safe to cancel.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        if let Some(current) = self.current.pop_front() {
            return Some(current);
        }
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(ConnectionEvent::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
