//! One connection as shown to an operator: what it is subscribed to, and how much it is sent.

use super::conn::{Target, interval, ladder};
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::publishers::PublisherRow;
use crate::sink::{Origin, Sink};
use crate::topic::Topic;

pub use super::conn::Beginning;

/// One subscription of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionDetail {
    /// The topic or the pattern.
    pub name: Box<str>,
    /// Whether it is a pattern.
    pub is_pattern: bool,
    /// The interval at which it is sent changes; 0 is every update.
    pub conflate_ms: u32,
    /// How it was asked to begin.
    pub from: Beginning,
}

impl<S: Sink> Shard<S> {
    /// One above the highest number that a connection may have.
    pub fn connections_bound(&self) -> ConnId {
        self.conns.bound() as ConnId
    }

    /// A connection's session and its sink.
    pub fn session_with_sink(&self, id: ConnId) -> Option<(u64, &S)> {
        self.conns.get(id).filter(|conn| !conn.gone).map(|conn| (conn.session, &conn.sink))
    }

    /// A connection's subscriptions from the `skip`-th on, at most `count`. Their order is that of no list, and stays as
    /// long as none is added or removed.
    pub fn subscriptions(&self, id: ConnId, skip: usize, count: usize) -> Vec<SubscriptionDetail> {
        let Some(conn) = self.conns.get(id).filter(|conn| !conn.gone) else { return Vec::new() };
        let some = conn.subscriptions.iter().skip(skip).take(count);
        some.map(|(target, subscription)| {
            let (name, is_pattern, conflate_ms): (&str, _, _) = match target {
                Target::Topic(name_id) => {
                    let followed = &self.follows.names[name_id];
                    let conflate_ms = match &followed.topic {
                        Some(topic) => interval(subscription.step, topic),
                        None => ladder(subscription.step),
                    };
                    (&followed.name, false, conflate_ms)
                }
                Target::Pattern(group) => {
                    (self.follows.groups[group].pattern.as_str(), true, ladder(subscription.step))
                }
            };
            SubscriptionDetail { name: name.into(), is_pattern, conflate_ms, from: subscription.asked.into() }
        })
        .collect()
    }

    /// Who published to a topic in the last ten minutes over this shard's connections, by the session's number; the newest
    /// first, at most `count`.
    pub fn publishers(&self, now: Now, topic: &Topic, count: usize) -> Vec<PublisherRow<u64, Origin>> {
        self.publishers.of(now, topic, count)
    }
}
