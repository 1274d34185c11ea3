//! From the wire to the program: updates find their subscriptions; answers are in [`super::answer`].

use super::topics::Told;
use super::{Book, Delivery};
use crate::connection_event::ConnectionEvent;
use crate::continuity::Asked;
use crate::event::{Event, TopicStart};
use crate::shared::{Count, Shared};
use crate::transport::Broken;
use crate::wire::incoming::Incoming;
use crate::{Data, Kind};

impl Book {
    /// Takes one message in. Events for subscriptions go to `out`; an answer that fits no request breaks the connection.
    pub(crate) fn receive(
        &mut self,
        message: Incoming<'_>,
        shared: &Shared,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Broken> {
        out.append(&mut self.late);
        let mut told = Told::new();
        let result = match message {
            Incoming::Update { .. } | Incoming::Image { .. } | Incoming::Gap { .. } | Incoming::Closed { .. } => {
                self.stream(message, shared, &mut told);
                Ok(())
            }
            Incoming::Topic(start) => {
                // A pattern may have brought it in, and that can only have gone on from an id.
                self.begin(start, Asked::Id, shared, &mut told);
                Ok(())
            }
            Incoming::Ready { id } => {
                self.ready(id, out);
                Ok(())
            }
            Incoming::Position { id } => {
                self.position(id, &mut told);
                Ok(())
            }
            Incoming::GoAway { reason, after_ms } => {
                shared.tell(ConnectionEvent::GoAway { reason, after_ms });
                Ok(())
            }
            Incoming::Heartbeat | Incoming::Unknown | Incoming::Hello(_) => Ok(()),
            answer => self.answer(answer, shared, &mut told, out),
        };
        out.extend(told.into_iter().filter_map(|(id, event)| {
            let events = self.subscriptions.events(id)?;
            Some((events.clone(), event))
        }));
        result
    }

    /// A message of a topic's stream.
    fn stream(&mut self, message: Incoming<'_>, shared: &Shared, told: &mut Told) {
        let Book { topics, subscriptions, .. } = self;
        let violation = match message {
            Incoming::Update { patch: false, topic, seq, from, ts, source_ts, data } => topics.take(
                topic,
                Some(from.unwrap_or(seq)),
                |track| track.update(from, seq),
                |topic, track, added| {
                    let from = added.or(from);
                    // A topic that merges patches takes whole states as well.
                    let kind =
                        if matches!(track.kind(), Some(Kind::State | Kind::Patch)) { Kind::State } else { Kind::Event };
                    Event::Update { topic, kind, seq, from, ts, source_ts, data: Data::new(data) }
                },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Update { topic, seq, from, ts, source_ts, data, .. } => topics.take(
                topic,
                Some(from.unwrap_or(seq)),
                |track| track.patch(from, seq),
                |topic, _, _| Event::Patch { topic, seq, from, ts, source_ts, data: Data::new(data) },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Image { topic, epoch, seq, ts, source_ts, data } => topics.take(
                topic,
                None,
                |track| track.image(epoch, seq),
                |topic, track, _| {
                    let epoch = track.epoch().cloned().unwrap_or_else(|| epoch.into());
                    Event::Image { topic, epoch, seq, ts, source_ts, data: Data::new(data) }
                },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Gap { topic, from, to, reason } => topics.take(
                topic,
                Some(from),
                |track| track.gap(from, to),
                |topic, _, added| Event::Gap { topic, from: added.unwrap_or(from), to, reason },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Closed { topic } => {
                let violation = topics.take(
                    topic,
                    None,
                    |track| track.closed(),
                    |topic, _, _| Event::Closed { topic },
                    || subscriptions.covering(topic),
                    told,
                );
                // Only a name that is subscribed itself has a future to wait for: a pattern introduces what it finds.
                if !subscriptions.is_named(topic) {
                    topics.by_name.remove(topic);
                }
                violation
            }
            _ => None,
        };
        if let Some(violation) = violation {
            shared.count(Count::Violations, 1);
            tracing::warn!(%violation, "the broker broke continuity");
        }
    }

    pub(super) fn begin(&mut self, start: TopicStart, asked: Asked<'_>, shared: &Shared, told: &mut Told) {
        let restoring = !self.is_restored();
        let Book { topics, subscriptions, .. } = self;
        let name = start.topic.clone();
        if !topics.by_name.contains_key(&name) {
            subscriptions.introduced(&name);
        }
        let violation = topics.begin(start, asked, restoring, || subscriptions.covering(&name), told);
        if let Some(violation) = violation {
            shared.count(Count::Violations, 1);
            tracing::warn!(%violation, topic = %name, "the broker broke continuity");
        }
    }
}
