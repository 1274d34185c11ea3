//! The connection as a whole: its positions, and when everything that was asked for has begun.

use super::split::ENTRIES_MAX;
use super::topics::Told;
use super::{Book, Delivery};
use crate::event::Event;
use crate::request::{Ask, SubscriptionId};
use crate::wire::outgoing::SubscribeEntry;

impl Book {
    /// Whether a request for these entries turns positions on: a pattern needs them to come back without a loss, and many
    /// topics to come back with a short request.
    pub(super) fn asks_for_positions(&self, entries: &[SubscribeEntry]) -> bool {
        let needs = |entry: &SubscribeEntry| broker_protocol::topic::is_pattern(&entry.text);
        !self.without_positions && (self.subscriptions.entries() > ENTRIES_MAX || entries.iter().any(needs))
    }

    /// The broker tells where the connection is.
    pub(super) fn position(&mut self, id: u64, told: &mut Told) {
        self.places.position(id);
        // It comes when everything subscribed has begun. What has not by then, though all was asked for again, is no more.
        // What the broker refused for now may bring topics in yet.
        let is_whole = self.is_restored() && self.subscriptions.refusals.are_none();
        if is_whole && !std::mem::replace(&mut self.restoring.swept, true) {
            let Book { topics, subscriptions, .. } = self;
            topics.ended(|name| subscriptions.is_named(name), told);
        }
    }

    /// Everything that a request asked for has begun.
    pub(super) fn ready(&mut self, id: u64, out: &mut Vec<Delivery>) {
        if let Some(subscriptions) = self.readies.remove(&id) {
            self.begun(&subscriptions, out);
        }
    }

    /// One of the requests has nothing more to wait for.
    pub(super) fn begun(&mut self, subscriptions: &[SubscriptionId], out: &mut Vec<Delivery>) {
        for id in subscriptions {
            if self.subscriptions.begun(*id)
                && let Some(events) = self.subscriptions.events(*id)
            {
                out.push((events.clone(), Event::Ready));
            }
        }
    }

    /// The broker refused a request that had to do with positions, so it may be one that does not know them: the same is
    /// asked for without, as far as somebody still wants it.
    pub(super) fn ask_without_positions(&mut self, mut ask: Ask) {
        self.without_positions = true;
        tracing::info!("the broker takes no positions: patterns come back topic by topic");
        let names = self.subscriptions.names();
        let covered = |name: &str| ask.restores && self.subscriptions.most_specific(name).is_some();
        ask.entries.retain(|entry| names.contains(entry.text.as_str()) || covered(&entry.text));
        let messages = match ask.restores {
            true => self.restore_without_positions(ask),
            false => self.subscribe_messages(ask),
        };
        self.first.extend(messages);
    }
}
