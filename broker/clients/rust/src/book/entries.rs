//! Entries that end: refused by the broker, or unsubscribed.

use super::coverage::pattern_of;
use super::{Book, Delivery};
use crate::event::{EntryError, Event};

impl Book {
    /// Handles the refusal of an entry, for now or for good. Returns the event for each subscription to notify.
    pub(super) fn refuse(&mut self, refused: &EntryError) -> Vec<Delivery> {
        let notified = self.subscriptions.refuse(refused);
        if !self.subscriptions.refusals.contains(&refused.entry) {
            self.forget(std::slice::from_ref(&refused.entry));
        }
        notified.into_iter().map(|events| (events, Event::Refused(refused.clone()))).collect()
    }

    /// Forgets the topics of ended entries that no subscription covers any more, and those that ended under a pattern.
    pub(super) fn forget(&mut self, entries: &[String]) {
        let Book { topics, subscriptions, resume_ids, .. } = self;
        let coverage = &subscriptions.coverage;
        for entry in entries {
            resume_ids.left(entry);
            match pattern_of(entry) {
                Some(pattern) => topics.refresh(|name| pattern.matches(name), |id, name| coverage.covers(id, name)),
                None => topics.refresh_one(entry, |id, name| coverage.covers(id, name)),
            }
            if let Some(topic) = topics.by_name.get(entry.as_str())
                && topic.track.waits()
                && !coverage.is_named(entry)
            {
                topics.by_name.remove(entry.as_str());
            }
        }
    }
}
