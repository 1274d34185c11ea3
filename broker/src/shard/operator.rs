//! What an operator asks about single connections: to describe one, or to close some. Both are done in portions: between
//! two of them the shard delivers.

use std::collections::VecDeque;
use std::net::IpAddr;

use broker_engine::{Beginning, ConnId, Origin, PublisherRow, SubscriptionDetail};
use broker_protocol::codes::CloseReason;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

use super::Driver;
use super::slowest::ConnectionRow;
use super::socket::Socket;
use crate::address::Net;
use crate::clock::now;

/// Connections visited in one portion, which takes some 20 µs.
const LOOKED_AT: ConnId = 2048;
/// Connections closed in one portion.
const CLOSED_AT_ONCE: u64 = 64;
/// Subscriptions described in one portion.
const DESCRIBED_AT_ONCE: usize = 256;
/// The most subscriptions of a connection that are described.
const DESCRIBED_MAX: usize = 10_000;

/// The text in the close frame of a connection that an operator closes.
const CLOSED: &str = "closed by an operator";

/// The connections that an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The one with this session's number.
    Session(u64),
    /// Those of this user.
    Sub(Box<str>),
    /// Those from these addresses.
    Addresses(Net),
}

impl Whom {
    fn means(&self, session: u64, socket: &Socket) -> bool {
        match self {
            Whom::Session(number) => *number == session,
            Whom::Sub(sub) => socket.admitted.sub().is_some_and(|own| **own == **sub),
            Whom::Addresses(network) => network.contains(socket.remote().ip),
        }
    }

    /// Someone who is closed by name should show who they are again; an address should stay away for a while.
    fn reason(&self) -> CloseReason {
        match self {
            Whom::Session(_) | Whom::Sub(_) => CloseReason::Unauthenticated,
            Whom::Addresses(_) => CloseReason::LimitExceeded,
        }
    }
}

/// One connection as `/v1/connections/SESSION` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionDetail {
    /// As in the list of connections. The number of its subscriptions is replaced by these:
    #[serde(flatten)]
    pub row: ConnectionRow,
    /// What it is subscribed to.
    pub subscriptions: Vec<Value>,
    /// The number of subscriptions that are not listed, because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub subscriptions_left_out: u64,
    /// Messages that it was sent, a second: the mean of the last ten.
    pub sent_per_s: f64,
    /// Messages that it has sent, likewise.
    pub received_per_s: f64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Who publishes to a topic, as `/v1/topics/TOPIC/publishers` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublisherDetail {
    /// Its session; `None` over HTTP.
    pub session: Option<String>,
    /// Who it is, if that is known.
    pub sub: Option<String>,
    /// Where it comes from.
    pub address: IpAddr,
    /// When it last published, in microseconds since the UNIX epoch.
    pub last_ts: u64,
    /// Its updates that took a `seq`.
    pub updates: u64,
}

impl PublisherDetail {
    /// A publisher over a connection whose session has this name.
    pub(crate) fn of(row: PublisherRow<u64, Origin>, session: Box<str>) -> Self {
        let Origin { sub, address } = row.who;
        Self {
            session: Some(session.into()),
            sub: sub.map(|sub| sub.as_ref().to_owned()),
            address: IpAddr::from(address).to_canonical(),
            last_ts: row.last_ts,
            updates: row.updates,
        }
    }
}

/// Questions of operators that are not answered yet.
#[derive(Default)]
pub(super) struct Questions(VecDeque<Question>);

struct Question {
    /// The number of the connection to visit next.
    next: ConnId,
    what: What,
}

enum What {
    Close { whom: Arc<Whom>, closed: u64, answer: oneshot::Sender<u64> },
    Find { session: u64, answer: oneshot::Sender<Option<ConnectionDetail>> },
    Describe { session: u64, subscriptions: Vec<Value>, answer: oneshot::Sender<Option<ConnectionDetail>> },
}

impl Questions {
    pub(super) fn close(&mut self, whom: Arc<Whom>, answer: oneshot::Sender<u64>) {
        self.0.push_back(Question { next: 0, what: What::Close { whom, closed: 0, answer } });
    }

    pub(super) fn describe(&mut self, session: u64, answer: oneshot::Sender<Option<ConnectionDetail>>) {
        self.0.push_back(Question { next: 0, what: What::Find { session, answer } });
    }
}

impl Driver {
    /// Does a portion of the oldest question. Returns whether there is more to do.
    pub(super) fn answer_operator(&mut self) -> bool {
        if let Some(question) = self.questions.0.pop_front()
            && let Some(rest) = self.portion_of(question)
        {
            self.questions.0.push_front(rest);
        }
        !self.questions.0.is_empty()
    }

    /// Returns what is left to do.
    fn portion_of(&mut self, Question { next, what }: Question) -> Option<Question> {
        match what {
            What::Close { whom, closed, answer } => {
                let (next, closed) = self.close_some(next, &whom, closed);
                if let Some(next) = next {
                    return Some(Question { next, what: What::Close { whom, closed, answer } });
                }
                // Fails if nobody waits any more; they are closed all the same.
                let _ = answer.send(closed);
            }
            What::Find { session, answer } if answer.is_closed() => drop((session, answer)),
            What::Find { session, answer } => {
                let end = next.saturating_add(LOOKED_AT).min(self.shard.connections_bound());
                let is_it =
                    |id: &ConnId| self.shard.session_with_sink(*id).is_some_and(|(number, _)| number == session);
                if let Some(next) = (next..end).find(is_it) {
                    return Some(Question {
                        next,
                        what: What::Describe { session, subscriptions: Vec::new(), answer },
                    });
                }
                if end < self.shard.connections_bound() {
                    return Some(Question { next: end, what: What::Find { session, answer } });
                }
                let _ = answer.send(None);
            }
            What::Describe { session, mut subscriptions, answer } => {
                if self.shard.session_with_sink(next).is_none_or(|(number, _)| number != session) {
                    // It has gone meanwhile.
                    let _ = answer.send(None);
                    return None;
                }
                let more = self.shard.subscriptions(next, subscriptions.len(), DESCRIBED_AT_ONCE);
                let is_all = more.len() < DESCRIBED_AT_ONCE;
                subscriptions.extend(more.iter().map(described));
                if !is_all && subscriptions.len() < DESCRIBED_MAX {
                    return Some(Question { next, what: What::Describe { session, subscriptions, answer } });
                }
                let _ = answer.send(self.detail(next, subscriptions));
            }
        }
        None
    }

    /// Closes some of the connections that are meant. Returns the one to go on with, if there are more, and how many
    /// were closed.
    fn close_some(&mut self, from: ConnId, whom: &Whom, mut closed: u64) -> (Option<ConnId>, u64) {
        let (bound, most) = (self.shard.connections_bound(), closed + CLOSED_AT_ONCE);
        let end = from.saturating_add(LOOKED_AT).min(bound);
        for id in from..end {
            if closed == most {
                return (Some(id), closed);
            }
            let is_meant =
                self.shard.session_with_sink(id).is_some_and(|(session, socket)| whom.means(session, socket));
            if is_meant && !self.shard.is_closing(id) {
                self.shard.close(now(), id, whom.reason(), CLOSED);
                closed += 1;
            }
        }
        ((end < bound).then_some(end), closed)
    }

    fn detail(&self, id: ConnId, subscriptions: Vec<Value>) -> Option<ConnectionDetail> {
        let row = self.row(id)?;
        let (sent, received) = self.shard.rates(id, now());
        let rounded = |rate: f64| (rate * 10.0).round() / 10.0;
        let subscriptions_left_out = row.subscriptions.saturating_sub(subscriptions.len() as u64);
        let (sent_per_s, received_per_s) = (rounded(sent), rounded(received));
        Some(ConnectionDetail { row, subscriptions, subscriptions_left_out, sent_per_s, received_per_s })
    }
}

fn described(subscription: &SubscriptionDetail) -> Value {
    let key = if subscription.is_pattern { "pattern" } else { "topic" };
    let from = match subscription.from {
        Beginning::Image => json!("image"),
        Beginning::Live => json!("live"),
        Beginning::Resume => json!("resume"),
        Beginning::Last(updates) => json!({ "last": updates }),
    };
    json!({ key: subscription.name, "conflate_ms": subscription.conflate_ms, "from": from })
}
