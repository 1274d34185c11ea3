//! From the wire to the program: answers find their request, updates their subscriptions.

use super::topics::Told;
use super::{Book, Delivery};
use crate::connection_event::ConnectionEvent;
use crate::error::{PublishError, RequestError};
use crate::event::{EntryError, Event, TopicStart};
use crate::publish::Published;
use crate::request::InFlight;
use crate::shared::{Count, Shared};
use crate::transport::{Broken, fault};
use crate::wire::incoming::{Incoming, Rejected};
use crate::wire::outgoing::SubscribeEntry;
use crate::{Data, ErrorCode, Kind};

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
                self.begin(start, None, shared, &mut told);
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
                |topic, track| {
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
                |topic, _| Event::Patch { topic, seq, from, ts, source_ts, data: Data::new(data) },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Image { topic, epoch, seq, ts, source_ts, data } => topics.take(
                topic,
                None,
                |track| track.image(epoch, seq),
                |topic, track| {
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
                |topic, _| Event::Gap { topic, from, to, reason },
                || subscriptions.covering(topic),
                told,
            ),
            Incoming::Closed { topic } => {
                let violation = topics.take(
                    topic,
                    None,
                    |track| track.closed(),
                    |topic, _| Event::Closed { topic },
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

    fn begin(
        &mut self,
        start: TopicStart,
        asked: Option<&crate::continuity::Position>,
        shared: &Shared,
        told: &mut Told,
    ) {
        let Book { topics, subscriptions, .. } = self;
        let name = start.topic.clone();
        if !topics.by_name.contains_key(&name) {
            subscriptions.introduced(&name);
        }
        let violation = topics.begin(start, asked, || subscriptions.covering(&name), told);
        if let Some(violation) = violation {
            shared.count(Count::Violations, 1);
            tracing::warn!(%violation, topic = %name, "the broker broke continuity");
        }
    }

    fn answer(
        &mut self,
        message: Incoming<'_>,
        shared: &Shared,
        told: &mut Told,
        out: &mut Vec<Delivery>,
    ) -> Result<(), Broken> {
        let id = match &message {
            Incoming::Subscribed { id, .. }
            | Incoming::Unsubscribed { id }
            | Incoming::Published { id, .. }
            | Incoming::PublishedBatch { id, .. }
            | Incoming::Subscriptions { id, .. }
            | Incoming::Pong { id, .. } => Some(*id),
            Incoming::Error { id, .. } => *id,
            _ => None,
        };
        let Some(request) = id.and_then(|id| self.answered(id)) else {
            return match message {
                Incoming::Error { code, message, .. } => {
                    shared.tell(ConnectionEvent::Error { code: code.as_str().to_owned(), message });
                    Ok(())
                }
                _ => Err(fault(1002, "an answer to nothing that was asked")),
            };
        };
        // The writer may have waited for it.
        shared.outbox.wake();
        let result = match (request, message) {
            (request, Incoming::Error { code, message, retry, .. }) => {
                self.refused_request(request, code, &message, retry, shared, out);
                Ok(())
            }
            (InFlight::Publish { answer, .. }, Incoming::Published { topic, epoch, seq, duplicate, .. }) => {
                let _ = answer.send(Ok(Published { topic, epoch, seq, duplicate }));
                Ok(())
            }
            (InFlight::Batch(part), Incoming::PublishedBatch { accepted, duplicates, rejected, .. }) => {
                part.collector.answered(&part, accepted, duplicates, rejected);
                Ok(())
            }
            (InFlight::Unacknowledged(_), Incoming::Published { .. }) => Ok(()),
            (InFlight::Unacknowledged(entries), Incoming::PublishedBatch { rejected, .. }) => {
                for Rejected { index, code, message } in rejected {
                    if let Some(entry) = entries.get(index) {
                        shared.unacknowledged(entry, PublishError::Refused { code, message, retry: code.retry() });
                    }
                }
                Ok(())
            }
            (
                InFlight::Subscribe { subscription, entries, restores },
                Incoming::Subscribed { topics, patterns, errors, .. },
            ) => {
                // Entries that were only to resume a pattern's topics are nobody's: the pattern brings them in anew.
                errors.iter().for_each(|error| out.extend(self.refused(error)));
                self.subscribed(subscription, &entries, topics, shared, told);
                self.matched(patterns);
                if restores {
                    self.restored();
                }
                Ok(())
            }
            (InFlight::Release { entries }, Incoming::Unsubscribed { .. }) => {
                self.forget(&entries);
                Ok(())
            }
            (InFlight::Unsubscribe { entries, answer }, Incoming::Unsubscribed { .. }) => {
                self.forget(&entries);
                drop(answer.map(|answer| answer.send(Ok(()))));
                Ok(())
            }
            (InFlight::List { answer }, Incoming::Subscriptions { rows, .. }) => {
                let _ = answer.send(Ok(rows));
                Ok(())
            }
            (InFlight::Ping { answer }, Incoming::Pong { ts, .. }) => {
                let _ = answer.send(Ok(ts));
                Ok(())
            }
            _ => Err(fault(1002, "an answer of another kind than the request")),
        };
        self.flush();
        result
    }

    /// The broker took entries, and says where their topics stand.
    fn subscribed(
        &mut self,
        subscription: u64,
        asked: &[SubscribeEntry],
        topics: Vec<TopicStart>,
        shared: &Shared,
        told: &mut Told,
    ) {
        for entry in asked {
            if self.subscriptions.establish(subscription, &entry.text) {
                match super::subscriptions::pattern_of(&entry.text) {
                    Some(pattern) => self.topics.join(subscription, |topic| pattern.matches(topic)),
                    None => self.topics.join_one(subscription, &entry.text),
                }
            }
        }
        for start in topics {
            let resume = asked.iter().find(|entry| *entry.text == *start.topic).and_then(|entry| entry.resume.clone());
            self.begin(start, resume.as_ref(), shared, told);
        }
        self.subscriptions.message_answered(subscription);
    }

    /// The broker took patterns, and says how many topics each matched.
    fn matched(&mut self, patterns: Vec<(String, u64)>) {
        for (text, matched) in patterns {
            let known = super::subscriptions::pattern_of(&text).map_or(0, |pattern| self.topics.matching(&pattern));
            self.subscriptions.matched(&text, matched, known);
        }
    }

    /// An entry is refused: whoever had it is told.
    pub(super) fn refused(&mut self, refused: &EntryError) -> Vec<Delivery> {
        let told = self.subscriptions.refuse(refused);
        self.forget(std::slice::from_ref(&refused.entry));
        told.into_iter().map(|events| (events, Event::Refused(refused.clone()))).collect()
    }

    /// The request as a whole was refused.
    fn refused_request(
        &mut self,
        request: InFlight,
        code: ErrorCode,
        message: &str,
        retry: bool,
        shared: &Shared,
        out: &mut Vec<Delivery>,
    ) {
        let publish = || PublishError::Refused { code, message: message.to_owned(), retry };
        let other = || RequestError::Refused { code, message: message.to_owned(), retry };
        match request {
            InFlight::Publish { answer, .. } => drop(answer.send(Err(publish()))),
            InFlight::Batch(part) => part.collector.fail(publish()),
            InFlight::Unacknowledged(entries) => {
                entries.iter().for_each(|entry| shared.unacknowledged(entry, publish()));
            }
            InFlight::Subscribe { subscription, entries, restores } => {
                for entry in entries {
                    let message = message.to_owned();
                    out.extend(self.refused(&EntryError { entry: entry.text, code, message, retry }));
                }
                self.subscriptions.message_answered(subscription);
                if restores {
                    self.restored();
                }
            }
            InFlight::Release { .. } => {}
            InFlight::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Err(other())))),
            InFlight::List { answer } => drop(answer.send(Err(other()))),
            InFlight::Ping { answer } => drop(answer.send(Err(other()))),
            InFlight::Flush { .. } => {}
        }
    }

    /// Entries are gone: topics that concern nobody any more are forgotten, and so are those that ended under a pattern.
    fn forget(&mut self, entries: &[String]) {
        let Book { topics, subscriptions, .. } = self;
        for entry in entries {
            match super::subscriptions::pattern_of(entry) {
                Some(pattern) => {
                    topics.refresh(|name| pattern.matches(name), |id, name| subscriptions.covers(id, name));
                }
                None => topics.refresh_one(entry, |id, name| subscriptions.covers(id, name)),
            }
            if let Some(topic) = topics.by_name.get(entry.as_str())
                && topic.track.waits()
                && !subscriptions.is_named(entry)
            {
                topics.by_name.remove(entry.as_str());
            }
        }
    }
}
