//! Who is subscribed to what: the records of the program's subscriptions, and which of them a topic concerns.
//!
//! On the wire a topic comes once per connection, with the options of the most specific entry. Here every subscription
//! that covers it gets it.

use std::collections::{BTreeMap, HashMap, HashSet};

use broker_protocol::Pattern;
use tokio::sync::mpsc;

use super::refusals::Refusals;

use crate::error::{ClosedReason, RequestError, SubscribeError};
use crate::event::{EntryError, Event};
use crate::request::{Answer, NewSubscription, SubscriptionId};
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    records: BTreeMap<SubscriptionId, Record>,
    /// Established entries that are topics.
    topics: HashMap<String, Vec<SubscriptionId>>,
    /// Established entries that are patterns, in the order of subscription.
    patterns: Vec<Covering>,
    /// Entries that were refused for now.
    pub(super) refusals: Refusals,
}

/// An established pattern.
#[derive(Debug)]
struct Covering {
    pattern: Pattern,
    subscription: SubscriptionId,
    /// The topics that it matched when it was subscribed.
    matched: u64,
    /// The topics of it that came up, those before included.
    introduced: u64,
}

impl Covering {
    /// Every topic that it matched has come up.
    fn is_complete(&self) -> bool {
        self.introduced >= self.matched
    }
}

/// One of the program's subscriptions.
#[derive(Debug)]
pub(super) struct Record {
    /// In the program's order; of one that stands there twice, as it was last meant.
    entries: BTreeMap<usize, RecordEntry>,
    /// Where each entry is among them.
    numbers: HashMap<String, usize>,
    pub(super) options: SubscribeOptions,
    pub(super) events: mpsc::Sender<Event>,
    /// The program waits for the broker's first answer.
    progress: Option<Progress>,
    /// The program wants to know when everything has begun: the requests of this connection that have not yet.
    ready: Option<usize>,
}

impl Record {
    /// Tells the program in the answer for which it waits, or gives where to tell it.
    fn told(&mut self, refused: &EntryError) -> Option<mpsc::Sender<Event>> {
        match &mut self.progress {
            Some(progress) => {
                progress.refused.push(refused.clone());
                None
            }
            None => Some(self.events.clone()),
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &RecordEntry> {
        self.entries.values()
    }
}

#[derive(Debug)]
pub(super) struct RecordEntry {
    pub(super) entry: SubscribeEntry,
    /// The broker took it, on this connection or an earlier one.
    pub(super) established: bool,
}

/// A subscription of many entries is several messages.
#[derive(Debug)]
struct Progress {
    messages: usize,
    refused: Vec<EntryError>,
    answer: Answer<Vec<EntryError>, SubscribeError>,
}

impl Subscriptions {
    pub(super) fn add(&mut self, new: NewSubscription) -> &Record {
        let (mut entries, mut numbers) = (BTreeMap::new(), HashMap::new());
        for entry in new.entries {
            let number = *numbers.entry(entry.text.clone()).or_insert(entries.len());
            entries.insert(number, RecordEntry { entry, established: false });
        }
        let progress = Some(Progress { messages: 0, refused: Vec::new(), answer: new.answer });
        let ready = new.options.ready.then_some(0);
        let record = Record { entries, numbers, options: new.options, events: new.events, progress, ready };
        self.records.entry(new.id).or_insert(record)
    }

    /// Takes a subscription out, and gives the entries that no other has.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Vec<String> {
        let Some(record) = self.records.remove(&id) else { return Vec::new() };
        self.patterns.retain(|covering| covering.subscription != id);
        record.numbers.keys().for_each(|text| self.unindex(text, id));
        let others = self.names();
        let texts = record.entries.into_values().map(|entry| entry.entry.text);
        let alone: Vec<String> = texts.filter(|text| !others.contains(text.as_str())).collect();
        alone.iter().for_each(|text| self.refusals.over(text));
        alone
    }

    /// How many entries all subscriptions have.
    pub(super) fn entries(&self) -> usize {
        self.records.values().map(|record| record.entries.len()).sum()
    }

    /// The entries of all subscriptions.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.records.values().flat_map(|record| record.numbers.keys().map(String::as_str)).collect()
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

    /// The broker took an entry. Gives whether that is new.
    pub(super) fn establish(&mut self, id: SubscriptionId, text: &str) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        let entry = record.numbers.get(text).and_then(|number| record.entries.get_mut(number));
        let new = entry.is_some_and(|entry| !std::mem::replace(&mut entry.established, true));
        self.refusals.over(text);
        if new {
            match pattern_of(text) {
                Some(pattern) => {
                    self.patterns.push(Covering { pattern, subscription: id, matched: u64::MAX, introduced: 0 });
                }
                None => self.topics.entry(text.to_owned()).or_default().push(id),
            }
        }
        new
    }

    /// The broker refused an entry for now: every subscription that has it keeps it. Gives where to tell it, which is once.
    fn refuse_for_now(&mut self, refused: &EntryError) -> Vec<mpsc::Sender<Event>> {
        let having = |record: &&mut Record| record.numbers.contains_key(&refused.entry);
        let mut having = self.records.values_mut().filter(having).peekable();
        if having.peek().is_none() || !self.refusals.refused(&refused.entry, refused.code) {
            return Vec::new();
        }
        having.filter_map(|record| record.told(refused)).collect()
    }

    /// The broker refused an entry: for now, or every subscription that has it loses it. Gives where to tell it. A
    /// subscription whose program waits for the first answer is told in that.
    pub(super) fn refuse(&mut self, refused: &EntryError) -> Vec<mpsc::Sender<Event>> {
        if refused.retry {
            return self.refuse_for_now(refused);
        }
        self.refusals.over(&refused.entry);
        let mut told = Vec::new();
        let mut losing = Vec::new();
        for (id, record) in &mut self.records {
            let Some(number) = record.numbers.remove(&refused.entry) else { continue };
            record.entries.remove(&number);
            losing.push(*id);
            told.extend(record.told(refused));
        }
        for id in losing {
            self.patterns.retain(|covering| covering.subscription != id || covering.pattern.as_str() != refused.entry);
            self.unindex(&refused.entry, id);
        }
        told
    }

    pub(super) fn message_sent(&mut self, id: SubscriptionId) {
        if let Some(progress) = self.records.get_mut(&id).and_then(|record| record.progress.as_mut()) {
            progress.messages += 1;
        }
    }

    /// One of a subscription's messages was answered; after the last its program is.
    pub(super) fn message_answered(&mut self, id: SubscriptionId) {
        if let Some(progress) = self.records.get_mut(&id).and_then(|record| record.progress.as_mut()) {
            progress.messages = progress.messages.saturating_sub(1);
        }
        self.settle(id);
    }

    /// Answers the program if no message of its subscription is due any more.
    pub(super) fn settle(&mut self, id: SubscriptionId) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let Some(progress) = record.progress.take_if(|progress| progress.messages == 0) else { return };
        let is_refused = |entry: &RecordEntry| !entry.established && self.refusals.contains(&entry.entry.text);
        // Of what is refused as a whole the program can decide by itself whether to ask again.
        if record.entries().all(is_refused) {
            self.remove(id);
            let _ = progress.answer.send(Err(SubscribeError::Refused(progress.refused)));
        } else {
            let _ = progress.answer.send(Ok(progress.refused));
        }
    }

    /// The message that was to be answered went with its connection.
    pub(super) fn forget_progress(&mut self) {
        for record in self.records.values_mut() {
            if let Some(progress) = &mut record.progress {
                progress.messages = 0;
            }
            record.ready = record.ready.map(|_| 0);
        }
        self.refusals.lost();
    }

    /// The subscriptions that have one of these entries and still wait to be told that everything has begun.
    pub(super) fn waiting_for(&self, entries: &[SubscribeEntry]) -> Vec<SubscriptionId> {
        let waiting = self.records.iter().filter(|(_, record)| record.ready.is_some());
        let concerned =
            waiting.filter(|(_, record)| entries.iter().any(|entry| record.numbers.contains_key(&entry.text)));
        concerned.map(|(id, _)| *id).collect()
    }

    /// A message asks for word of when everything has begun.
    pub(super) fn ready_asked(&mut self, ids: &[SubscriptionId]) {
        for id in ids {
            if let Some(ready) = self.records.get_mut(id).and_then(|record| record.ready.as_mut()) {
                *ready += 1;
            }
        }
    }

    /// All that one of those messages asked for has begun: whether that was the last of them. It is told once.
    pub(super) fn begun(&mut self, id: SubscriptionId) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        record.ready = record.ready.map(|messages| messages.saturating_sub(1));
        record.ready.take_if(|messages| *messages == 0).is_some()
    }

    /// Whether a topic is an entry of its own.
    pub(super) fn is_named(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// The subscriptions that cover a topic, each once.
    pub(super) fn covering(&self, topic: &str) -> Vec<SubscriptionId> {
        let mut covering = self.topics.get(topic).cloned().unwrap_or_default();
        covering.extend(self.patterns_of(topic).map(|covering| covering.subscription));
        covering.sort_unstable();
        covering.dedup();
        covering
    }

    pub(super) fn covers(&self, id: SubscriptionId, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|ids| ids.contains(&id))
            || self.patterns_of(topic).any(|covering| covering.subscription == id)
    }

    /// Of the patterns that cover a topic the most specific, and whose it is: its options are those of the topic's stream.
    pub(super) fn most_specific(&self, topic: &str) -> Option<(&str, SubscriptionId)> {
        // Of equals the last, which is the later subscription.
        let most = self.patterns_of(topic).max_by_key(|covering| covering.pattern.specificity());
        most.map(|covering| (covering.pattern.as_str(), covering.subscription))
    }

    fn patterns_of(&self, topic: &str) -> impl Iterator<Item = &Covering> {
        self.patterns.iter().filter(move |covering| covering.pattern.matches(topic))
    }

    /// A pattern was subscribed: it matched this many topics, of which `known` came up before. For one that was complete
    /// nothing changes: what it now matches and what did not come up is new, however often the connection is lost meanwhile.
    pub(super) fn matched(&mut self, text: &str, matched: u64, known: u64) {
        for covering in self.patterns.iter_mut().filter(|covering| covering.pattern.as_str() == text) {
            if !covering.is_complete() {
                (covering.matched, covering.introduced) = (matched, known);
            }
        }
    }

    /// A topic came up.
    pub(super) fn introduced(&mut self, topic: &str) {
        for covering in self.patterns.iter_mut().filter(|covering| covering.pattern.matches(topic)) {
            covering.introduced += 1;
        }
    }

    /// Whether every topic that a pattern matched has come up: what comes up later did not exist then.
    pub(super) fn is_complete(&self, text: &str) -> bool {
        let mut same = self.patterns.iter().filter(|covering| covering.pattern.as_str() == text).peekable();
        same.peek().is_some() && same.all(Covering::is_complete)
    }

    pub(super) fn close(self, reason: &ClosedReason) {
        for record in self.records.into_values() {
            if let Some(progress) = record.progress {
                let _ = progress.answer.send(Err(SubscribeError::Request(RequestError::Closed(reason.clone()))));
            }
        }
    }

    /// A subscription loses an entry that is a topic.
    fn unindex(&mut self, text: &str, id: SubscriptionId) {
        if let Some(ids) = self.topics.get_mut(text) {
            ids.retain(|of| *of != id);
            if ids.is_empty() {
                self.topics.remove(text);
            }
        }
    }
}

/// An entry as a pattern, if it is one.
pub(super) fn pattern_of(text: &str) -> Option<Pattern> {
    if broker_protocol::topic::is_pattern(text) { Pattern::parse(text).ok() } else { None }
}
