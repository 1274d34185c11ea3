//! One topic's stream, and the subscriptions that get it.

use std::sync::Arc;

use crate::continuity::{Asked, Track};
use crate::event::{Event, GapReason, TopicStart};
use crate::request::SubscriptionId;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) track: Track,
    pub(super) routes: Vec<Route>,
    /// The connection on which the stream started last, by its number.
    pub(super) connection: u64,
    /// The last update received on the connection before, if this stream did not resume from it. Updates between it and
    /// the first retained one were lost with the connection, and only this client can know.
    pub(super) carried: Option<u64>,
    pub(super) conflate_ms: u32,
}

/// A subscription that gets the topic.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) subscription: SubscriptionId,
    /// It got the start of the stream. A subscription that joins a running stream has not.
    pub(super) introduced: bool,
}

/// Events, each with the subscription that it is for, in order.
pub(super) type Addressed = Vec<(SubscriptionId, Event)>;

impl Route {
    pub(super) fn new(subscription: SubscriptionId) -> Route {
        Route { subscription, introduced: false }
    }
}

impl Topic {
    pub(super) fn join(&mut self, id: SubscriptionId) {
        if self.routes.iter().all(|route| route.subscription != id) {
            self.routes.push(Route::new(id));
        }
    }

    /// The last update received before a stream that does not resume, but continues the same epoch after the connection
    /// was `away`.
    pub(super) fn lost(&self, start: &TopicStart, asked: Asked<'_>, away: bool) -> Option<u64> {
        let position = self.track.position()?;
        let anew = away && !matches!(asked, Asked::Position(_));
        (anew && Some(&position.epoch) == start.epoch.as_ref()).then_some(position.seq)
    }

    /// Reports updates that were lost with a connection.
    pub(super) fn missed(&self, from: u64, to: u64, addressed: &mut Addressed) {
        self.report(addressed, |name| Event::Gap { topic: name, from, to, reason: GapReason::Disconnected });
    }

    /// Sends an event to every subscription that gets the topic.
    pub(super) fn report(&self, addressed: &mut Addressed, event: impl Fn(Arc<str>) -> Event) {
        addressed.extend(self.routes.iter().map(|route| (route.subscription, event(self.name.clone()))));
    }

    /// Sends the state of the stream to each subscription that joined it while it was running.
    pub(super) fn introduce(&mut self, addressed: &mut Addressed) {
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
            addressed.push((route.subscription, Event::Topic(begin.clone())));
        }
    }
}
