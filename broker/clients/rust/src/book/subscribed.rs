//! Answers to a `subscribe`.

use std::collections::HashSet;

use super::coverage::pattern_of;
use super::topic::Addressed;
use super::{Book, Delivery};
use crate::ErrorCode;
use crate::continuity::Asked;
use crate::event::{EntryError, TopicStart};
use crate::request::Ask;
use crate::shared::Shared;
use crate::wire::outgoing::SubscribeEntry;

/// What the broker's `subscribed` contains.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) topics: Vec<TopicStart>,
    /// Each with the number of topics that it matched.
    pub(super) patterns: Vec<(String, u64)>,
    pub(super) errors: Vec<EntryError>,
}

impl Book {
    /// Handles the answer to a request that the broker accepted, though perhaps not all of its entries.
    pub(super) fn subscribe_accepted(
        &mut self,
        mut ask: Ask,
        subscribed: Subscribed,
        shared: &Shared,
        addressed: &mut Addressed,
        out: &mut Vec<Delivery>,
    ) {
        let Subscribed { topics, patterns, errors } = subscribed;
        if !errors.is_empty() {
            let refused: HashSet<&str> = errors.iter().map(|error| error.entry.as_str()).collect();
            ask.entries.retain(|entry| !refused.contains(entry.text.as_str()));
        }
        let resumes = |entry: &SubscribeEntry| entry.resume.is_some() || ask.options.resume.is_some();
        for entry in &ask.entries {
            self.resume_ids.accepted(&entry.text, &ask.options, ask.restores, ask.restores && resumes(entry));
        }
        // An entry that only resumes a topic for its pattern is in no record: the pattern brings the topic in anew.
        errors.iter().for_each(|error| out.extend(self.refuse(error)));
        self.establish(&ask);
        self.begin_topics(&ask, topics, shared, addressed);
        self.subscriptions.message_answered(ask.subscription);
        self.match_patterns(patterns);
        if ask.restores {
            self.restored();
        }
    }

    /// Handles the refusal of a request as a whole.
    pub(super) fn subscribe_refused(
        &mut self,
        ask: Ask,
        id: Option<u64>,
        (code, message, retry): (ErrorCode, String, bool),
        out: &mut Vec<Delivery>,
    ) {
        let (subscription, restores) = (ask.subscription, ask.restores);
        if code == ErrorCode::BadRequest && (ask.options.positions || ask.options.resume.is_some()) {
            self.ask_without_positions(ask);
        } else {
            for entry in ask.entries {
                let message = message.clone();
                out.extend(self.refuse(&EntryError { entry: entry.text, code, message, retry }));
            }
        }
        self.subscriptions.message_answered(subscription);
        if let Some(id) = id {
            self.ready(id, out);
        }
        if restores {
            self.restored();
        }
    }

    /// Gives accepted entries to their subscription, which joins the streams that already run.
    fn establish(&mut self, ask: &Ask) {
        for entry in &ask.entries {
            if self.subscriptions.establish(ask.subscription, &entry.text) {
                match pattern_of(&entry.text) {
                    Some(pattern) => self.topics.join(ask.subscription, |topic| pattern.matches(topic)),
                    None => self.topics.join_one(ask.subscription, &entry.text),
                }
            }
        }
    }

    /// Starts the streams of a request's topics.
    fn begin_topics(&mut self, ask: &Ask, topics: Vec<TopicStart>, shared: &Shared, addressed: &mut Addressed) {
        for start in topics {
            let entry = ask.entries.iter().find(|entry| *entry.text == *start.topic);
            let asked = match entry.and_then(|entry| entry.resume.as_ref()) {
                Some(position) => Asked::Position(position),
                None if ask.options.resume.is_some() => Asked::Id,
                None => Asked::Nothing,
            };
            self.begin(start, asked, shared, addressed);
        }
    }

    /// Records how many topics each accepted pattern matched.
    fn match_patterns(&mut self, patterns: Vec<(String, u64)>) {
        for (text, matched) in patterns {
            let known = pattern_of(&text).map_or(0, |pattern| self.topics.matching(&pattern));
            self.subscriptions.coverage.matched(&text, matched, known);
        }
    }
}
