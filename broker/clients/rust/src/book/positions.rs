//! The connection as a whole: its positions, and when everything that was asked for has begun.

use super::topic::Addressed;
use super::{Book, Delivery};
use crate::event::Event;
use crate::request::SubscriptionId;

/// What waits for a request's `ready`.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The subscriptions to notify.
    pub(super) subscriptions: Vec<SubscriptionId>,
    /// Topics that resumed for the request's patterns are unsubscribed then.
    pub(super) releases: bool,
}

impl Book {
    /// Handles the connection's position.
    pub(super) fn position(&mut self, id: u64, addressed: &mut Addressed) {
        self.resume_ids.position(id);
        // A position comes once everything subscribed has begun. After all entries were asked for again, a topic that
        // has not begun by then does not exist any more. An entry that the broker refused for now may still bring
        // topics in.
        let is_whole = self.is_restored() && self.subscriptions.refusals.are_none();
        if is_whole && !std::mem::replace(&mut self.restoring.swept, true) {
            let Book { topics, subscriptions, .. } = self;
            topics.ended(|name| subscriptions.coverage.is_named(name), addressed);
        }
    }

    /// Handles a `ready`: everything that a request asked for has begun.
    pub(super) fn ready(&mut self, id: u64, out: &mut Vec<Delivery>) {
        if let Some(Waiting { subscriptions, releases }) = self.readies.remove(&id) {
            self.begun(&subscriptions, out);
            if releases {
                self.restoring.walks = self.restoring.walks.saturating_sub(1);
                self.release();
            }
        }
    }

    /// Counts a request of these subscriptions as begun.
    pub(super) fn begun(&mut self, subscriptions: &[SubscriptionId], out: &mut Vec<Delivery>) {
        for id in subscriptions {
            if self.subscriptions.begun(*id)
                && let Some(events) = self.subscriptions.events(*id)
            {
                out.push((events.clone(), Event::Ready));
            }
        }
    }
}
