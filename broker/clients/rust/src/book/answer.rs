//! Answers find their request, and tell whoever waits for them.

use std::collections::HashSet;

use super::subscriptions::pattern_of;
use super::topics::Told;
use super::{Book, Delivery};
use crate::ErrorCode;
use crate::connection_event::ConnectionEvent;
use crate::continuity::Asked;
use crate::error::{PublishError, RequestError};
use crate::event::{EntryError, Event, TopicStart};
use crate::publish::Published;
use crate::request::{Ask, InFlight};
use crate::shared::Shared;
use crate::transport::{Broken, fault};
use crate::wire::incoming::{Incoming, Rejected};
use crate::wire::outgoing::SubscribeEntry;

impl Book {
    /// Takes an answer in. One that fits no request breaks the connection.
    pub(super) fn answer(
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
            (InFlight::Subscribe(ask), Incoming::Error { id, code: ErrorCode::BadRequest, .. })
                if ask.options.positions || ask.options.resume.is_some() =>
            {
                let (subscription, restores) = (ask.subscription, ask.restores);
                self.ask_without_positions(ask);
                self.subscribe_is_over(id, subscription, restores, out);
                Ok(())
            }
            (InFlight::Subscribe(ask), Incoming::Error { id, code, message, retry }) => {
                let (subscription, restores) = (ask.subscription, ask.restores);
                for entry in ask.entries {
                    let message = message.clone();
                    out.extend(self.refused(&EntryError { entry: entry.text, code, message, retry }));
                }
                self.subscribe_is_over(id, subscription, restores, out);
                Ok(())
            }
            (request, Incoming::Error { code, message, retry, .. }) => {
                refused_request(request, code, &message, retry, shared);
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
                        shared.unacknowledged(entry, PublishError::refused(code, message, code.retry()));
                    }
                }
                Ok(())
            }
            (InFlight::Subscribe(mut ask), Incoming::Subscribed { topics, patterns, errors, .. }) => {
                if !errors.is_empty() {
                    let refused: HashSet<&str> = errors.iter().map(|error| error.entry.as_str()).collect();
                    ask.entries.retain(|entry| !refused.contains(entry.text.as_str()));
                }
                let of_ids = |entry: &SubscribeEntry| entry.resume.is_some() || ask.options.resume.is_some();
                for entry in &ask.entries {
                    self.places.answered(&entry.text, &ask.options, ask.restores && of_ids(entry));
                }
                // Entries that were only to resume a pattern's topics are nobody's: the pattern brings them in anew.
                errors.iter().for_each(|error| out.extend(self.refused(error)));
                self.subscribed(&ask, topics, shared, told);
                self.matched(patterns);
                if ask.restores {
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

    /// A `subscribe` was refused as a whole: nothing more of it is due.
    fn subscribe_is_over(&mut self, id: Option<u64>, subscription: u64, restores: bool, out: &mut Vec<Delivery>) {
        self.subscriptions.message_answered(subscription);
        if let Some(id) = id {
            self.ready(id, out);
        }
        if restores {
            self.restored();
        }
    }

    /// The broker took entries, and says where their topics stand.
    fn subscribed(&mut self, ask: &Ask, topics: Vec<TopicStart>, shared: &Shared, told: &mut Told) {
        let subscription = ask.subscription;
        for entry in &ask.entries {
            if self.subscriptions.establish(subscription, &entry.text) {
                match pattern_of(&entry.text) {
                    Some(pattern) => self.topics.join(subscription, |topic| pattern.matches(topic)),
                    None => self.topics.join_one(subscription, &entry.text),
                }
            }
        }
        for start in topics {
            let entry = ask.entries.iter().find(|entry| *entry.text == *start.topic);
            let asked = match entry.and_then(|entry| entry.resume.as_ref()) {
                Some(position) => Asked::Position(position),
                None if ask.options.resume.is_some() => Asked::Id,
                None => Asked::Nothing,
            };
            self.begin(start, asked, shared, told);
        }
        self.subscriptions.message_answered(subscription);
    }

    /// The broker took patterns, and says how many topics each matched.
    fn matched(&mut self, patterns: Vec<(String, u64)>) {
        for (text, matched) in patterns {
            let known = pattern_of(&text).map_or(0, |pattern| self.topics.matching(&pattern));
            self.subscriptions.matched(&text, matched, known);
        }
    }

    /// An entry is refused, for now or for good: whoever has it is told.
    pub(super) fn refused(&mut self, refused: &EntryError) -> Vec<Delivery> {
        let told = self.subscriptions.refuse(refused);
        if !self.subscriptions.refusals.contains(&refused.entry) {
            self.forget(std::slice::from_ref(&refused.entry));
        }
        told.into_iter().map(|events| (events, Event::Refused(refused.clone()))).collect()
    }

    /// Entries are gone: topics that concern nobody any more are forgotten, and so are those that ended under a pattern.
    fn forget(&mut self, entries: &[String]) {
        let Book { topics, subscriptions, places, .. } = self;
        for entry in entries {
            places.left(entry);
            match pattern_of(entry) {
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

/// A request was refused.
fn refused_request(request: InFlight, code: ErrorCode, message: &str, retry: bool, shared: &Shared) {
    let publish = || PublishError::refused(code, message.to_owned(), retry);
    let other = || RequestError::Refused { code, message: message.to_owned(), retry };
    match request {
        InFlight::Publish { answer, .. } => drop(answer.send(Err(publish()))),
        InFlight::Batch(part) => part.collector.fail(publish()),
        InFlight::Unacknowledged(entries) => {
            entries.iter().for_each(|entry| shared.unacknowledged(entry, publish()));
        }
        InFlight::Unsubscribe { answer, .. } => drop(answer.map(|answer| answer.send(Err(other())))),
        InFlight::List { answer } => drop(answer.send(Err(other()))),
        InFlight::Ping { answer } => drop(answer.send(Err(other()))),
        InFlight::Subscribe(_) | InFlight::Release { .. } | InFlight::Flush { .. } => {}
    }
}
