//! Letting go of names and patterns that nobody is subscribed to any more, some at a time.

use super::follows::Linked;
use super::{GroupId, Shard};
use crate::fault;
use crate::sink::Sink;

/// Names looked at in one round.
const NAMES_PER_ROUND: usize = fault::bound(64, 2);

/// What nobody is subscribed to any more.
#[derive(Default)]
pub(super) struct Retiring {
    /// Patterns that names still refer to: those of the pass that is on, and those that wait for the next.
    patterns: Vec<GroupId>,
    patterns_next: Vec<GroupId>,
    /// Where the pass over the names goes on that takes patterns out of them.
    patterns_at: usize,
    /// Where the pass over the names goes on that looks for those without a topic; `None` between passes.
    names_at: Option<usize>,
}

impl Retiring {
    /// Nobody is subscribed to a pattern any more: names forget it.
    pub(super) fn retire(&mut self, group: GroupId) {
        self.patterns_next.push(group);
    }

    /// Begins a pass over the names, unless one is on.
    pub(super) fn begin_names(&mut self) {
        self.names_at.get_or_insert(0);
    }
}

impl<S: Sink> Shard<S> {
    /// Lets go of names that only patterns cover and that have no topic any more: the next beginning makes them again.
    /// Without this, every name that ever was would stay for as long as somebody is subscribed to `>`.
    pub(super) fn forget_names(&mut self) -> bool {
        let Some(from) = self.retiring.names_at else { return false };
        let end = (from + NAMES_PER_ROUND).min(self.follows.locals.bound());
        for id in from..end {
            let Some(local) = self.follows.locals.get_mut(id as u32) else { continue };
            if local.topic.is_some() || !local.direct.is_empty() {
                continue;
            }
            // Who still catches up with an ended incarnation finds it here.
            local.prune(self.ring.tail());
            if local.previous.is_empty() {
                local.groups = Linked::default();
                self.release(id as u32);
            }
        }
        self.retiring.names_at = (end < self.follows.locals.bound()).then_some(end);
        self.retiring.names_at.is_some()
    }

    /// Takes patterns that are gone out of the names that they matched, some names at a time.
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
        let end = (self.retiring.patterns_at + NAMES_PER_ROUND).min(self.follows.locals.bound());
        for id in self.retiring.patterns_at..end {
            self.retiring.patterns_at = id + 1;
            if let Some(local) = self.follows.locals.get_mut(id as u32) {
                let groups = &self.follows.groups;
                let before = local.groups.len();
                self.work.charge(before / 8);
                match &mut local.groups {
                    Linked::Few(few) => few.retain(|group| !groups[*group].forgotten),
                    Linked::Many(set) if set.groups.iter().any(|group| groups[*group].forgotten) => {
                        local.groups = Linked::default();
                    }
                    Linked::Many(_) => {}
                }
                if local.groups.len() < before {
                    // A pattern whose walk has not come by covers the name nevertheless.
                    self.link_all(id as u32);
                }
                self.release(id as u32);
                if self.work.is_spent() {
                    break;
                }
            }
        }
        if self.retiring.patterns_at >= self.follows.locals.bound() {
            for group in std::mem::take(&mut self.retiring.patterns) {
                self.follows.groups.remove(group);
            }
        }
        !self.retiring.patterns.is_empty() || !self.retiring.patterns_next.is_empty()
    }
}
