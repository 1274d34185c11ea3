//! Which subscriptions cover a topic.
//!
//! On the wire a topic is sent once per connection, with the options of the most specific entry. Here every
//! subscription that covers it gets it.

use std::collections::HashMap;

use broker_protocol::Pattern;

use crate::request::SubscriptionId;

/// The entries that the broker has accepted.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    topics: HashMap<String, Vec<SubscriptionId>>,
    /// In the order of subscription.
    patterns: Vec<Covering>,
}

/// A pattern of a subscription.
#[derive(Debug)]
struct Covering {
    pattern: Pattern,
    subscription: SubscriptionId,
    /// The number of topics that it matched when it was subscribed.
    matched: u64,
    /// The number of its topics that have begun, those from before included.
    introduced: u64,
}

impl Covering {
    /// Whether every topic that it matched has begun.
    fn is_complete(&self) -> bool {
        self.introduced >= self.matched
    }
}

impl Coverage {
    pub(super) fn add(&mut self, id: SubscriptionId, text: &str) {
        match pattern_of(text) {
            Some(pattern) => {
                self.patterns.push(Covering { pattern, subscription: id, matched: u64::MAX, introduced: 0 });
            }
            None => self.topics.entry(text.to_owned()).or_default().push(id),
        }
    }

    /// Removes an entry from one subscription.
    pub(super) fn remove(&mut self, id: SubscriptionId, text: &str) {
        self.patterns.retain(|covering| covering.subscription != id || covering.pattern.as_str() != text);
        self.remove_topic(id, text);
    }

    /// Removes a subscription that has these entries.
    pub(super) fn remove_all<'a>(&mut self, id: SubscriptionId, texts: impl Iterator<Item = &'a str>) {
        self.patterns.retain(|covering| covering.subscription != id);
        texts.for_each(|text| self.remove_topic(id, text));
    }

    fn remove_topic(&mut self, id: SubscriptionId, text: &str) {
        if let Some(ids) = self.topics.get_mut(text) {
            ids.retain(|of| *of != id);
            if ids.is_empty() {
                self.topics.remove(text);
            }
        }
    }

    /// Whether a topic is an entry of its own.
    pub(super) fn is_named(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// The subscriptions that cover a topic, each once.
    pub(super) fn covering(&self, topic: &str) -> Vec<SubscriptionId> {
        let mut covering = self.topics.get(topic).cloned().unwrap_or_default();
        covering.extend(self.patterns_of(topic).map(|covering| covering.subscription));
        covering.sort_unstable();
        covering.dedup();
        covering
    }

    pub(super) fn covers(&self, id: SubscriptionId, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|ids| ids.contains(&id))
            || self.patterns_of(topic).any(|covering| covering.subscription == id)
    }

    /// The most specific of the patterns that cover a topic, and its subscription, whose options the topic's stream
    /// has.
    pub(super) fn most_specific(&self, topic: &str) -> Option<(&str, SubscriptionId)> {
        // `max_by_key` returns the last of equals, which is the later subscription.
        let most = self.patterns_of(topic).max_by_key(|covering| covering.pattern.specificity());
        most.map(|covering| (covering.pattern.as_str(), covering.subscription))
    }

    fn patterns_of(&self, topic: &str) -> impl Iterator<Item = &Covering> {
        self.patterns.iter().filter(move |covering| covering.pattern.matches(topic))
    }

    /// Records that a subscribed pattern matched this many topics, `known` of which had begun before. A pattern that
    /// was complete stays so: a topic that it matches and that has not begun is new, however often the connection is
    /// lost in the meantime.
    pub(super) fn matched(&mut self, text: &str, matched: u64, known: u64) {
        for covering in self.patterns.iter_mut().filter(|covering| covering.pattern.as_str() == text) {
            if !covering.is_complete() {
                (covering.matched, covering.introduced) = (matched, known);
            }
        }
    }

    /// Records that a topic has begun.
    pub(super) fn introduced(&mut self, topic: &str) {
        for covering in self.patterns.iter_mut().filter(|covering| covering.pattern.matches(topic)) {
            covering.introduced += 1;
        }
    }

    /// Whether every topic that a pattern matched has begun. A topic that begins later did not exist then.
    pub(super) fn is_complete(&self, text: &str) -> bool {
        let mut same = self.patterns.iter().filter(|covering| covering.pattern.as_str() == text).peekable();
        same.peek().is_some() && same.all(Covering::is_complete)
    }
}

/// An entry as a pattern, if it is one.
pub(super) fn pattern_of(text: &str) -> Option<Pattern> {
    if broker_protocol::topic::is_pattern(text) { Pattern::parse(text).ok() } else { None }
}
