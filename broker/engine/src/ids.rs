//! Small numbers for topics, so that a shard finds the topic of a feed entry by indexing.
//!
//! A number is reused only when no entry that names its last owner can still be unread: it waits until every shard has
//! read past the feed's tail at the moment when the owner was dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::{Mutex, lock};

/// The number of one incarnation of a topic; the topic gets another if it begins again after its end.
pub(crate) type TopicId = u32;

/// The log whose entries name topics by their numbers. Positions are in bytes since its beginning.
pub(crate) trait Log: Send + Sync {
    /// The position of its end: everything appended from now on lies behind it.
    fn end(&self) -> u64;

    /// The position that all of its readers have reached.
    fn read_by_all(&self) -> u64;
}

#[derive(Default)]
struct Inner {
    free: Vec<TopicId>,
    /// Numbers that may be reused once the log is read up to the given position.
    retired: VecDeque<(u64, TopicId)>,
    next: TopicId,
}

/// The numbers in use and those that wait to be reused.
pub(crate) struct Ids {
    log: Arc<dyn Log>,
    inner: Mutex<Inner>,
}

impl Ids {
    pub(crate) fn new(log: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self { log, inner: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Id {
        let mut inner = lock(&self.inner);
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

/// A number that is returned when dropped.
pub(crate) struct Id {
    pub(crate) number: TopicId,
    ids: Arc<Ids>,
}

impl Drop for Id {
    fn drop(&mut self) {
        let at = self.ids.log.end();
        let mut inner = lock(&self.ids.inner);
        inner.retired.push_back((at, self.number));
    }
}
