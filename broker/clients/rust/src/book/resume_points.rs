//! What each entry can resume from, and which topics of a pattern can resume for it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Book;
use crate::Kind;
use crate::continuity::Position;
use crate::request::SubscriptionId;
use crate::wire::outgoing::SubscribeEntry;

/// Any string will do: an epoch that is not the topic's means "everything", and so does update 0 of one that is.
const EPOCH_THAT_NEVER_WAS: &str = "none";

/// An entry, and the subscription whose options it has.
pub(super) type Owned = (SubscriptionId, SubscribeEntry);

/// The entries of subscriptions.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Topics that an earlier connection had, with the updates to resume from.
    pub(super) topics: Vec<Owned>,
    /// Patterns that it had.
    pub(super) patterns: Vec<Owned>,
    /// What the broker has never accepted.
    pub(super) unanswered: Vec<Owned>,
}

impl Book {
    /// The entries of all subscriptions that `which` selects. If several subscriptions have an entry, the options of the
    /// last one that was accepted are in force, so only that one resumes it.
    pub(super) fn entries_to_restore(&self, which: impl Fn(&str) -> bool) -> Entries {
        let mut owners: HashMap<&str, SubscriptionId> = HashMap::new();
        for (id, record) in self.subscriptions.iter() {
            let accepted = record.entries().filter(|entry| entry.established);
            owners.extend(accepted.map(|entry| (entry.entry.text.as_str(), id)));
        }
        let mut found = Entries::default();
        for (id, record) in self.subscriptions.iter() {
            for entry in record.entries() {
                let text = entry.entry.text.as_str();
                if !which(text) {
                    continue;
                }
                if !entry.established {
                    found.unanswered.push((id, entry.entry.clone()));
                } else if owners.get(text) != Some(&id) {
                    continue;
                } else if entry.entry.resume.is_none() && broker_protocol::topic::is_pattern(text) {
                    found.patterns.push((id, entry.entry.clone()));
                } else {
                    let resume = self.last_update(text);
                    found.topics.push((id, SubscribeEntry { text: text.to_owned(), resume }));
                }
            }
        }
        found
    }

    /// The update from which a topic resumes.
    pub(super) fn last_update(&self, topic: &str) -> Option<Position> {
        let topic = self.topics.by_name.get(topic)?;
        let waits = topic.track.waits().then(|| Position { epoch: EPOCH_THAT_NEVER_WAS.into(), seq: 0 });
        topic.track.position().or(waits)
    }

    /// Divides entries into those that can resume from a position's id and the others.
    pub(super) fn with_an_id(&self, entries: Vec<Owned>) -> (Vec<Owned>, Vec<Owned>) {
        entries.into_iter().partition(|(owner, entry)| self.id_of(*owner, &entry.text).is_some())
    }

    /// The id from which an entry can resume.
    pub(super) fn id_of(&self, owner: SubscriptionId, entry: &str) -> Option<u64> {
        let options = self.subscriptions.options(owner)?;
        self.resume_ids.id(entry, &options)
    }

    /// The topics that one of these patterns brought in and that can resume as entries of their own: events first, each
    /// with the subscription whose options it has.
    pub(super) fn topics_of_patterns(&self, patterns: &HashSet<&str>) -> Vec<Owned> {
        let mut found: Vec<(bool, SubscriptionId, SubscribeEntry)> = Vec::new();
        if patterns.is_empty() {
            return Vec::new();
        }
        let coverage = &self.subscriptions.coverage;
        for (name, topic) in &self.topics.by_name {
            let Some(position) = topic.track.position() else { continue };
            let Some((pattern, owner)) = coverage.most_specific(name) else { continue };
            if !patterns.contains(pattern) {
                continue;
            }
            let is_event = topic.track.kind() == Some(Kind::Event);
            let conflated = self.subscriptions.options(owner).is_some_and(|options| options.conflate_ms > 0);
            if coverage.is_named(name) || topic.routes.is_empty() || (conflated && !is_event) {
                continue;
            }
            found.push((is_event, owner, SubscribeEntry { text: name.to_string(), resume: Some(position) }));
        }
        found.sort_by(|a, b| (!a.0, &a.2.text).cmp(&(!b.0, &b.2.text)));
        found.into_iter().map(|(_, owner, entry)| (owner, entry)).collect()
    }
}

/// The entries of each subscription.
pub(super) fn by_subscription(entries: Vec<Owned>) -> BTreeMap<SubscriptionId, Vec<SubscribeEntry>> {
    let mut groups: BTreeMap<SubscriptionId, Vec<SubscribeEntry>> = BTreeMap::new();
    for (id, entry) in entries {
        groups.entry(id).or_default().push(entry);
    }
    groups
}
