//! The book of the connection's task: what was asked and not answered, what is subscribed, and the state of each
//! topic's stream. It outlives connections, and does no I/O: messages come in through [`receive`](Book::receive),
//! requests go out through [`fill`](Book::fill).
//!
//! Each part keeps its own state and knows nothing of the book. What happens to the parts together is one file per
//! idea.
//!
//! | part | what it is |
//! |---|---|
//! | `in_flight` | requests without an answer |
//! | `authentication` | the token of the present connection |
//! | `subscriptions` | the program's subscriptions: a `record` each, their `coverage` of topics, `refusals` for now |
//! | `topics`, `topic` | the stream of each topic, and the subscriptions that get it |
//! | `resume_ids` | the position from which each entry can resume |
//! | `pack` | long lists as messages |
//!
//! | what happens | where |
//! |---|---|
//! | a message comes in | `receive`, then `stream`, `positions`, or `answer` (to a `subscribe`: `subscribed`) |
//! | requests go out | `write`, `messages` |
//! | a connection is replaced | `restore`, `resume_points`, `unanswered`, `without_positions` |
//! | an entry or a request fails | `entries`, `failure` |
//!
//! # What a lost connection means for requests
//!
//! | request | written, not answered | waiting to be written |
//! |---|---|---|
//! | publish with a `source` | sent again, first, in order: the broker publishes it once | sent |
//! | publish without a `source` | its caller gets `Unanswered`; without a caller it is counted and reported | sent |
//! | subscribe | asked for again, see `restore` | sent |
//! | unsubscribe | done: the subscription ended with the connection | done |
//! | list, ping | asked again | sent |
//! | authenticate | the next connection begins with a token of its own | not sent |
//!
//! Sending again cannot reorder updates. The broker accepts a producer's updates in the producer's order, so those that
//! were not answered are the last that were written, and they go out before everything newer. If the broker had
//! accepted some of them, it knows the source's number and does not publish them twice, as long as the topic lives and
//! remembers the source (it remembers the 16 used last). If the topic ended in between, it begins again with those
//! updates: that is at-least-once, and the price of never losing an update.

mod answer;
mod authentication;
mod coverage;
mod entries;
mod failure;
mod in_flight;
mod messages;
mod pack;
mod positions;
mod receive;
mod record;
mod refusals;
mod restore;
mod resume_ids;
mod resume_points;
mod stream;
mod subscribed;
mod subscriptions;
mod topic;
mod topics;
mod unanswered;
mod without_positions;
mod write;

use std::collections::{HashMap, VecDeque};

use tokio::sync::mpsc;

use crate::error::ClosedReason;
use crate::event::Event;
use crate::hello::Limits;
use crate::outbox::Outbox;
use crate::request::Request;
use crate::shared::Shared;
use crate::token::Secret;
use authentication::Authentication;
use failure::Failure;
use in_flight::InFlight;
use positions::Waiting;
use restore::Restoring;
use resume_ids::ResumeIds;
use subscriptions::Subscriptions;
use topics::Topics;

/// An event for one subscription's queue.
pub(crate) type Delivery = (mpsc::Sender<Event>, Event);

#[derive(Debug, Default)]
pub(crate) struct Book {
    in_flight: InFlight,
    subscriptions: Subscriptions,
    topics: Topics,
    resume_ids: ResumeIds,
    limits: Limits,
    /// Requests that go out before everything that waits in the outbox: of the kinds subscribe and unsubscribe.
    first: VecDeque<Request>,
    restoring: Restoring,
    authentication: Authentication,
    /// The requests whose `ready` has not come yet.
    readies: HashMap<u64, Waiting>,
    /// This connection's broker refused positions, so what needs them is done in another way.
    without_positions: bool,
    /// Events that came up while writing. They are delivered with those of the next message that comes in.
    late: Vec<Delivery>,
}

impl Book {
    /// Begins a connection: sends the token, and asks again for everything that is subscribed in the same flight.
    /// A connection that is authenticated already has no token to send.
    pub(crate) fn connected(&mut self, limits: Limits, token: Option<Secret>) {
        self.limits = limits;
        self.without_positions = false;
        self.authentication = Authentication::begin(token.is_some());
        self.first.extend(token.map(|token| Request::Authenticate { token, renews: false }));
        self.restore();
    }

    /// Ends a connection: what may be asked again goes back to the front of the outbox, in order.
    pub(crate) fn lost(&mut self, shared: &Shared) {
        self.first.clear();
        self.restoring = Restoring::default();
        self.subscriptions.forget_progress();
        self.resume_ids.lost();
        self.readies.clear();
        let mut again = Vec::new();
        for request in self.in_flight.take_all() {
            failure::retry(request, shared, &mut again);
        }
        let mut queue = shared.outbox.lock();
        for request in again.into_iter().rev() {
            queue.push_front(request.into());
        }
    }

    /// Whether an entry that the broker refused for now waits to be asked for again.
    pub(crate) fn waits_to_ask_again(&self) -> bool {
        self.subscriptions.refusals.is_waiting()
    }

    /// The longest wait that the broker has asked for since the last call, in milliseconds.
    pub(crate) fn takes_asked_ms(&mut self) -> u64 {
        self.subscriptions.refusals.takes_asked_ms()
    }

    /// How often the waiting entries have been asked for again already.
    pub(crate) fn attempt(&self) -> u32 {
        self.subscriptions.refusals.attempt()
    }

    /// Whether nothing is left to write or to wait for.
    pub(crate) fn is_idle(&self, outbox: &Outbox) -> bool {
        self.in_flight.is_empty() && self.first.is_empty() && outbox.is_empty()
    }

    /// Ends the client: every caller that still waits gets an error, and every subscription ends.
    pub(crate) fn close(mut self, shared: &Shared, reason: &ClosedReason) {
        for request in self.in_flight.take_all() {
            failure::fail(request, Failure::Over { reason, written: true }, shared);
        }
        for call in shared.outbox.drain() {
            failure::fail_call(call, reason, shared);
        }
        self.subscriptions.close(reason);
    }

    /// The largest message that the broker takes.
    fn message_bytes(&self) -> usize {
        usize::try_from(self.limits.message_bytes).unwrap_or(usize::MAX)
    }
}
