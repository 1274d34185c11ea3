//! What a new connection asks for, so that every subscription goes on where it was.
//!
//! - A topic that is an entry resumes from its last update.
//! - A name that still waited for its first publish "resumes" from update 0 of an epoch that never was: then what was
//!   published while we were away comes as well, from its first update on, instead of only its end.
//! - A pattern goes on from the last position that came: the broker brings its topics in anew, each from there, and what
//!   the client got after that position comes again and is known by its numbers ([`crate::continuity`]). So do topics,
//!   where they are more than one message can name with their positions.
//! - Of a pattern that no position stands for (none came yet, or the broker does not know them) each topic would begin
//!   anew, with what came meanwhile lost. So its topics are resumed as entries of their own first, with the pattern's
//!   options, then the pattern is subscribed, and when the broker has answered, those entries are given up again: the
//!   pattern covers them, and the protocol promises that a stream then goes on without a break. Only as many as the
//!   broker's limit on subscriptions leaves room for, `event` topics first; the others begin anew, and an
//!   [`Event::Gap`](crate::Event::Gap) names what is lost of them. Conflated topics begin with their image in any case and
//!   are left to the pattern.
//! - A topic that such a pattern finds for the first time now was, as a rule, first published while we were away, and all
//!   of it belongs to the subscription. So the pattern asks for everything retained of it (`last`), whatever the
//!   subscription's own `from`. It does so only if what it finds is new: if all topics that it matched before had come
//!   up, and all that are known are resumed.
//!
//! All topics are asked for before all patterns: a pattern that came first would bring in the topics that another
//! subscription is about to resume. Patterns that go on from a position come before those that do not, which would begin
//! the topics that both cover anew.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Book;
use super::take::Message;
use crate::Kind;
use crate::continuity::Position;
use crate::request::{Ask, SubscriptionId};
use crate::subscription::From;
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

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
    /// Topics that did not come up again were looked for.
    pub(super) swept: bool,
}

impl Book {
    /// Everything that an earlier connection had was asked for, and answered.
    pub(crate) fn is_restored(&self) -> bool {
        self.restoring.messages == 0
    }

    /// Fills the head of the queue with everything that was subscribed before.
    pub(super) fn restore(&mut self) {
        self.topics.connection += 1;
        self.restoring = Restoring::default();
        let entries = self.entries_to_restore(|_| true);
        let named = entries.0.len() + entries.1.len();
        self.ask_for(entries, named);
    }

    /// Asks again for what the broker refused for now.
    pub(crate) fn ask_again(&mut self) {
        let texts = self.subscriptions.refusals.take();
        let entries = self.entries_to_restore(|text| texts.contains(text));
        self.ask_for(entries, self.subscriptions.entries());
    }

    /// Asks for topics and patterns from where they were, of so many entries that there are in all.
    fn ask_for(&mut self, (topics, patterns): (Vec<Owned>, Vec<Owned>), named: usize) {
        let bytes = topics.iter().map(|(_, entry)| entry.bytes_max()).sum();
        let (by_id, exact) = match self.fits(topics.len(), bytes) {
            true => (Vec::new(), topics),
            false => self.with_an_id(topics),
        };
        let (pattern_by_id, other_patterns) = self.with_an_id(patterns);

        let mut messages = self.messages_of(exact, |options| options);
        messages.extend(self.messages_by_id(by_id));
        let (extras, others) = self.messages_of_patterns(other_patterns, named);
        messages.extend(extras);
        messages.extend(self.messages_by_id(pattern_by_id));
        messages.extend(others);
        self.restoring.messages += messages.len();
        self.first.extend(messages);
    }

    /// What was to go on from an id, for a broker that does not take it.
    pub(super) fn restore_without_positions(&mut self, ask: Ask) -> Vec<Message> {
        let owner = ask.subscription;
        let (patterns, topics): (Vec<_>, Vec<_>) =
            ask.entries.into_iter().partition(|entry| broker_protocol::topic::is_pattern(&entry.text));
        let resuming = |entry: SubscribeEntry| {
            let resume = entry.resume.or_else(|| self.last_update(&entry.text));
            (owner, SubscribeEntry { resume, ..entry })
        };
        let topics = topics.into_iter().map(resuming).collect();
        let patterns = patterns.into_iter().map(|entry| (owner, entry)).collect();
        let mut messages = self.messages_of(topics, |options| options);
        let (extras, others) = self.messages_of_patterns(patterns, self.subscriptions.entries());
        messages.extend(extras.into_iter().chain(others));
        self.restoring.messages += messages.len();
        messages
    }

    /// Divides entries into those that an id stands for, without a position of their own, and the others.
    fn with_an_id(&self, entries: Vec<Owned>) -> (Vec<Owned>, Vec<Owned>) {
        entries.into_iter().partition(|(owner, entry)| self.id_of(*owner, &entry.text).is_some())
    }

    fn id_of(&self, owner: SubscriptionId, entry: &str) -> Option<u64> {
        let options = self.subscriptions.options(owner)?;
        self.places.id(entry, &options)
    }

    /// Entries that go on from the ids that stand for them.
    fn messages_by_id(&mut self, entries: Vec<Owned>) -> Vec<Message> {
        let mut groups: BTreeMap<u64, Vec<Owned>> = BTreeMap::new();
        for (owner, entry) in entries {
            if let Some(id) = self.id_of(owner, &entry.text) {
                groups.entry(id).or_default().push((owner, SubscribeEntry { resume: None, ..entry }));
            }
        }
        let mut messages = Vec::new();
        for (id, entries) in groups {
            messages.extend(self.messages_of(entries, |options| SubscribeOptions { resume: Some(id), ..options }));
        }
        messages
    }

    /// Patterns that no id stands for: the messages that resume their topics, and those that subscribe them.
    fn messages_of_patterns(&mut self, patterns: Vec<Owned>, named: usize) -> (Vec<Message>, Vec<Message>) {
        let texts: HashSet<&str> = patterns.iter().map(|(_, entry)| entry.text.as_str()).collect();
        let mut extras = self.topics_of_patterns(&texts);
        let room = usize::try_from(self.limits.subscriptions).unwrap_or(usize::MAX).saturating_sub(named);
        let all_resumed = extras.len() <= room;
        extras.truncate(room);
        self.restoring.release.extend(extras.iter().map(|(_, entry)| entry.text.clone()));
        let (only_new, patterns): (Vec<Owned>, Vec<Owned>) =
            patterns.into_iter().partition(|(_, entry)| all_resumed && self.subscriptions.is_complete(&entry.text));
        let extras = self.messages_of(extras, |options| options);
        let mut others = self.messages_of(patterns, |options| options);
        others.extend(self.messages_of(only_new, |options| SubscribeOptions { from: EVERYTHING, ..options }));
        (extras, others)
    }

    /// Entries as messages, with the options of their subscriptions and a change to them.
    fn messages_of(
        &mut self,
        entries: Vec<Owned>,
        change: impl Fn(SubscribeOptions) -> SubscribeOptions,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        for (subscription, entries) in by_subscription(entries) {
            let Some(options) = self.subscriptions.options(subscription) else { continue };
            let ready = self.subscriptions.waiting_for(&entries);
            let options = change(options);
            messages.extend(self.subscribe_messages(Ask { subscription, entries, options, restores: true, ready }));
        }
        messages
    }

    /// One of the messages above was answered. After the last the resumed entries go on under their patterns.
    pub(super) fn restored(&mut self) {
        self.restoring.messages = self.restoring.messages.saturating_sub(1);
        if self.restoring.messages == 0 {
            let names = std::mem::take(&mut self.restoring.release);
            // What was subscribed by name in the meantime stays.
            let subscribed = self.subscriptions.names();
            let names = names.into_iter().filter(|name| !subscribed.contains(name.as_str())).collect();
            self.first.extend(self.entry_chunks(names).into_iter().map(|entries| Message::Release { entries }));
        }
    }

    /// Entries of all subscriptions, topics and patterns apart. Of those that several have, the last one's options held, so
    /// only that one asks.
    fn entries_to_restore(&self, which: impl Fn(&str) -> bool) -> (Vec<Owned>, Vec<Owned>) {
        let mut owners: HashMap<&str, SubscriptionId> = HashMap::new();
        for (id, record) in self.subscriptions.iter() {
            owners.extend(record.entries().map(|entry| (entry.entry.text.as_str(), id)));
        }
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        for (id, record) in self.subscriptions.iter() {
            for entry in record.entries() {
                let text = entry.entry.text.as_str();
                if !which(text) {
                    continue;
                }
                if entry.established && owners.get(text) != Some(&id) {
                    continue;
                }
                if entry.entry.resume.is_none() && broker_protocol::topic::is_pattern(text) {
                    patterns.push((id, entry.entry.clone()));
                } else {
                    let resume = if entry.established { self.last_update(text) } else { entry.entry.resume.clone() };
                    topics.push((id, SubscribeEntry { text: text.to_owned(), resume }));
                }
            }
        }
        (topics, patterns)
    }

    fn last_update(&self, topic: &str) -> Option<Position> {
        let topic = self.topics.by_name.get(topic)?;
        let waits = topic.track.waits().then(|| Position { epoch: EPOCH_THAT_NEVER_WAS.into(), seq: 0 });
        topic.track.position().or(waits)
    }

    /// Topics that come by one of these patterns, events first, with the subscription whose options they have.
    fn topics_of_patterns(&self, patterns: &HashSet<&str>) -> Vec<Owned> {
        let mut found: Vec<(bool, SubscriptionId, SubscribeEntry)> = Vec::new();
        if patterns.is_empty() {
            return Vec::new();
        }
        for (name, topic) in &self.topics.by_name {
            let Some(position) = topic.track.position() else { continue };
            let Some((pattern, owner)) = self.subscriptions.most_specific(name) else { continue };
            if !patterns.contains(pattern) {
                continue;
            }
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
