//! Subscribing at a broker that does not know positions.

use super::Book;
use super::resume_points::Owned;
use crate::request::{Ask, Request};
use crate::wire::outgoing::SubscribeEntry;

impl Book {
    /// Asks once more for what the broker refused because the request involved positions, which it may not know.
    /// Entries that no subscription wants any more are left out.
    pub(super) fn ask_without_positions(&mut self, mut ask: Ask) {
        self.without_positions = true;
        tracing::info!("the broker does not accept positions: the topics of patterns resume one by one");
        let names = self.subscriptions.names();
        let coverage = &self.subscriptions.coverage;
        let covered = |name: &str| ask.restores && coverage.most_specific(name).is_some();
        ask.entries.retain(|entry| names.contains(entry.text.as_str()) || covered(&entry.text));
        let requests = match ask.restores {
            true => self.restore_without_positions(ask),
            false => self.subscribe_requests(ask),
        };
        self.first.extend(requests);
    }

    /// Restores entries that were to resume from a position.
    fn restore_without_positions(&mut self, ask: Ask) -> Vec<Request> {
        let owner = ask.subscription;
        let (patterns, topics): (Vec<_>, Vec<_>) =
            ask.entries.into_iter().partition(|entry| broker_protocol::topic::is_pattern(&entry.text));
        let resuming = |entry: SubscribeEntry| {
            let resume = entry.resume.or_else(|| self.last_update(&entry.text));
            (owner, SubscribeEntry { resume, ..entry })
        };
        let topics: Vec<Owned> = topics.into_iter().map(resuming).collect();
        let patterns: Vec<Owned> = patterns.into_iter().map(|entry| (owner, entry)).collect();
        let mut requests = self.requests_for(topics, |options| options);
        let (extras, others) = self.requests_for_patterns(patterns, self.subscriptions.entries());
        requests.extend(extras.into_iter().chain(others));
        self.restoring.requests += requests.len();
        requests
    }
}
