//! Removing names and patterns that no connection is subscribed to any more, some at a time.

use super::follows::Linked;
use super::{GroupId, Shard};
use crate::fault;
use crate::sink::Sink;

/// Names visited in one round.
const NAMES_PER_ROUND: usize = fault::bound(64, 2);

/// What no connection is subscribed to any more.
#[derive(Default)]
pub(super) struct Retiring {
    /// Patterns that names still refer to: those of the present pass, and those that wait for the next one.
    patterns: Vec<GroupId>,
    patterns_next: Vec<GroupId>,
    /// Where the pass that takes patterns out of the names continues.
    patterns_at: usize,
    /// Where the pass that looks for names without a topic continues; `None` between passes.
    names_at: Option<usize>,
}

impl Retiring {
    /// Notes that a pattern has no members any more: the names that refer to it will forget it.
    pub(super) fn retire(&mut self, group: GroupId) {
        self.patterns_next.push(group);
    }

    /// Begins a pass over the names, unless one is under way.
    pub(super) fn begin_names(&mut self) {
        self.names_at.get_or_insert(0);
    }
}

impl<S: Sink> Shard<S> {
    /// Drops names that only patterns cover and that no longer have a topic: they are created again when a topic of
    /// that name begins. Otherwise every name that ever existed would stay for as long as a connection is subscribed to
    /// `>`.
    pub(super) fn forget_names(&mut self) -> bool {
        let Some(from) = self.retiring.names_at else { return false };
        let end = (from + NAMES_PER_ROUND).min(self.follows.names.bound());
        for id in from..end {
            let Some(followed) = self.follows.names.get_mut(id as u32) else { continue };
            if followed.topic.is_some() || !followed.direct.is_empty() {
                continue;
            }
            // A connection that is still catching up with an ended incarnation finds it here.
            followed.prune(self.ring.tail());
            if followed.previous.is_empty() {
                followed.groups = Linked::default();
                self.release(id as u32);
            }
        }
        self.retiring.names_at = (end < self.follows.names.bound()).then_some(end);
        self.retiring.names_at.is_some()
    }

    /// Takes retired patterns out of the names that they matched, some names at a time.
    pub(super) fn retire_patterns(&mut self) -> bool {
        if self.retiring.patterns.is_empty() {
            if self.retiring.patterns_next.is_empty() {
                return false;
            }
            self.retiring.patterns = std::mem::take(&mut self.retiring.patterns_next);
            self.retiring.patterns_at = 0;
            for group in &self.retiring.patterns {
                self.follows.groups[*group].forgotten = true;
            }
        }
        let end = (self.retiring.patterns_at + NAMES_PER_ROUND).min(self.follows.names.bound());
        for id in self.retiring.patterns_at..end {
            if let Some(followed) = self.follows.names.get_mut(id as u32) {
                let groups = &self.follows.groups;
                let before = followed.groups.len();
                self.work.charge(before / 8);
                match &mut followed.groups {
                    Linked::Few(few) => few.retain(|group| !groups[*group].forgotten),
                    Linked::Many(set) if set.groups.iter().any(|group| groups[*group].forgotten) => {
                        followed.groups = Linked::default();
                    }
                    Linked::Many(_) => {}
                }
                if followed.groups.len() < before {
                    // A pattern whose walk has not reached the name covers it nevertheless.
                    self.link_all(id as u32);
                }
                self.release(id as u32);
            }
        }
        self.retiring.patterns_at = end;
        if end == self.follows.names.bound() {
            for group in std::mem::take(&mut self.retiring.patterns) {
                self.follows.groups.remove(group);
            }
        }
        !self.retiring.patterns.is_empty() || !self.retiring.patterns_next.is_empty()
    }
}
