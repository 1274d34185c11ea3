//! What happens to the connection, for those who want to watch: nobody has to.

use tokio::sync::broadcast;

use crate::error::{ClosedReason, UnacknowledgedError};

/// Something happened to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// A connection stands.
    Connected {
        /// The broker's name for it.
        session: String,
        /// It replaces a lost one; every subscription is being resumed.
        resumed: bool,
    },
    /// The connection was lost or closed.
    Disconnected {
        /// In words.
        reason: String,
        /// The broker's close code, where there was one.
        code: Option<u16>,
        /// The wait before the next attempt; `None` where there will be none.
        retry_ms: Option<u64>,
    },
    /// An attempt to connect again failed.
    AttemptFailed {
        /// In words.
        reason: String,
        /// The wait before the next attempt.
        retry_ms: u64,
    },
    /// The broker is about to close the connection.
    GoAway {
        /// The broker's word.
        reason: String,
        /// When to come back.
        after_ms: u64,
    },
    /// An update that was published without waiting for an answer was refused, or may be lost.
    Unacknowledged(UnacknowledgedError),
    /// The broker sent an error that answers none of our requests.
    Error {
        /// The broker's code.
        code: String,
        /// The broker's sentence.
        message: String,
    },
    /// The client is over.
    Closed(ClosedReason),
    /// This receiver was too slow to get this many events.
    Missed(u64),
}

/// A receiver of [`ConnectionEvent`]s: first of the [`Connected`](ConnectionEvent::Connected) of the connection that stands,
/// if one does, then of everything from the moment the receiver was made.
#[derive(Debug)]
pub struct ConnectionEvents {
    pub(crate) standing: Option<ConnectionEvent>,
    pub(crate) events: broadcast::Receiver<ConnectionEvent>,
}

impl ConnectionEvents {
    /// The next event; `None` when the client is over and all were read. Safe to cancel.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        if let Some(standing) = self.standing.take() {
            return Some(standing);
        }
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(ConnectionEvent::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
