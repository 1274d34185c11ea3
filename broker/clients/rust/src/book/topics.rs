//! The streams of all topics: every message of a topic is checked here and becomes events.

use std::collections::HashMap;
use std::sync::Arc;

use super::topic::{Addressed, Route, Topic};
use crate::continuity::{Added, Asked, Track};
use crate::event::{Event, Start, TopicStart};
use crate::request::SubscriptionId;
use crate::violation::Violation;

/// The topics whose stream has started, and those of earlier connections whose stream has not started again.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) by_name: HashMap<Arc<str>, Topic>,
    /// The number of the current connection. A topic with a lower number has not started on it.
    pub(super) connection: u64,
}

impl Topics {
    /// How many of these topics a pattern matches.
    pub(super) fn matching(&self, pattern: &broker_protocol::Pattern) -> u64 {
        self.by_name.keys().filter(|name| pattern.matches(name)).count() as u64
    }

    /// Starts a stream. `covering` is only called for a topic that is new. While a connection is `restoring` what was
    /// subscribed before, a stream may start more than once, and none of these starts is what the program asked for.
    pub(super) fn begin(
        &mut self,
        start: TopicStart,
        asked: Asked<'_>,
        restoring: bool,
        covering: impl FnOnce() -> Vec<SubscriptionId>,
        addressed: &mut Addressed,
    ) -> Option<Violation> {
        let before = self.by_name.get_mut(&start.topic);
        let lost = before.as_deref().and_then(|topic| {
            let away = restoring || topic.connection != self.connection;
            topic.lost(&start, asked, away)
        });
        let (track, violation) = Track::begin(&start, asked, before.as_deref().map(|topic| &topic.track));
        let topic = match before {
            Some(topic) => {
                topic.track = track;
                topic
            }
            None => self.by_name.entry(start.topic.clone()).or_insert_with(|| Topic {
                name: start.topic.clone(),
                track,
                routes: covering().into_iter().map(Route::new).collect(),
                connection: 0,
                carried: None,
                conflate_ms: 0,
            }),
        };
        topic.connection = self.connection;
        topic.conflate_ms = start.conflate_ms;
        topic.carried = None;
        match lost {
            // The stream continues after the newest update: what was published while we were away is lost.
            Some(last) if start.start == Start::Live && last < start.seq => {
                topic.missed(last + 1, start.seq, addressed)
            }
            Some(last) if start.start == Start::History => topic.carried = Some(last),
            _ => {}
        }
        if let Some(violation) = &violation {
            topic.report(addressed, |name| Event::Violation { topic: name, violation: violation.clone() });
        }
        for route in &mut topic.routes {
            route.introduced = true;
            addressed.push((route.subscription, Event::Topic(start.clone())));
        }
        violation
    }

    /// Handles a message of a topic. `check` returns whether it may come here, and what it adds; `event` makes the
    /// event for all subscriptions that get the topic, from the number where that begins if it is not the message's
    /// own. `covering` is only called for a topic that never started.
    pub(super) fn take(
        &mut self,
        name: &str,
        first: Option<u64>,
        check: impl FnOnce(&mut Track) -> Result<Added, Violation>,
        event: impl FnOnce(Arc<str>, &Track, Option<u64>) -> Event,
        covering: impl FnOnce() -> Vec<SubscriptionId>,
        addressed: &mut Addressed,
    ) -> Option<Violation> {
        // The second lookup is for the borrow checker, which cannot see that the first reference is gone. Only a fault
        // pays for it.
        let topic = match self.by_name.get_mut(name) {
            Some(topic) => topic,
            None => self.unstarted(name, covering()),
        };
        if let (Some(last), Some(first)) = (topic.carried.take(), first)
            && last + 1 < first
        {
            topic.missed(last + 1, first - 1, addressed);
        }
        topic.introduce(addressed);
        let (from, violation) = match check(&mut topic.track) {
            Ok(Added::All) => (None, None),
            Ok(Added::From(from)) => (Some(from), None),
            Ok(Added::Nothing) => return None,
            Err(violation) => (None, Some(violation)),
        };
        if let Some(violation) = &violation {
            topic.report(addressed, |name| Event::Violation { topic: name, violation: violation.clone() });
        }
        if let Some((last, others)) = topic.routes.split_last() {
            let event = event(topic.name.clone(), &topic.track, from);
            addressed.extend(others.iter().map(|route| (route.subscription, event.clone())));
            addressed.push((last.subscription, event));
        }
        violation
    }

    /// Adds a topic of which a message came although its stream had not started, so that the fault is reported once.
    fn unstarted(&mut self, name: &str, covering: Vec<SubscriptionId>) -> &mut Topic {
        let name: Arc<str> = Arc::from(name);
        let start = TopicStart {
            topic: name.clone(),
            kind: None,
            epoch: None,
            seq: 0,
            oldest: 1,
            start: Start::Live,
            conflate_ms: 0,
        };
        let (track, _) = Track::begin(&start, Asked::Nothing, None);
        let routes = covering.into_iter().map(|id| Route { subscription: id, introduced: true }).collect();
        let topic =
            Topic { name: name.clone(), track, routes, connection: self.connection, carried: None, conflate_ms: 0 };
        self.by_name.entry(name).or_insert(topic)
    }

    /// Adds a subscription to the running streams that it covers.
    pub(super) fn join(&mut self, id: SubscriptionId, covers: impl Fn(&str) -> bool) {
        self.by_name.values_mut().filter(|topic| covers(&topic.name)).for_each(|topic| topic.join(id));
    }

    /// The same for one topic.
    pub(super) fn join_one(&mut self, id: SubscriptionId, name: &str) {
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.join(id);
        }
    }

    /// Removes a subscription from all streams.
    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.by_name.values_mut().for_each(|topic| topic.routes.retain(|route| route.subscription != id));
    }

    /// Takes out the topics that have not started on this connection and are not `named`. Once all patterns of the
    /// connection have brought in their topics, such a topic does not exist any more.
    pub(super) fn ended(&mut self, named: impl Fn(&str) -> bool, addressed: &mut Addressed) {
        let connection = self.connection;
        let gone = self.by_name.extract_if(|name, topic| topic.connection != connection && !named(name));
        for (_, topic) in gone {
            topic.report(addressed, |name| Event::Closed { topic: name });
        }
    }

    /// Removes, from the topics that `which` selects, the subscriptions that do not cover them any more, and then the
    /// topics that no subscription is left of.
    pub(super) fn refresh(&mut self, which: impl Fn(&str) -> bool, covers: impl Fn(SubscriptionId, &str) -> bool) {
        self.by_name.retain(|name, topic| {
            if !which(name) {
                return true;
            }
            topic.routes.retain(|route| covers(route.subscription, name));
            !topic.routes.is_empty()
        });
    }

    /// The same for one topic.
    pub(super) fn refresh_one(&mut self, name: &str, covers: impl Fn(SubscriptionId, &str) -> bool) {
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.routes.retain(|route| covers(route.subscription, name));
            if topic.routes.is_empty() {
                self.by_name.remove(name);
            }
        }
    }
}
