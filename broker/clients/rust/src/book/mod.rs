//! The book of the connection's task: what was asked and not answered, what is subscribed, where each topic stands. It
//! outlives connections, and does no I/O: messages come in ([`receive`](Book::receive)) and requests go out
//! ([`take`](Book::take)).
//!
//! # What a lost connection means for requests
//!
//! | request | written, not answered | waiting to be written |
//! |---|---|---|
//! | publish with a `source` | sent again, first, in order: the broker takes it once | sent |
//! | publish without | its caller is told `Unanswered`; without a caller it is counted and told as an event | sent |
//! | subscribe | asked for again, see [`restore`] | sent |
//! | unsubscribe | done: the subscription went with the connection | done |
//! | list, ping | asked again | sent |
//!
//! Sending again cannot reorder: the updates of one producer are taken in in its order, so what was not answered is the
//! tail of what was written, and it goes out before everything newer. Of what was taken and not answered, the broker
//! knows the source's number and does not publish it twice, as long as the topic lives and remembers the source (the 16
//! used last). If the topic ended in between, it begins again with those updates: that is at-least-once, and the price
//! of never losing one.

mod answer;
mod places;
mod positions;
mod receive;
mod refusals;
mod restore;
mod split;
mod subscriptions;
mod take;
mod topics;

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::mpsc;

use crate::error::{ClosedReason, PublishError, RequestError, SubscribeError};
use crate::event::Event;
use crate::hello::Limits;
use crate::outbox::Outbox;
use crate::request::{InFlight, Request, SubscriptionId};
use crate::shared::Shared;
use subscriptions::Subscriptions;
use topics::Topics;

/// An event for one subscription's queue.
pub(crate) type Delivery = (mpsc::Sender<Event>, Event);

#[derive(Debug, Default)]
pub(crate) struct Book {
    /// The last request's number; they go on across connections.
    id: u64,
    in_flight: BTreeMap<u64, InFlight>,
    /// The bytes of publishes in `in_flight`.
    unanswered_bytes: usize,
    subscriptions: Subscriptions,
    topics: Topics,
    limits: Limits,
    /// What goes out before anything that waits in the outbox.
    first: VecDeque<take::Message>,
    restoring: restore::Restoring,
    /// Which entries the positions that came stand for.
    places: places::Places,
    /// The requests whose `ready` is due, with the subscriptions that want to know.
    readies: HashMap<u64, Vec<SubscriptionId>>,
    /// This connection's broker refused positions: what needs them is done without.
    without_positions: bool,
    /// Events that came up while writing: they go out with the next message that comes in.
    late: Vec<Delivery>,
}

impl Book {
    /// A connection stands: everything subscribed is asked for again.
    pub(crate) fn connected(&mut self, limits: Limits) {
        self.limits = limits;
        self.without_positions = false;
        self.restore();
    }

    /// The connection is gone: what may be asked again goes back to the head of the queue, in order.
    pub(crate) fn lost(&mut self, shared: &Shared) {
        self.first.clear();
        self.restoring = Default::default();
        self.subscriptions.forget_progress();
        self.places.lost();
        self.readies.clear();
        let in_flight = std::mem::take(&mut self.in_flight);
        self.unanswered_bytes = 0;
        let mut again = Vec::new();
        for request in in_flight.into_values() {
            retry(request, shared, &mut again);
        }
        let mut queue = shared.outbox.lock();
        for request in again.into_iter().rev() {
            queue.push_front(request);
        }
    }

    /// Whether something waits to be asked for again, because the broker refused it for now.
    pub(crate) fn waits_to_ask_again(&self) -> bool {
        self.subscriptions.refusals.is_waiting()
    }

    /// How often that was asked for again already.
    pub(crate) fn attempt(&self) -> u32 {
        self.subscriptions.refusals.attempt()
    }

    /// Nothing is left to write or to wait for.
    pub(crate) fn is_idle(&self, outbox: &Outbox) -> bool {
        self.in_flight.is_empty() && self.first.is_empty() && outbox.is_empty()
    }

    /// The client is over: whoever still waits is told, and every subscription ends.
    pub(crate) fn close(self, shared: &Shared, reason: &ClosedReason) {
        for request in self.in_flight.into_values() {
            fail_in_flight(request, shared, reason);
        }
        for request in shared.outbox.drain() {
            fail_queued(request, shared, reason);
        }
        self.subscriptions.close(reason);
    }

    fn next_id(&mut self) -> u64 {
        self.id += 1;
        self.id
    }

    fn in_flight(&mut self, id: u64, request: InFlight) {
        self.unanswered_bytes += request.bytes();
        self.in_flight.insert(id, request);
    }

    fn answered(&mut self, id: u64) -> Option<InFlight> {
        let request = self.in_flight.remove(&id)?;
        self.unanswered_bytes -= request.bytes();
        Some(request)
    }

    /// Answers the flushes that have nothing before them any more.
    fn flush(&mut self) {
        while let Some(entry) = self.in_flight.first_entry()
            && matches!(entry.get(), InFlight::Flush { .. })
        {
            if let InFlight::Flush { answer } = entry.remove() {
                let _ = answer.send(());
            }
        }
    }
}

fn retry(request: InFlight, shared: &Shared, again: &mut Vec<Request>) {
    match request {
        InFlight::Publish { entry, answer } if entry.sourced => again.push(Request::Publish { entry, answer }),
        InFlight::Publish { answer, .. } => drop(answer.send(Err(PublishError::Unanswered))),
        InFlight::Batch(part) if part.entries.iter().all(|entry| entry.sourced) => again.push(Request::Batch(part)),
        // Part of it may have been published: going on without a word would hide that.
        InFlight::Batch(part) => part.collector.fail(PublishError::Unanswered),
        InFlight::Unacknowledged(entries) => {
            for entry in entries {
                match entry.sourced {
                    true => again.push(Request::Unacknowledged(entry)),
                    false => shared.unacknowledged(&entry, PublishError::Unanswered),
                }
            }
        }
        InFlight::Subscribe(_) | InFlight::Release { .. } => {}
        InFlight::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Ok(())))),
        InFlight::List { answer } => again.push(Request::List { answer }),
        InFlight::Ping { answer } => again.push(Request::Ping { answer }),
        InFlight::Flush { answer } => again.push(Request::Flush { answer }),
    }
}

/// It was written: whether it was done is not known.
fn fail_in_flight(request: InFlight, shared: &Shared, reason: &ClosedReason) {
    let over = || RequestError::Closed(reason.clone());
    match request {
        InFlight::Publish { answer, .. } => drop(answer.send(Err(PublishError::Unanswered))),
        InFlight::Batch(part) => part.collector.fail(PublishError::Unanswered),
        InFlight::Unacknowledged(entries) => {
            entries.iter().for_each(|entry| shared.unacknowledged(entry, PublishError::Unanswered));
        }
        InFlight::Subscribe(_) | InFlight::Release { .. } => {}
        InFlight::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Ok(())))),
        InFlight::List { answer } => drop(answer.send(Err(over()))),
        InFlight::Ping { answer } => drop(answer.send(Err(over()))),
        // Dropping the sender tells its caller.
        InFlight::Flush { .. } => {}
    }
}

/// It was not written: it did not happen.
fn fail_queued(request: Request, shared: &Shared, reason: &ClosedReason) {
    let over = || RequestError::Closed(reason.clone());
    match request {
        Request::Publish { answer, .. } => drop(answer.send(Err(PublishError::Closed(reason.clone())))),
        Request::Batch(part) => part.collector.fail(PublishError::Closed(reason.clone())),
        Request::Unacknowledged(entry) => shared.unacknowledged(&entry, PublishError::Closed(reason.clone())),
        Request::Subscribe(new) => drop(new.answer.send(Err(SubscribeError::Request(over())))),
        Request::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Ok(())))),
        Request::List { answer } => drop(answer.send(Err(over()))),
        Request::Ping { answer } => drop(answer.send(Err(over()))),
        Request::Flush { .. } => {}
    }
}
