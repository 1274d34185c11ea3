//! Subscribing and unsubscribing as requests, as many as the broker's limits need.

use super::Book;
use super::pack::{self, ENTRIES_MAX};
use crate::ErrorCode;
use crate::event::EntryError;
use crate::request::{Ask, Request};
use crate::wire::outgoing::SubscribeEntry;

impl Book {
    /// Divides an ask into messages that the broker takes. An entry that fits into no message is refused here.
    pub(super) fn subscribe_requests(&mut self, ask: Ask) -> Vec<Request> {
        let Ask { subscription, entries, mut options, restores, ready, releases } = ask;
        options.ready = releases || !ready.is_empty();
        options.positions = self.asks_for_positions(&entries);
        let limit = self.message_bytes();
        let (entries, too_large): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| pack::fits(1, entry.bytes_max(), limit));
        for entry in too_large {
            let message = format!("it does not fit into a message of {limit} bytes");
            let refused = EntryError { entry: entry.text, code: ErrorCode::TooLarge, message, retry: false };
            let deliveries = self.refuse(&refused);
            self.late.extend(deliveries);
        }
        let lists = pack::pack(entries, SubscribeEntry::bytes_max, limit);
        for _ in &lists {
            self.subscriptions.message_sent(subscription);
            self.restoring.walks += usize::from(releases);
            self.subscriptions.ready_asked(&ready);
        }
        let ask = |entries| Ask { subscription, entries, options, restores, ready: ready.clone(), releases };
        lists.into_iter().map(|entries| Request::Subscribe(ask(entries))).collect()
    }

    /// Divides names into lists, each for one `unsubscribe`.
    pub(super) fn unsubscribe_lists(&self, names: Vec<String>) -> Vec<Vec<String>> {
        // Two quotes and a comma.
        pack::pack(names, |name| name.len() + 3, self.message_bytes())
    }

    /// Whether a request for these entries turns positions on. A pattern needs them to resume without a loss, and many
    /// topics need them to resume with a short request.
    fn asks_for_positions(&self, entries: &[SubscribeEntry]) -> bool {
        let is_pattern = |entry: &SubscribeEntry| broker_protocol::topic::is_pattern(&entry.text);
        !self.without_positions && (self.subscriptions.entries() > ENTRIES_MAX || entries.iter().any(is_pattern))
    }
}
