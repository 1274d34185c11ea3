//! Where each topic stands, and whom it concerns: every message of a topic is checked here and becomes events.

use std::collections::HashMap;
use std::sync::Arc;

use crate::continuity::{Added, Asked, Track, Violation};
use crate::event::{Event, GapReason, Start, TopicStart};
use crate::request::SubscriptionId;

/// The topics whose stream has started, and those of the connections before that have not started again.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) by_name: HashMap<Arc<str>, Topic>,
    /// Counts connections: a topic of an earlier one has not started on this one.
    pub(super) connection: u64,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) track: Track,
    pub(super) routes: Vec<Route>,
    connection: u64,
    /// The last update of the connection before, where this stream did not resume from it: a hole up to the first
    /// retained update is lost to a lost connection, and nobody but us can tell.
    carried: Option<u64>,
    conflate_ms: u32,
}

/// A subscription that gets the topic.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) subscription: SubscriptionId,
    /// It was told how the stream starts. One that joins a running stream was not.
    introduced: bool,
}

/// Events for the subscriptions of one topic, in order.
pub(super) type Told = Vec<(SubscriptionId, Event)>;

impl Topics {
    /// How many topics a pattern would find here.
    pub(super) fn matching(&self, pattern: &broker_protocol::Pattern) -> u64 {
        self.by_name.keys().filter(|name| pattern.matches(name)).count() as u64
    }

    /// A stream starts. `covering` is only asked for a topic that is new. While a connection is `restoring` what was
    /// before, a stream may start more than once, and none of that is what the program asked for.
    pub(super) fn begin(
        &mut self,
        start: TopicStart,
        asked: Asked<'_>,
        restoring: bool,
        covering: impl FnOnce() -> Vec<SubscriptionId>,
        told: &mut Told,
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
            // The stream goes on after the newest update: what came while we were away is lost.
            Some(last) if start.start == Start::Live && last < start.seq => topic.missed(last + 1, start.seq, told),
            Some(last) if start.start == Start::History => topic.carried = Some(last),
            _ => {}
        }
        if let Some(violation) = &violation {
            topic.tell(told, |name| Event::Violation { topic: name, violation: violation.clone() });
        }
        for route in &mut topic.routes {
            route.introduced = true;
            told.push((route.subscription, Event::Topic(start.clone())));
        }
        violation
    }

    /// A message of a topic. `check` says whether it may come, and what it adds; then `event`, which is told where that
    /// begins if not with the message, goes to everyone whom it concerns. `covering` is only asked for a topic that never
    /// started.
    pub(super) fn take(
        &mut self,
        name: &str,
        first: Option<u64>,
        check: impl FnOnce(&mut Track) -> Result<Added, Violation>,
        event: impl FnOnce(Arc<str>, &Track, Option<u64>) -> Event,
        covering: impl FnOnce() -> Vec<SubscriptionId>,
        told: &mut Told,
    ) -> Option<Violation> {
        // Twice looked up, because the borrow checker cannot see that the first reference is gone; only a fault pays it.
        let topic = match self.by_name.get_mut(name) {
            Some(topic) => topic,
            None => self.unstarted(name, covering()),
        };
        if let (Some(last), Some(first)) = (topic.carried.take(), first)
            && last + 1 < first
        {
            topic.missed(last + 1, first - 1, told);
        }
        topic.introduce(told);
        let (from, violation) = match check(&mut topic.track) {
            Ok(Added::All) => (None, None),
            Ok(Added::From(from)) => (Some(from), None),
            Ok(Added::Nothing) => return None,
            Err(violation) => (None, Some(violation)),
        };
        if let Some(violation) = &violation {
            topic.tell(told, |name| Event::Violation { topic: name, violation: violation.clone() });
        }
        if let Some((last, others)) = topic.routes.split_last() {
            let came = event(topic.name.clone(), &topic.track, from);
            told.extend(others.iter().map(|route| (route.subscription, came.clone())));
            told.push((last.subscription, came));
        }
        violation
    }

    /// Something came of a topic that did not start. It gets a record, so that the fault is told once.
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

    /// A subscription joins the streams that run already and that it covers.
    pub(super) fn join(&mut self, id: SubscriptionId, covers: impl Fn(&str) -> bool) {
        self.by_name.values_mut().filter(|topic| covers(&topic.name)).for_each(|topic| topic.join(id));
    }

    /// The same for one topic.
    pub(super) fn join_one(&mut self, id: SubscriptionId, name: &str) {
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.join(id);
        }
    }

    /// A subscription is over.
    pub(super) fn leave(&mut self, id: SubscriptionId) {
        self.by_name.values_mut().for_each(|topic| topic.routes.retain(|route| route.subscription != id));
    }

    /// Takes out the topics that have not started on this connection: of those that are not `named`, when all of its
    /// patterns have brought in what there is, none is left that lives.
    pub(super) fn ended(&mut self, named: impl Fn(&str) -> bool, told: &mut Told) {
        let connection = self.connection;
        let gone = self.by_name.extract_if(|name, topic| topic.connection != connection && !named(name));
        for (_, topic) in gone {
            topic.tell(told, |name| Event::Closed { topic: name });
        }
    }

    /// Of some topics, subscriptions that do not cover them any more leave, and topics that nobody is left of go.
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

impl Route {
    fn new(subscription: SubscriptionId) -> Route {
        Route { subscription, introduced: false }
    }
}

impl Topic {
    fn join(&mut self, id: SubscriptionId) {
        if self.routes.iter().all(|route| route.subscription != id) {
            self.routes.push(Route::new(id));
        }
    }

    /// The last update before a stream that did not resume, and goes on in the same epoch after we were away.
    fn lost(&self, start: &TopicStart, asked: Asked<'_>, away: bool) -> Option<u64> {
        let position = self.track.position()?;
        let anew = away && !matches!(asked, Asked::Position(_));
        (anew && Some(&position.epoch) == start.epoch.as_ref()).then_some(position.seq)
    }

    fn missed(&self, from: u64, to: u64, told: &mut Told) {
        self.tell(told, |name| Event::Gap { topic: name, from, to, reason: GapReason::Disconnected });
    }

    fn tell(&self, told: &mut Told, event: impl Fn(Arc<str>) -> Event) {
        told.extend(self.routes.iter().map(|route| (route.subscription, event(self.name.clone()))));
    }

    /// Who joined a running stream is told where it is.
    fn introduce(&mut self, told: &mut Told) {
        if self.routes.iter().all(|route| route.introduced) {
            return;
        }
        let (start, seq) = self.track.joined();
        let begin = TopicStart {
            topic: self.name.clone(),
            kind: self.track.kind(),
            epoch: self.track.epoch().cloned(),
            seq,
            oldest: seq + 1,
            start,
            conflate_ms: self.conflate_ms,
        };
        for route in self.routes.iter_mut().filter(|route| !route.introduced) {
            route.introduced = true;
            told.push((route.subscription, Event::Topic(begin.clone())));
        }
    }
}
