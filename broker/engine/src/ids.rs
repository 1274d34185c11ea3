//! Small numbers for topics, so that a shard finds a topic of a feed entry by indexing.
//!
//! A number is used again, but only once no entry that names its last owner can still be unread: it waits until every
//! shard has read past the feed's tail of the moment when the owner was dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One incarnation of a topic: another after the topic ended and began anew.
pub(crate) type TopicId = u32;

/// The log whose entries name topics by their numbers. Positions are in bytes since its beginning.
pub(crate) trait Log: Send + Sync {
    /// Its end: what is appended from now on is behind that.
    fn end(&self) -> u64;

    /// Up to where all of its readers have read.
    fn read_by_all(&self) -> u64;
}

#[derive(Default)]
struct Inner {
    free: Vec<TopicId>,
    /// Numbers that may be used again once the log is read up to there.
    retired: VecDeque<(u64, TopicId)>,
    next: TopicId,
}

/// The numbers in use and those that wait.
pub(crate) struct Ids {
    log: Arc<dyn Log>,
    inner: Mutex<Inner>,
}

impl Ids {
    pub(crate) fn new(log: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self { log, inner: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Id {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let read = self.log.read_by_all();
        while let Some(&(at, id)) = inner.retired.front() {
            if at > read {
                break;
            }
            inner.retired.pop_front();
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
        let at = self.ids.log.end();
        let mut inner = self.ids.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.retired.push_back((at, self.number));
    }
}
