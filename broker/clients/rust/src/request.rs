//! What a program asked for: waiting to be written, and then waiting for its answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::client::Listed;
use crate::error::{PublishError, RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::publish::{BatchAnswer, Published};
use crate::wire::entry::Entry;
use crate::wire::incoming::Rejected;
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

/// Names a subscription inside this client. Later ones are greater.
pub(crate) type SubscriptionId = u64;

pub(crate) type Answer<T, E> = oneshot::Sender<Result<T, E>>;

/// Waiting to be written, in the order of the calls.
#[derive(Debug)]
pub(crate) enum Request {
    Publish {
        entry: Entry,
        answer: Answer<Published, PublishError>,
    },
    Batch(BatchPart),
    /// Consecutive ones are written as one batch.
    Unacknowledged(Entry),
    Subscribe(NewSubscription),
    Unsubscribe {
        subscription: SubscriptionId,
        answer: Option<Answer<(), RequestError>>,
    },
    List {
        answer: Answer<Vec<Listed>, RequestError>,
    },
    Ping {
        answer: Answer<u64, RequestError>,
    },
    /// Nothing on the wire: answered when everything before it was.
    Flush {
        answer: oneshot::Sender<()>,
    },
}

impl Request {
    /// The bytes that count towards the queue's bound.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Request::Publish { entry, .. } | Request::Unacknowledged(entry) => entry.bytes(),
            Request::Batch(part) => part.entries.iter().map(Entry::bytes).sum(),
            _ => 0,
        }
    }

    /// Whether it has to wait for answers to earlier publishes when too many are due.
    pub(crate) fn is_publish(&self) -> bool {
        matches!(self, Request::Publish { .. } | Request::Batch(_) | Request::Unacknowledged(_))
    }
}

/// A subscription that was not asked for yet.
#[derive(Debug)]
pub(crate) struct NewSubscription {
    pub(crate) id: SubscriptionId,
    pub(crate) entries: Vec<SubscribeEntry>,
    pub(crate) options: SubscribeOptions,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) answer: Answer<Vec<EntryError>, SubscribeError>,
}

/// A `subscribe`, of one message's size.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The subscription whose entries they are.
    pub(crate) subscription: SubscriptionId,
    pub(crate) entries: Vec<SubscribeEntry>,
    pub(crate) options: SubscribeOptions,
    /// It asks for what an earlier connection had.
    pub(crate) restores: bool,
    /// The subscriptions that want to be told when all of it has begun.
    pub(crate) ready: Vec<SubscriptionId>,
}

/// Written, and waiting for its answer.
#[derive(Debug)]
pub(crate) enum InFlight {
    Publish {
        entry: Entry,
        answer: Answer<Published, PublishError>,
    },
    Batch(BatchPart),
    Unacknowledged(Vec<Entry>),
    Subscribe(Ask),
    /// Topics that were subscribed only to resume them, and go on under their pattern.
    Release {
        entries: Vec<String>,
    },
    Unsubscribe {
        entries: Vec<String>,
        answer: Option<Answer<(), RequestError>>,
    },
    List {
        answer: Answer<Vec<Listed>, RequestError>,
    },
    Ping {
        answer: Answer<u64, RequestError>,
    },
    Flush {
        answer: oneshot::Sender<()>,
    },
}

impl InFlight {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            InFlight::Publish { entry, .. } => entry.bytes(),
            InFlight::Batch(part) => part.entries.iter().map(Entry::bytes).sum(),
            InFlight::Unacknowledged(entries) => entries.iter().map(Entry::bytes).sum(),
            _ => 0,
        }
    }
}

/// Some or all updates of an acknowledged batch.
#[derive(Debug)]
pub(crate) struct BatchPart {
    pub(crate) entries: VecDeque<Entry>,
    /// Where the first of them stands in the batch.
    pub(crate) first_index: usize,
    pub(crate) collector: Arc<Collector>,
}

/// Puts the answers to the parts of a batch together.
#[derive(Debug)]
pub(crate) struct Collector(Mutex<Collected>);

#[derive(Debug)]
struct Collected {
    unanswered: usize,
    so_far: BatchAnswer,
    /// Taken when the batch is over, well or badly.
    answer: Option<Answer<BatchAnswer, PublishError>>,
}

impl Collector {
    pub(crate) fn new(updates: usize, answer: Answer<BatchAnswer, PublishError>) -> Collector {
        Collector(Mutex::new(Collected { unanswered: updates, so_far: BatchAnswer::default(), answer: Some(answer) }))
    }

    /// Nobody waits any more: it failed, or its caller went away.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().answer.as_ref().is_none_or(|answer| answer.is_closed())
    }

    pub(crate) fn answered(&self, part: &BatchPart, accepted: u64, duplicates: u64, rejected: Vec<Rejected>) {
        let mut collected = self.lock();
        collected.so_far.accepted += accepted;
        collected.so_far.duplicates += duplicates;
        let placed = rejected.into_iter().map(|one| (part.first_index + one.index, one.code, one.message));
        collected.so_far.rejected.extend(placed);
        collected.unanswered = collected.unanswered.saturating_sub(part.entries.len());
        if collected.unanswered == 0
            && let Some(answer) = collected.answer.take()
        {
            let _ = answer.send(Ok(std::mem::take(&mut collected.so_far)));
        }
    }

    pub(crate) fn fail(&self, error: PublishError) {
        if let Some(answer) = self.lock().answer.take() {
            let _ = answer.send(Err(error));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
