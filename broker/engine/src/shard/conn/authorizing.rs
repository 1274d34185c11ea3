//! New permissions of a connection, which take effect in portions.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;

use super::subscriptions::Target;
use super::walk::Walk;
use crate::shard::denied::Denied;
use crate::shard::id::GroupId;
use crate::shard::permit::{Permit, Readable};
use crate::topic::Topic;
use crate::trie::Trie;

/// What an entry of a map takes besides its text.
const ENDED_BYTES: usize = 48;

/// New permissions, and how far they have taken effect.
#[derive(Debug)]
pub(crate) struct Authorizing {
    /// What the client may do then; `None` is everything.
    pub(crate) permit: Option<Permit>,
    /// What it may subscribe to by that, and what it might before.
    pub(crate) readable: Readable,
    pub(crate) was_readable: Readable,
    /// The message that is sent once everything has taken effect.
    pub(crate) answer: Option<Box<[u8]>>,
    pub(crate) phase: Phase,
    /// The subscriptions that are still to be checked.
    pub(crate) unchecked: Vec<Target>,
    /// Topics and patterns whose subscriptions end, and the reason.
    pub(crate) ended: BTreeMap<Arc<str>, ErrorCode>,
    /// The same, as targets.
    pub(crate) ended_targets: Vec<Target>,
    /// Patterns that stay, of which other topics are denied than before.
    pub(crate) moved: Vec<Moved>,
    /// The same by their segments, as indices, once they have taken effect.
    pub(crate) moved_by_name: Trie<usize>,
    /// Which of the denied patterns take topics out of some of these that were not denied before.
    pub(crate) newly_denied: Vec<bool>,
    /// The client may know topics that its patterns have not introduced, by another subscription.
    pub(crate) may_know: bool,
    /// The feed position at which they took effect: topics that begin later are not known to the client.
    pub(crate) feed_position: u64,
}

/// What is done next.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The subscriptions are compared with the permissions. Nothing has taken effect.
    Check,
    /// The names of a moved pattern, by its index, are linked to its new group, from a name on.
    Link { moved: usize, after: Option<Arc<str>> },
    /// The ended subscriptions are reported, from an entry on.
    ReportEnded { after: Option<Arc<str>> },
    /// The topics that moved patterns no longer bring are reported: those that a newly denied pattern matches, by its
    /// index among all denied ones, from a name on.
    ReportDenied { denied: usize, after: Option<Arc<str>> },
    /// Everything has been reported.
    Done,
}

/// A pattern that changes its group.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) pattern: Pattern,
    pub(crate) old: GroupId,
    pub(crate) new: Option<GroupId>,
    pub(crate) was_denied: Denied,
    pub(crate) denied: Denied,
    /// Walks that had not introduced all topics when the pattern moved.
    pub(crate) unfinished: Vec<Walk>,
}

impl Authorizing {
    /// Roughly what it holds, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let targets = (self.unchecked.capacity() + self.ended_targets.capacity()) * size_of::<Target>();
        let ended = self.ended.len() * ENDED_BYTES + self.moved.capacity() * size_of::<Moved>();
        size_of::<Self>() + targets + ended + self.answer.as_ref().map_or(0, |answer| answer.len())
    }

    pub(crate) fn new(
        permit: Option<Permit>,
        (was_readable, readable): (Readable, Readable),
        answer: Option<Box<[u8]>>,
        unchecked: Vec<Target>,
        may_know: bool,
    ) -> Self {
        Self {
            permit,
            newly_denied: vec![false; readable.deny().len()],
            readable,
            was_readable,
            answer,
            phase: Phase::Check,
            unchecked,
            ended: BTreeMap::new(),
            ended_targets: Vec::new(),
            moved: Vec::new(),
            moved_by_name: Trie::default(),
            may_know,
            feed_position: 0,
        }
    }

    /// Whether they have taken effect and that is not reported yet.
    pub(crate) fn has_effect(&self) -> bool {
        !matches!(self.phase, Phase::Check | Phase::Link { .. })
    }

    /// Notes a pattern that stays, and what is denied of it from now on.
    pub(crate) fn move_pattern(&mut self, moved: Moved) {
        for pattern in moved.denied.patterns() {
            // Both lists are in order.
            if moved.was_denied.patterns().binary_search(pattern).is_err()
                && let Ok(index) = self.readable.deny().binary_search(pattern)
            {
                self.newly_denied[index] = true;
            }
        }
        self.moved.push(moved);
    }

    /// Whether a topic is denied now and was not before.
    ///
    /// What a moved pattern is denied is what overlaps it. So for a name that the pattern matches, all denied patterns
    /// decide the same as those that are the pattern's own.
    pub(crate) fn is_newly_denied(&self, name: &str) -> bool {
        self.readable.denies(name) && !self.was_readable.denies(name)
    }

    /// Whether some moved pattern matches a name.
    pub(crate) fn is_of_moved(&self, name: &str) -> bool {
        let mut is_one = false;
        self.moved_by_name.matching(name, |_| is_one = true);
        is_one
    }

    /// Whether a topic that a newly denied pattern matches is reported for that pattern: the client knew it by a moved
    /// pattern, and it is reported once.
    pub(crate) fn reports(&self, denied: usize, topic: &Topic) -> bool {
        let name = &**topic.name();
        let earlier = self.readable.deny()[..denied].iter().zip(&self.newly_denied);
        if self.was_readable.denies(name) || earlier.filter(|(_, is_new)| **is_new).any(|(one, _)| one.matches(name)) {
            return false;
        }
        let (mut is_of_moved, mut was_introduced) = (false, false);
        self.moved_by_name.matching(name, |moved| {
            is_of_moved = true;
            was_introduced |= !self.moved[*moved].unfinished.iter().any(|walk| walk.will_introduce(topic));
        });
        is_of_moved && (self.may_know || was_introduced) && !self.ended.contains_key(name)
    }

    /// The number of patterns that are compared with one name at most, besides those that match it.
    pub(crate) fn denied_size(&self) -> usize {
        self.readable.deny().len() + self.was_readable.deny().len()
    }
}
