//! Reading topics without subscribing: listings, the image, the history.

use std::sync::Arc;

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;

use crate::engine::Engine;
use crate::topic::Topic;

/// One topic of a listing.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// Its name.
    pub topic: Arc<str>,
    /// The kind of its first publish.
    pub kind: Kind,
    /// Its epoch.
    pub epoch: Box<str>,
    /// Its newest `seq`.
    pub seq: u64,
    /// Its oldest retained `seq`.
    pub oldest: u64,
    /// Subscriptions that cover it, by name and by pattern.
    pub subscribers: u64,
    /// When it was last published, in µs since the epoch.
    pub last_ts: u64,
}

/// Which part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The newest so many.
    Last(u64),
    /// All after this `seq`.
    After(u64),
}

/// Retained updates of a topic.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// Whose.
    pub topic: Arc<Topic>,
    /// Its newest `seq`.
    pub seq: u64,
    /// Its oldest retained `seq`.
    pub oldest: u64,
    /// The updates, oldest first.
    pub updates: Vec<Frame>,
}

impl Engine {
    /// Up to `limit` topics that `pattern` matches, by the bytes of their names, after `after`; and the last name shown
    /// where there are more.
    pub fn topics(&self, pattern: &Pattern, after: Option<&str>, limit: usize) -> (Vec<TopicRow>, Option<Arc<str>>) {
        let mut found: Vec<Arc<Topic>> = Vec::new();
        let mut at: Option<Arc<str>> = after.map(Into::into);
        let mut more = false;
        loop {
            // The lock is let go of between portions: a pattern that matches little may look at many names.
            let mut steps = 1024;
            let names = self.directory.read();
            match names.next_match(pattern, at.as_deref(), &mut steps) {
                Ok(Some(_)) if found.len() == limit => {
                    more = true;
                    break;
                }
                Ok(Some(topic)) => {
                    at = Some(topic.name().clone());
                    found.push(topic.clone());
                }
                Ok(None) => break,
                Err(name) => at = Some(name),
            }
        }
        let next = found.last().filter(|_| more).map(|topic| topic.name().clone());
        (found.iter().map(|topic| self.row(topic)).collect(), next)
    }

    fn row(&self, topic: &Arc<Topic>) -> TopicRow {
        let mut subscribers = u64::from(topic.direct_subscribers());
        let patterns = self.patterns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        patterns.matching(topic.name(), |count| subscribers += count);
        drop(patterns);
        let state = topic.lock();
        TopicRow {
            topic: topic.name().clone(),
            kind: topic.kind(),
            epoch: topic.epoch().into(),
            seq: state.seq(),
            oldest: state.history.oldest(),
            subscribers,
            last_ts: state.last_ts,
        }
    }

    /// The `image` message of a topic as JSON; `None` where there is no such topic, or no image of it.
    pub fn image(&self, topic: &str) -> Option<Frame> {
        let topic = self.directory.read().get(topic).cloned()?;
        let snapshot = topic.snapshot()?;
        Some(topic.image_frame(&snapshot, self.limits.images_encoded_bytes_max))
    }

    /// Retained updates of a topic; `None` where there is none of this name.
    pub fn history(&self, topic: &str, ask: Ask) -> Option<HistoryPage> {
        let topic = self.directory.read().get(topic).cloned()?;
        let state = topic.lock();
        let (seq, oldest) = (state.seq(), state.history.oldest());
        let first = match ask {
            Ask::Last(count) => oldest.max((seq + 1).saturating_sub(count)),
            Ask::After(after) => oldest.max(after.saturating_add(1)),
        };
        let updates = state.history.since(first).map(|kept| kept.frame.clone()).collect();
        drop(state);
        Some(HistoryPage { topic, seq, oldest, updates })
    }
}
