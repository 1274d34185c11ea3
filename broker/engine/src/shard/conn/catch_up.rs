//! Catching up: what a connection gets from the topic itself, because it just subscribed, came back, or fell out of
//! step.
//!
//! One small entry per topic says what is wanted. In the connection's turn, the entry is turned into frames that the
//! topic holds anyway (its image, its history), as many as the turn allows; what the socket took advances the entry. At
//! the end it becomes `After`: the feed entries up to there are swallowed, and the entry is dropped once the shard has
//! read past them. Nothing has to stop for it.

use std::collections::{BTreeMap, VecDeque};

use super::walk::Walk;
use super::want::{At, Introduce, Want};
use crate::topic::TopicId;

/// What a connection gets from the topics instead of from the ring.
#[derive(Debug, Default)]
pub(crate) struct CatchUp {
    pub(crate) wants: BTreeMap<TopicId, Want>,
    pub(crate) walks: Vec<Walk>,
    /// The topic at which the next turn begins, so that topics take turns too.
    pub(crate) cursor: TopicId,
    /// Bytes that were taken in meanwhile for topics in `wants`.
    pub(crate) swallowed_bytes: u64,
    pub(crate) swallowed_updates: u64,
    /// The wants that only swallow, with the feed position at which each is over. Positions only rise.
    expiry: VecDeque<(u64, TopicId)>,
}

impl CatchUp {
    pub(crate) fn is_empty(&self) -> bool {
        self.wants.is_empty() && self.walks.is_empty()
    }

    /// About how many wants have something still to be sent; those that only swallow wait for the feed.
    pub(crate) fn unsent(&self) -> usize {
        self.wants.len().saturating_sub(self.expiry.len())
    }

    /// Inserts a want, replacing any of the same topic.
    pub(crate) fn want(&mut self, want: Want) {
        let topic = want.topic.id();
        self.expires(topic, want.at, want.introduce);
        self.wants.insert(topic, want);
    }

    /// Continues a want at `at`; its topic has been introduced.
    pub(crate) fn advance(&mut self, topic: TopicId, at: At) -> Option<&mut Want> {
        let want = self.wants.get_mut(&topic)?;
        (want.at, want.introduce) = (at, Introduce::No);
        self.expires(topic, at, Introduce::No);
        self.wants.get_mut(&topic)
    }

    fn expires(&mut self, topic: TopicId, at: At, introduce: Introduce) {
        if let At::After { feed_position, .. } = at
            && introduce == Introduce::No
        {
            self.expiry.push_back((feed_position, topic));
        }
    }

    /// Drops the wants whose only task was to swallow what the shard has now read.
    pub(crate) fn expire(&mut self, read: u64) {
        while let Some((feed_position, topic)) = self.expiry.front().copied()
            && feed_position <= read
        {
            self.expiry.pop_front();
            let over = |want: &Want| matches!(want.at, At::After { feed_position, .. } if feed_position <= read);
            if self.wants.get(&topic).is_some_and(|want| want.introduce == Introduce::No && over(want)) {
                self.wants.remove(&topic);
            }
        }
        if self.expiry.capacity() > 64 && self.expiry.len() < self.expiry.capacity() / 4 {
            self.expiry.shrink_to(self.expiry.len() * 2);
        }
    }
}
