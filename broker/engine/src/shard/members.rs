//! Who is subscribed: to a topic by its name, or by a pattern.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use broker_protocol::pattern::{Pattern, Specificity};
use smallvec::SmallVec;

use super::connection::Step;
use super::{ConnId, GroupId, ViewId};
use crate::topic::Topic;

/// Connections, those that get every update apart from those that asked for fewer.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) plain: Vec<ConnId>,
    pub(crate) conflated: Vec<(ConnId, Step)>,
    /// The steps that `conflated` uses, a bit each.
    pub(crate) steps: u16,
}

impl Members {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.conflated.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.conflated.len()
    }

    pub(crate) fn add(&mut self, conn: ConnId, step: Step) {
        if step == 0 {
            self.plain.push(conn);
        } else {
            self.conflated.push((conn, step));
            self.steps |= 1 << step;
        }
    }

    pub(crate) fn remove(&mut self, conn: ConnId, step: Step) {
        if step == 0 {
            if let Some(at) = self.plain.iter().position(|member| *member == conn) {
                self.plain.swap_remove(at);
            }
            shrink(&mut self.plain);
        } else {
            if let Some(at) = self.conflated.iter().position(|member| *member == (conn, step)) {
                self.conflated.swap_remove(at);
            }
            self.steps = self.conflated.iter().fold(0, |steps, (_, step)| steps | 1 << step);
            shrink(&mut self.conflated);
        }
    }

    pub(crate) fn each(&self, mut call: impl FnMut(ConnId, Step)) {
        self.plain.iter().for_each(|conn| call(*conn, 0));
        self.conflated.iter().for_each(|(conn, step)| call(*conn, *step));
    }
}

/// Gives memory back after many left, rarely enough to cost nothing.
fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > 64 && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

/// A name that somebody in this shard is subscribed to, whether or not there is such a topic now.
pub(crate) struct Local {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Option<Arc<Topic>>,
    /// Ended incarnations that connections may still be catching up with.
    pub(crate) previous: SmallVec<[Weak<Topic>; 1]>,
    pub(crate) direct: Members,
    /// Patterns that match, the most specific first.
    pub(crate) groups: SmallVec<[GroupId; 2]>,
    pub(crate) views: SmallVec<[ViewId; 1]>,
    /// The newest `seq` of `topic` that the shard took in.
    pub(crate) read_seq: u64,
}

impl Local {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            topic: None,
            previous: SmallVec::new(),
            direct: Members::default(),
            groups: SmallVec::new(),
            views: SmallVec::new(),
            read_seq: 0,
        }
    }

    /// Forgets ended incarnations that nobody catches up with any more.
    pub(crate) fn prune(&mut self) {
        self.previous.retain(|topic| topic.strong_count() > 0);
    }
}

/// A pattern that somebody in this shard is subscribed to.
pub(crate) struct Group {
    pub(crate) pattern: Pattern,
    pub(crate) specificity: Specificity,
    pub(crate) members: Members,
    /// Nobody is left; it goes once no topic refers to it.
    pub(crate) dead: bool,
}
