//! Requests that end without the answer that they asked for.

use crate::ErrorCode;
use crate::error::{ClosedReason, PublishError, RequestError, SubscribeError};
use crate::request::{Call, Request, Unacknowledged};
use crate::shared::Shared;

/// Why a request failed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure<'a> {
    /// The broker refused it.
    Refused { code: ErrorCode, message: &'a str, retry: bool, retry_ms: Option<u64> },
    /// The client is over. A request that was `written` may have been carried out; one that was not has not been.
    Over { reason: &'a ClosedReason, written: bool },
}

impl Failure<'_> {
    fn of_publish(self) -> PublishError {
        match self {
            Failure::Refused { code, message, retry, retry_ms } => {
                PublishError::refused(code, message.to_owned(), retry, retry_ms)
            }
            Failure::Over { written: true, .. } => PublishError::Unanswered,
            Failure::Over { reason, written: false } => PublishError::Closed(reason.clone()),
        }
    }

    fn of_request(self) -> RequestError {
        match self {
            Failure::Refused { code, message, retry, retry_ms } => {
                RequestError::Refused { code, message: message.to_owned(), retry, retry_ms }
            }
            Failure::Over { reason, .. } => RequestError::Closed(reason.clone()),
        }
    }
}

/// Ends a request with an error for its caller.
pub(super) fn fail(request: Request, failure: Failure<'_>, shared: &Shared) {
    match request {
        Request::Publish { answer, .. } => drop(answer.send(Err(failure.of_publish()))),
        Request::Batch(part) => part.collector.fail(failure.of_publish()),
        Request::Unacknowledged(updates) => {
            updates.iter().for_each(|entry| shared.unacknowledged(entry, failure.of_publish()));
        }
        Request::Unsubscribe { answer: Some(answer), .. } => {
            let result = match failure {
                Failure::Refused { .. } => Err(failure.of_request()),
                // The subscription ended with the connection.
                Failure::Over { .. } => Ok(()),
            };
            let _ = answer.send(result);
        }
        Request::List { answer } => drop(answer.send(Err(failure.of_request()))),
        Request::Ping { answer } => drop(answer.send(Err(failure.of_request()))),
        // The subscription that asked has its own answer; the caller of a flush notices that its sender is dropped.
        Request::Subscribe(_)
        | Request::Unsubscribe { answer: None, .. }
        | Request::Authenticate { .. }
        | Request::Flush { .. } => {}
    }
}

/// Ends a call that was not written when the client ended.
pub(super) fn fail_call(call: Call, reason: &ClosedReason, shared: &Shared) {
    match call {
        Call::Request(request) => fail(request, Failure::Over { reason, written: false }, shared),
        Call::Subscribe(new) => {
            let closed = RequestError::Closed(reason.clone());
            let _ = new.answer.send(Err(SubscribeError::Request(closed)));
        }
        Call::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Ok(())))),
    }
}

/// Decides about a request whose connection was lost after it was written: it goes to `again`, or ends here.
pub(super) fn retry(request: Request, shared: &Shared, again: &mut Vec<Request>) {
    match request {
        Request::Publish { entry, answer } if entry.sourced => again.push(Request::Publish { entry, answer }),
        Request::Publish { answer, .. } => drop(answer.send(Err(PublishError::Unanswered))),
        Request::Batch(part) if part.entries.iter().all(|entry| entry.sourced) => again.push(Request::Batch(part)),
        // Part of it may have been published. To continue silently would hide that.
        Request::Batch(part) => part.collector.fail(PublishError::Unanswered),
        Request::Unacknowledged(updates) => {
            for entry in updates.into_entries() {
                match entry.sourced {
                    true => again.push(Request::Unacknowledged(Unacknowledged::one(entry))),
                    false => shared.unacknowledged(&entry, PublishError::Unanswered),
                }
            }
        }
        // The next connection asks for everything that is subscribed.
        Request::Subscribe(_) => {}
        // The next connection has a token of its own.
        Request::Authenticate { .. } => {}
        Request::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Ok(())))),
        Request::List { .. } | Request::Ping { .. } | Request::Flush { .. } => again.push(request),
    }
}
