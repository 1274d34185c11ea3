//! What a new connection asks for, so that every subscription continues from its last update.
//!
//! - A topic that is an entry resumes from its last update.
//! - A name that was still waiting for its first publish "resumes" from update 0 of an epoch that never was. That
//!   brings what was published while the client was away as well, from its first update on, instead of only its end.
//! - A pattern resumes from the last position that came: the broker brings its topics in anew, each from there. Updates
//!   that the client received after that position come again and are recognized by their numbers
//!   ([`crate::continuity`]). Topics resume in the same way if one message cannot name all of them with their last
//!   updates.
//! - A pattern without a position (none came yet, or the broker does not know them) would begin each topic anew, and
//!   what was published in between would be lost. So its topics first resume as entries of their own, with the
//!   pattern's options; then the pattern is subscribed; and once it has brought in all its topics (`ready`), those
//!   entries are unsubscribed again: the pattern covers them, and the protocol promises that a stream then continues
//!   without a break. Before that, the pattern would begin them anew. This is done for as many topics as the broker's limit on subscriptions leaves room for, `event` topics
//!   first. The others begin anew, and an [`Event::Gap`](crate::Event::Gap) names what is lost of them. Conflated
//!   topics begin with their image in any case and are left to the pattern.
//! - A topic that such a pattern finds for the first time now was, as a rule, first published while the client was
//!   away, and all of it belongs to the subscription. So the pattern asks for everything retained of it (`last`),
//!   whatever the subscription's own `from`. It does so only if what it finds is new: if all topics that it matched
//!   before had begun, and all that are known resume.
//!
//! - What the broker had not answered begins as its subscription wants, after all that ([`super::unanswered`]).
//!
//! All topics are asked for before all patterns: a pattern that came first would bring in the topics that another
//! subscription is about to resume. Patterns that resume from a position come before those that do not, which would
//! begin the topics that both cover anew.

use std::collections::{BTreeMap, HashSet};

use super::Book;
use super::pack;
use super::resume_points::{Entries, Owned, by_subscription};
use super::unanswered::Unanswered;
use crate::request::{Ask, Request};
use crate::subscribe_options::From;
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

/// As many updates as a topic can have.
const EVERYTHING: From = From::Last((1 << 53) - 1);

/// What is being restored on the current connection.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    /// Requests that were not answered yet.
    pub(super) requests: usize,
    /// Requests for patterns that have not brought in all their topics yet.
    pub(super) walks: usize,
    /// Entries to unsubscribe after the last answer and the last of those topics.
    release: Vec<String>,
    /// Entries that wait until all that has begun.
    pub(super) unanswered: Vec<Unanswered>,
    /// Topics that did not begin again were looked for and taken out.
    pub(super) swept: bool,
}

impl Book {
    /// Whether everything that an earlier connection had was asked for and answered.
    pub(crate) fn is_restored(&self) -> bool {
        self.restoring.requests == 0
    }

    /// Asks for everything that was subscribed before, ahead of all other requests.
    pub(super) fn restore(&mut self) {
        self.topics.connection += 1;
        self.restoring = Restoring::default();
        let entries = self.entries_to_restore(|_| true);
        let subscribed = entries.topics.len() + entries.patterns.len() + entries.unanswered.len();
        self.ask_for(entries, subscribed);
    }

    /// Asks again for the entries that the broker refused for now.
    pub(crate) fn ask_again(&mut self) {
        let texts = self.subscriptions.refusals.take();
        let entries = self.entries_to_restore(|text| texts.contains(text));
        self.ask_for(entries, self.subscriptions.entries());
    }

    /// Asks for topics and patterns from where they were, and then for what was never answered; `subscribed` is the
    /// number of entries of all subscriptions.
    fn ask_for(&mut self, Entries { topics, patterns, unanswered }: Entries, subscribed: usize) {
        self.put_aside(unanswered);
        let bytes = topics.iter().map(|(_, entry)| entry.bytes_max()).sum();
        let (by_id, exact) = match pack::fits(topics.len(), bytes, self.message_bytes()) {
            true => (Vec::new(), topics),
            false => self.with_an_id(topics),
        };
        let (pattern_by_id, other_patterns) = self.with_an_id(patterns);

        let mut requests = self.requests_for(exact, |options| options);
        requests.extend(self.requests_by_id(by_id));
        let (extras, others) = self.requests_for_patterns(other_patterns, subscribed);
        requests.extend(extras);
        requests.extend(self.requests_by_id(pattern_by_id));
        requests.extend(others);
        self.restoring.requests += requests.len();
        self.first.extend(requests);
        self.release();
    }

    /// Requests for entries that resume from the ids of positions.
    fn requests_by_id(&mut self, entries: Vec<Owned>) -> Vec<Request> {
        let mut groups: BTreeMap<u64, Vec<Owned>> = BTreeMap::new();
        for (owner, entry) in entries {
            if let Some(id) = self.id_of(owner, &entry.text) {
                groups.entry(id).or_default().push((owner, SubscribeEntry { resume: None, ..entry }));
            }
        }
        let mut requests = Vec::new();
        for (id, entries) in groups {
            let releases = !self.restoring.unanswered.is_empty();
            requests
                .extend(self.requests(entries, releases, |options| SubscribeOptions { resume: Some(id), ..options }));
        }
        requests
    }

    /// Requests for patterns without a position: those that resume their topics, and those that subscribe the patterns.
    pub(super) fn requests_for_patterns(
        &mut self,
        patterns: Vec<Owned>,
        subscribed: usize,
    ) -> (Vec<Request>, Vec<Request>) {
        let texts: HashSet<&str> = patterns.iter().map(|(_, entry)| entry.text.as_str()).collect();
        let mut extras = self.topics_of_patterns(&texts);
        let room = usize::try_from(self.limits.subscriptions).unwrap_or(usize::MAX).saturating_sub(subscribed);
        let all_resumed = extras.len() <= room;
        extras.truncate(room);
        self.restoring.release.extend(extras.iter().map(|(_, entry)| entry.text.clone()));
        let coverage = &self.subscriptions.coverage;
        let (only_new, patterns): (Vec<Owned>, Vec<Owned>) =
            patterns.into_iter().partition(|(_, entry)| all_resumed && coverage.is_complete(&entry.text));
        let extras = self.requests_for(extras, |options| options);
        let has_more = !self.restoring.release.is_empty() || !self.restoring.unanswered.is_empty();
        let releases = has_more && !self.without_positions;
        let mut others = self.requests(patterns, releases, |options| options);
        others.extend(self.requests(only_new, releases, |options| SubscribeOptions { from: EVERYTHING, ..options }));
        (extras, others)
    }

    /// Requests for entries, with the options of their subscriptions after a change to them.
    pub(super) fn requests_for(
        &mut self,
        entries: Vec<Owned>,
        change: impl Fn(SubscribeOptions) -> SubscribeOptions,
    ) -> Vec<Request> {
        self.requests(entries, false, change)
    }

    fn requests(
        &mut self,
        entries: Vec<Owned>,
        releases: bool,
        change: impl Fn(SubscribeOptions) -> SubscribeOptions,
    ) -> Vec<Request> {
        let mut requests = Vec::new();
        for (subscription, entries) in by_subscription(entries) {
            let Some(options) = self.subscriptions.options(subscription) else { continue };
            let ready = self.subscriptions.waiting_for(&entries);
            let options = change(options);
            let ask = Ask { subscription, entries, options, restores: true, ready, releases };
            requests.extend(self.subscribe_requests(ask));
        }
        requests
    }

    /// Counts one of the requests above as answered.
    pub(super) fn restored(&mut self) {
        self.restoring.requests = self.restoring.requests.saturating_sub(1);
        self.release();
    }

    /// Once everything is answered and the patterns have brought in their topics, those that resumed for them continue
    /// under these, and what was never answered is asked for.
    pub(super) fn release(&mut self) {
        if self.restoring.requests == 0 && self.restoring.walks == 0 {
            let names = std::mem::take(&mut self.restoring.release);
            // A topic that was subscribed by name in the meantime stays.
            let subscribed = self.subscriptions.names();
            let names = names.into_iter().filter(|name| !subscribed.contains(name.as_str())).collect();
            let lists = self.unsubscribe_lists(names).into_iter();
            self.first.extend(lists.map(|entries| Request::Unsubscribe { entries, answer: None }));
            self.ask_for_unanswered();
        }
    }
}
