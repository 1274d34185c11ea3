//! Removing names and patterns that no connection is subscribed to any more, some at a time.

#[cfg(test)]
mod tests;

use std::ops::Range;

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

    /// The next portion of the pass over the names, of those with numbers below `bound`; `None` between passes.
    fn names(&self, bound: usize) -> Option<Range<usize>> {
        self.names_at.map(|from| portion(from, bound))
    }

    /// Notes that the names before `end` were visited, of those that are now below `bound`. Returns whether there are
    /// more.
    fn visited_names(&mut self, end: usize, bound: usize) -> bool {
        self.names_at = (end < bound).then_some(end);
        self.names_at.is_some()
    }

    /// Begins a pass that takes the waiting patterns out of the names, unless one is under way or none waits. Returns the
    /// patterns with which it begins.
    fn begin_patterns(&mut self) -> &[GroupId] {
        if !self.patterns.is_empty() || self.patterns_next.is_empty() {
            return &[];
        }
        self.patterns = std::mem::take(&mut self.patterns_next);
        self.patterns_at = 0;
        &self.patterns
    }

    /// The names of the next portion of that pass, of those with numbers below `bound`; `None` between passes.
    fn names_with_patterns(&self, bound: usize) -> Option<Range<usize>> {
        (!self.patterns.is_empty()).then(|| portion(self.patterns_at, bound))
    }

    /// Notes that the names before `end` were visited, of those that are now below `bound`. Returns the patterns that no
    /// name refers to any more: those of the pass, at its end.
    fn visited_patterns(&mut self, end: usize, bound: usize) -> Vec<GroupId> {
        self.patterns_at = end;
        if end == bound { std::mem::take(&mut self.patterns) } else { Vec::new() }
    }

    fn has_patterns(&self) -> bool {
        !self.patterns.is_empty() || !self.patterns_next.is_empty()
    }
}

fn portion(from: usize, bound: usize) -> Range<usize> {
    from..(from + NAMES_PER_ROUND).min(bound)
}

impl<S: Sink> Shard<S> {
    /// Drops names that only patterns cover and that no longer have a topic: they are created again when a topic of
    /// that name begins. Otherwise every name that ever existed would stay for as long as a connection is subscribed to
    /// `>`.
    pub(super) fn forget_names(&mut self) -> bool {
        let Some(names) = self.retiring.names(self.follows.names.bound()) else { return false };
        let end = names.end;
        for id in names {
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
        self.retiring.visited_names(end, self.follows.names.bound())
    }

    /// Takes retired patterns out of the names that they matched, some names at a time.
    pub(super) fn retire_patterns(&mut self) -> bool {
        for group in self.retiring.begin_patterns() {
            self.follows.groups[*group].forgotten = true;
        }
        let Some(names) = self.retiring.names_with_patterns(self.follows.names.bound()) else { return false };
        let end = names.end;
        for id in names {
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
        for group in self.retiring.visited_patterns(end, self.follows.names.bound()) {
            if let Some(group) = self.follows.groups.remove(group) {
                self.engine.budget.subscriptions.sub(group.bytes());
            }
        }
        self.retiring.has_patterns()
    }
}
