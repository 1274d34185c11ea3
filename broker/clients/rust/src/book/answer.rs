//! Answers find their request and its caller.

use super::authentication::Refused;
use super::failure::{self, Failure};
use super::subscribed::Subscribed;
use super::topic::Addressed;
use super::{Book, Delivery};
use crate::ErrorCode;
use crate::connection_event::ConnectionEvent;
use crate::error::PublishError;
use crate::event::EntryError;
use crate::publish::Published;
use crate::request::Request;
use crate::shared::Shared;
use crate::transport::{Broken, fault};
use crate::wire::incoming::{Incoming, Rejected};

impl Book {
    /// Handles an answer. An answer that fits no request breaks the connection.
    pub(super) fn answer(
        &mut self,
        message: Incoming<'_>,
        shared: &Shared,
        addressed: &mut Addressed,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Broken> {
        if let Incoming::Error { code: code @ ErrorCode::BadToken, message, .. } = &message
            && !self.authentication.accepted
        {
            // The broker takes nothing else on this connection. The request is still in flight, so that it is dealt with as that of a lost connection.
            return self.token_refused(false, Refused { code: *code, message, retry_ms: None }, shared);
        }
        let Some(request) = answered(&message).and_then(|id| self.in_flight.remove(id)) else {
            return match message {
                Incoming::Error { id: None, entry: Some(entry), code, message, retry, .. } => {
                    self.revoked(EntryError { entry, code, message, retry }, out);
                    Ok(())
                }
                Incoming::Error { code, message, .. } => {
                    shared.report(ConnectionEvent::Error { code: code.as_str().to_owned(), message });
                    Ok(())
                }
                _ => Err(fault(1002, "an answer to no request of this client")),
            };
        };
        // The writer may have waited for it.
        shared.outbox.wake();
        match (request, message) {
            (Request::Authenticate { renews, .. }, Incoming::Error { code, message, retry_ms, .. }) => {
                self.token_refused(renews, Refused { code, message: &message, retry_ms }, shared)?;
            }
            (Request::Authenticate { .. }, Incoming::Authenticated { who, .. }) => self.authenticated(who, shared),
            (Request::Subscribe(ask), Incoming::Error { id, code, message, retry, retry_ms, .. }) => {
                self.subscriptions.refusals.asked(retry_ms);
                self.subscribe_refused(ask, id, (code, message, retry), out);
            }
            (request, Incoming::Error { code, message, retry, retry_ms, .. }) => {
                failure::fail(request, Failure::Refused { code, message: &message, retry, retry_ms }, shared);
            }
            (Request::Publish { answer, .. }, Incoming::Published { topic, epoch, seq, duplicate, .. }) => {
                let _ = answer.send(Ok(Published { topic, epoch, seq, duplicate }));
            }
            (Request::Batch(part), Incoming::PublishedBatch { accepted, duplicates, rejected, retry_ms, .. }) => {
                part.collector.answered(&part, accepted, duplicates, rejected, retry_ms);
            }
            (Request::Unacknowledged(_), Incoming::Published { .. }) => {}
            (Request::Unacknowledged(updates), Incoming::PublishedBatch { rejected, retry_ms, .. }) => {
                for Rejected { index, code, message } in rejected {
                    if let Some(entry) = updates.iter().nth(index) {
                        shared.unacknowledged(entry, PublishError::refused(code, message, code.retry(), retry_ms));
                    }
                }
            }
            (Request::Subscribe(ask), Incoming::Subscribed { topics, patterns, errors, .. }) => {
                self.subscribe_accepted(ask, Subscribed { topics, patterns, errors }, shared, addressed, out);
            }
            (Request::Unsubscribe { entries, answer }, Incoming::Unsubscribed { .. }) => {
                self.forget(&entries);
                drop(answer.map(|answer| answer.send(Ok(()))));
            }
            (Request::List { answer }, Incoming::Subscriptions { rows, .. }) => drop(answer.send(Ok(rows))),
            (Request::Ping { answer }, Incoming::Pong { ts, .. }) => drop(answer.send(Ok(ts))),
            _ => {
                self.in_flight.flush();
                return Err(fault(1002, "an answer of another kind than the request"));
            }
        }
        self.in_flight.flush();
        Ok(())
    }
}

/// The number of the request that a message answers.
fn answered(message: &Incoming<'_>) -> Option<u64> {
    match message {
        Incoming::Subscribed { id, .. }
        | Incoming::Unsubscribed { id }
        | Incoming::Published { id, .. }
        | Incoming::PublishedBatch { id, .. }
        | Incoming::Subscriptions { id, .. }
        | Incoming::Pong { id, .. } => Some(*id),
        Incoming::Error { id, .. } | Incoming::Authenticated { id, .. } => *id,
        _ => None,
    }
}
