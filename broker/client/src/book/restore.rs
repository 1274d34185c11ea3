//! What a new connection asks for, so that every subscription goes on where it was.
//!
//! - A topic that is an entry resumes from its last update.
//! - A name that still waited for its first publish "resumes" from update 0 of an epoch that never was: then what was
//!   published while we were away comes as well, from its first update on, instead of only its end.
//! - A pattern cannot resume, and a topic that it brought in would begin anew, with what came meanwhile lost. So its
//!   topics are resumed as entries of their own first, with the pattern's options, then the pattern is subscribed, and
//!   when the broker has answered, those entries are given up again: the pattern covers them, and the protocol promises
//!   that a stream then goes on without a break. Only as many as the broker's limit on subscriptions leaves room for,
//!   `event` topics first; the others begin anew, and an [`Event::Gap`](crate::Event::Gap) names what is lost of them.
//!   Conflated topics begin with their image in any case and are left to the pattern.
//! - A topic that a pattern finds for the first time now was, as a rule, first published while we were away, and all of
//!   it belongs to the subscription. So the pattern asks for everything retained of it (`last`), whatever the
//!   subscription's own `from`. It does so only if what it finds is new: if all topics that it matched before had come
//!   up, and all that are known are resumed.
//!
//! All topics are asked for before all patterns: a pattern that came first would bring in the topics that another
//! subscription is about to resume.

use std::collections::{BTreeMap, HashMap};

use super::Book;
use super::take::Message;
use crate::Kind;
use crate::continuity::Position;
use crate::request::SubscriptionId;
use crate::subscription::From;
use crate::wire::outgoing::SubscribeEntry;

/// Any string will do: an epoch that is not the topic's means "everything", and so does 0 of one that is.
const EPOCH_THAT_NEVER_WAS: &str = "none";

/// As many updates as a topic can have.
const EVERYTHING: From = From::Last((1 << 53) - 1);

/// An entry and the subscription whose options it has.
type Owned = (SubscriptionId, SubscribeEntry);

/// What is on its way since the connection began.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    /// Messages whose answer is due.
    messages: usize,
    /// Entries to give up after that.
    release: Vec<String>,
}

impl Book {
    /// Fills the head of the queue with everything that was subscribed before.
    pub(super) fn restore(&mut self) {
        self.topics.connection += 1;
        let (topics, patterns) = self.entries_to_restore();
        let room = usize::try_from(self.limits.subscriptions).unwrap_or(usize::MAX);
        let mut extras = self.topics_of_patterns();
        let all_resumed = extras.len() <= room.saturating_sub(topics.len() + patterns.len());
        extras.truncate(room.saturating_sub(topics.len() + patterns.len()));
        let release: Vec<String> = extras.iter().map(|(_, entry)| entry.text.clone()).collect();
        let (only_new, patterns): (Vec<Owned>, Vec<Owned>) =
            patterns.into_iter().partition(|(_, entry)| all_resumed && self.subscriptions.is_complete(&entry.text));

        let mut messages = Vec::new();
        let groups = [(topics, None), (extras, None), (patterns, None), (only_new, Some(EVERYTHING))];
        for (group, from) in groups {
            for (subscription, entries) in by_subscription(group) {
                let Some(mut options) = self.subscriptions.options(subscription) else { continue };
                options.from = from.unwrap_or(options.from);
                messages.extend(self.subscribe_messages(subscription, entries, options, true));
            }
        }
        self.restoring = Restoring { messages: messages.len(), release };
        self.first.extend(messages);
    }

    /// One of the messages above was answered. After the last the resumed entries go on under their patterns.
    pub(super) fn restored(&mut self) {
        self.restoring.messages = self.restoring.messages.saturating_sub(1);
        if self.restoring.messages == 0 {
            let names = std::mem::take(&mut self.restoring.release);
            // What was subscribed by name in the meantime stays.
            let names = names.into_iter().filter(|name| !self.subscriptions.is_subscribed(name)).collect();
            self.first.extend(self.entry_chunks(names).into_iter().map(|entries| Message::Release { entries }));
        }
    }

    /// The entries of all subscriptions, topics and patterns apart. Of those that several have, the last one's options
    /// held, so only that one asks.
    fn entries_to_restore(&self) -> (Vec<Owned>, Vec<Owned>) {
        let mut owners: HashMap<&str, SubscriptionId> = HashMap::new();
        for (id, record) in self.subscriptions.iter() {
            owners.extend(record.entries.iter().map(|entry| (entry.entry.text.as_str(), id)));
        }
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        for (id, record) in self.subscriptions.iter() {
            for entry in &record.entries {
                let text = entry.entry.text.as_str();
                if entry.established && owners.get(text) != Some(&id) {
                    continue;
                }
                if entry.entry.resume.is_none() && broker_protocol::topic::is_pattern(text) {
                    patterns.push((id, entry.entry.clone()));
                } else {
                    let resume = if entry.established { self.position(text) } else { entry.entry.resume.clone() };
                    topics.push((id, SubscribeEntry { text: text.to_owned(), resume }));
                }
            }
        }
        (topics, patterns)
    }

    fn position(&self, topic: &str) -> Option<Position> {
        let topic = self.topics.by_name.get(topic)?;
        let waits = topic.track.waits().then(|| Position { epoch: EPOCH_THAT_NEVER_WAS.into(), seq: 0 });
        topic.track.position().or(waits)
    }

    /// Topics that only a pattern covers, events first, with the subscription whose options they have.
    fn topics_of_patterns(&self) -> Vec<Owned> {
        let mut found = Vec::new();
        for (name, topic) in &self.topics.by_name {
            let Some(position) = topic.track.position() else { continue };
            let Some(owner) = self.subscriptions.most_specific(name) else { continue };
            let is_event = topic.track.kind() == Some(Kind::Event);
            let conflated = self.subscriptions.options(owner).is_some_and(|options| options.conflate_ms > 0);
            if self.subscriptions.is_named(name) || topic.routes.is_empty() || (conflated && !is_event) {
                continue;
            }
            found.push((is_event, owner, SubscribeEntry { text: name.to_string(), resume: Some(position) }));
        }
        found.sort_by(|a, b| (!a.0, &a.2.text).cmp(&(!b.0, &b.2.text)));
        found.into_iter().map(|(_, owner, entry)| (owner, entry)).collect()
    }
}

fn by_subscription(entries: Vec<Owned>) -> BTreeMap<SubscriptionId, Vec<SubscribeEntry>> {
    let mut groups: BTreeMap<SubscriptionId, Vec<SubscribeEntry>> = BTreeMap::new();
    for (id, entry) in entries {
        groups.entry(id).or_default().push(entry);
    }
    groups
}
