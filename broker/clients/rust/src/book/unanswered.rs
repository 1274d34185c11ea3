//! Entries that no connection had yet: the broker had not answered when the connection was lost, or refused them for
//! now.
//!
//! They begin where their subscriptions want, as they would have. That ends the stream of a topic that another
//! subscription has already, so they wait until everything that an earlier connection had has begun again: before that,
//! what was published while the client was away would be lost for the other.

use std::collections::BTreeSet;

use super::Book;
use super::resume_points::{Owned, by_subscription};
use crate::request::{Ask, Request, SubscriptionId};

/// Entries that wait, and who waits for them.
#[derive(Debug)]
pub(super) struct Unanswered {
    entries: Vec<Owned>,
    /// Their subscriptions.
    owners: BTreeSet<SubscriptionId>,
    /// The subscriptions to notify once these have begun, too.
    ready: Vec<SubscriptionId>,
}

impl Book {
    /// Puts entries aside. Their subscriptions are not answered, and not ready, before they are.
    pub(super) fn put_aside(&mut self, entries: Vec<Owned>) {
        if entries.is_empty() {
            return;
        }
        let owners: BTreeSet<SubscriptionId> = entries.iter().map(|(owner, _)| *owner).collect();
        owners.iter().for_each(|owner| self.subscriptions.message_sent(*owner));
        let texts: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
        let ready = self.subscriptions.waiting_for(&texts);
        self.subscriptions.ready_asked(&ready);
        self.restoring.unanswered.push(Unanswered { entries, owners, ready });
    }

    /// Asks for the entries that were put aside. Those that no subscription wants any more are left out.
    pub(super) fn ask_for_unanswered(&mut self) {
        for Unanswered { mut entries, owners, ready } in std::mem::take(&mut self.restoring.unanswered) {
            let wanted = self.subscriptions.names();
            entries.retain(|(_, entry)| wanted.contains(entry.text.as_str()));
            let mut requests: Vec<Request> = Vec::new();
            for (subscription, entries) in by_subscription(entries) {
                let Some(options) = self.subscriptions.options(subscription) else { continue };
                let ready = self.subscriptions.waiting_for(&entries);
                let ask = Ask { subscription, entries, options, restores: false, ready, releases: false };
                requests.extend(self.subscribe_requests(ask));
            }
            self.first.extend(requests);
            owners.into_iter().for_each(|owner| self.subscriptions.message_answered(owner));
            let mut out = Vec::new();
            self.begun(&ready, &mut out);
            self.late.extend(out);
        }
    }
}
