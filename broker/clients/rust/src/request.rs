//! What a program asked for: calls that wait in the outbox, and requests, each of which is one message to the broker.
//!
//! A request is the same value before and after it is written. Whether it was written decides what its caller is told
//! when the connection is lost or the client ends: see [`crate::book`].

use tokio::sync::{mpsc, oneshot};

use crate::batch::BatchPart;
use crate::error::{PublishError, RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::publish::Published;
use crate::subscribe_options::Listed;
use crate::token::Secret;
use crate::wire::entry::Entry;
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

/// Names a subscription inside this client. Later ones are greater.
pub(crate) type SubscriptionId = u64;

pub(crate) type Answer<T, E> = oneshot::Sender<Result<T, E>>;

/// A program's call, waiting in the outbox.
#[derive(Debug)]
pub(crate) enum Call {
    Request(Request),
    /// Becomes one `subscribe`, or several if it has many entries.
    Subscribe(NewSubscription),
    /// Becomes an `unsubscribe` of the entries that no other subscription has: none, one or several.
    Unsubscribe {
        subscription: SubscriptionId,
        answer: Option<Answer<(), RequestError>>,
    },
}

/// A message to the broker, which waits to be written or, once written, for its answer.
#[derive(Debug)]
pub(crate) enum Request {
    Publish {
        entry: Entry,
        answer: Answer<Published, PublishError>,
    },
    Batch(BatchPart),
    Unacknowledged(Unacknowledged),
    Subscribe(Ask),
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
    /// The token: the first message of a connection, or one that `renews` that of a running one.
    Authenticate {
        token: Secret,
        renews: bool,
    },
    /// No message: it is answered when everything before it has been.
    Flush {
        answer: oneshot::Sender<()>,
    },
}

impl From<Request> for Call {
    fn from(request: Request) -> Call {
        Call::Request(request)
    }
}

impl Call {
    /// The bytes that count towards the outbox's bound.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Call::Request(request) => request.bytes(),
            Call::Subscribe(_) | Call::Unsubscribe { .. } => 0,
        }
    }

    /// Whether it has to wait while too many earlier publishes are unanswered.
    pub(crate) fn is_publish(&self) -> bool {
        matches!(self, Call::Request(Request::Publish { .. } | Request::Batch(_) | Request::Unacknowledged(_)))
    }
}

impl Request {
    /// The bytes of its updates. Other requests are small, and count as nothing.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Request::Publish { entry, .. } => entry.bytes(),
            Request::Batch(part) => part.entries.iter().map(Entry::bytes).sum(),
            Request::Unacknowledged(updates) => updates.iter().map(Entry::bytes).sum(),
            _ => 0,
        }
    }

    /// Whether its caller has gone away. A request that was not written by then need not be.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Request::Publish { answer, .. } => answer.is_closed(),
            Request::Batch(part) => part.collector.is_over(),
            Request::List { answer } => answer.is_closed(),
            Request::Ping { answer } => answer.is_closed(),
            _ => false,
        }
    }
}

/// Updates whose caller does not wait: one while it waits to be written, then all that share its message.
#[derive(Debug)]
pub(crate) struct Unacknowledged {
    pub(crate) first: Entry,
    pub(crate) others: Vec<Entry>,
}

impl Unacknowledged {
    pub(crate) fn one(entry: Entry) -> Unacknowledged {
        Unacknowledged { first: entry, others: Vec::new() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        std::iter::once(self.first).chain(self.others)
    }
}

/// A subscription that the book does not have yet.
#[derive(Debug)]
pub(crate) struct NewSubscription {
    pub(crate) id: SubscriptionId,
    pub(crate) entries: Vec<SubscribeEntry>,
    pub(crate) options: SubscribeOptions,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) answer: Answer<Vec<EntryError>, SubscribeError>,
}

/// A `subscribe` that fits into one message.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The subscription that has these entries.
    pub(crate) subscription: SubscriptionId,
    pub(crate) entries: Vec<SubscribeEntry>,
    pub(crate) options: SubscribeOptions,
    /// It asks for what an earlier connection had.
    pub(crate) restores: bool,
    /// The subscriptions to notify when all of it has begun.
    pub(crate) ready: Vec<SubscriptionId>,
    /// Topics that resumed for its patterns are unsubscribed once all of it has begun.
    pub(crate) releases: bool,
}
