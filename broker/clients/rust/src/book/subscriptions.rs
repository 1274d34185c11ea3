//! The program's subscriptions: a record of each, the topics that they cover, and what was refused for now.

use std::collections::{BTreeMap, HashSet};

use tokio::sync::mpsc;

use super::coverage::Coverage;
use super::record::{Record, RecordEntry};
use super::refusals::Refusals;
use crate::error::{ClosedReason, RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::request::{NewSubscription, SubscriptionId};
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    records: BTreeMap<SubscriptionId, Record>,
    /// The entries that the broker has accepted.
    pub(super) coverage: Coverage,
    /// The entries that the broker has refused for now.
    pub(super) refusals: Refusals,
}

impl Subscriptions {
    pub(super) fn add(&mut self, new: NewSubscription) -> &Record {
        self.records.entry(new.id).or_insert_with(|| Record::new(new))
    }

    /// Removes a subscription. Returns the entries that no other subscription has.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Vec<String> {
        let Some(record) = self.records.remove(&id) else { return Vec::new() };
        self.coverage.remove_all(id, record.texts());
        let others = self.names();
        let texts = record.entries().map(|entry| &entry.entry.text);
        let alone: Vec<String> = texts.filter(|text| !others.contains(text.as_str())).cloned().collect();
        alone.iter().for_each(|text| self.refusals.over(text));
        alone
    }

    /// How many entries all subscriptions have.
    pub(super) fn entries(&self) -> usize {
        self.records.values().map(Record::len).sum()
    }

    /// The entries of all subscriptions.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.records.values().flat_map(Record::texts).collect()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (SubscriptionId, &Record)> {
        self.records.iter().map(|(id, record)| (*id, record))
    }

    pub(super) fn options(&self, id: SubscriptionId) -> Option<SubscribeOptions> {
        self.records.get(&id).map(|record| record.options)
    }

    pub(super) fn events(&self, id: SubscriptionId) -> Option<&mpsc::Sender<Event>> {
        self.records.get(&id).map(|record| &record.events)
    }

    /// Records that the broker accepted an entry. Returns whether the subscription newly has it.
    pub(super) fn establish(&mut self, id: SubscriptionId, text: &str) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        let is_new = record.establish(text);
        self.refusals.over(text);
        if is_new {
            self.coverage.add(id, text);
        }
        is_new
    }

    /// Handles the refusal of an entry. After a refusal for now, the subscriptions that have the entry keep
    /// it; after any other they lose it. Returns where to report it. A program that still waits for the first answer to
    /// its subscription gets the refusal in that answer instead.
    pub(super) fn refuse(&mut self, refused: &EntryError) -> Vec<mpsc::Sender<Event>> {
        if refused.retry {
            return self.refuse_for_now(refused);
        }
        self.refusals.over(&refused.entry);
        let mut reported = Vec::new();
        for (id, record) in &mut self.records {
            if record.remove(&refused.entry) {
                self.coverage.remove(*id, &refused.entry);
                reported.extend(record.refused(refused));
            }
        }
        reported
    }

    /// A refusal for now is reported once, however often it is repeated.
    fn refuse_for_now(&mut self, refused: &EntryError) -> Vec<mpsc::Sender<Event>> {
        let mut having = self.records.values_mut().filter(|record| record.has(&refused.entry)).peekable();
        if having.peek().is_none() || !self.refusals.refused(&refused.entry, refused.code) {
            return Vec::new();
        }
        having.filter_map(|record| record.refused(refused)).collect()
    }

    pub(super) fn message_sent(&mut self, id: SubscriptionId) {
        if let Some(progress) = self.records.get_mut(&id).and_then(|record| record.progress.as_mut()) {
            progress.messages += 1;
        }
    }

    /// Counts one of a subscription's messages as answered. After the last, the program gets its answer.
    pub(super) fn message_answered(&mut self, id: SubscriptionId) {
        if let Some(progress) = self.records.get_mut(&id).and_then(|record| record.progress.as_mut()) {
            progress.messages = progress.messages.saturating_sub(1);
        }
        self.settle(id);
    }

    /// Answers the program if all messages of its subscription have been answered.
    pub(super) fn settle(&mut self, id: SubscriptionId) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let Some(progress) = record.progress.take_if(|progress| progress.messages == 0) else { return };
        let is_refused = |entry: &RecordEntry| !entry.established && self.refusals.contains(&entry.entry.text);
        // If everything is refused, the program can decide for itself whether to ask again.
        if record.entries().all(is_refused) {
            self.remove(id);
            let _ = progress.answer.send(Err(SubscribeError::Refused(progress.refused)));
        } else {
            let _ = progress.answer.send(Ok(progress.refused));
        }
    }

    /// Forgets the messages whose answers were lost with their connection.
    pub(super) fn forget_progress(&mut self) {
        for record in self.records.values_mut() {
            if let Some(progress) = &mut record.progress {
                progress.messages = 0;
            }
            record.ready = record.ready.map(|_| 0);
        }
        self.refusals.lost();
    }

    /// The subscriptions that have one of these entries and still wait for `ready`.
    pub(super) fn waiting_for(&self, entries: &[SubscribeEntry]) -> Vec<SubscriptionId> {
        let waiting = self.records.iter().filter(|(_, record)| record.ready.is_some());
        let concerned = waiting.filter(|(_, record)| entries.iter().any(|entry| record.has(&entry.text)));
        concerned.map(|(id, _)| *id).collect()
    }

    /// Counts a message that asks for `ready` for these subscriptions.
    pub(super) fn ready_asked(&mut self, ids: &[SubscriptionId]) {
        for id in ids {
            if let Some(ready) = self.records.get_mut(id).and_then(|record| record.ready.as_mut()) {
                *ready += 1;
            }
        }
    }

    /// Counts one of those messages as begun. Returns, once, whether it was the last of
    /// them.
    pub(super) fn begun(&mut self, id: SubscriptionId) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        record.ready = record.ready.map(|messages| messages.saturating_sub(1));
        record.ready.take_if(|messages| *messages == 0).is_some()
    }

    /// Ends all subscriptions.
    pub(super) fn close(self, reason: &ClosedReason) {
        for record in self.records.into_values() {
            if let Some(progress) = record.progress {
                let _ = progress.answer.send(Err(SubscribeError::Request(RequestError::Closed(reason.clone()))));
            }
        }
    }
}
