//! Small numbers for topics, so that a shard finds a topic of a feed entry by indexing.
//!
//! A number is used again, but only once no entry that names its last owner can still be unread: it waits in the
//! graveyard until every shard has read past the feed's tail of the moment when the owner was dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::feed::Feed;

/// One incarnation of a topic: another after the topic ended and began anew.
pub(crate) type TopicId = u32;

#[derive(Default)]
struct Inner {
    free: Vec<TopicId>,
    graveyard: VecDeque<(u64, TopicId)>,
    next: TopicId,
}

/// The numbers in use and those that wait.
pub(crate) struct Ids {
    feed: Arc<Feed>,
    inner: Mutex<Inner>,
}

impl Ids {
    pub(crate) fn new(feed: Arc<Feed>) -> Arc<Self> {
        Arc::new(Self { feed, inner: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Id {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let read = self.feed.read_bytes_min();
        while let Some(&(at, id)) = inner.graveyard.front() {
            if at > read {
                break;
            }
            inner.graveyard.pop_front();
            inner.free.push(id);
        }
        let number = inner.free.pop().unwrap_or_else(|| {
            let id = inner.next;
            inner.next += 1;
            id
        });
        Id { number, ids: self.clone() }
    }
}

/// A number that goes back when dropped.
pub(crate) struct Id {
    pub(crate) number: TopicId,
    ids: Arc<Ids>,
}

impl Drop for Id {
    fn drop(&mut self) {
        let at = self.ids.feed.appended_bytes();
        let mut inner = self.ids.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.graveyard.push_back((at, self.number));
    }
}
