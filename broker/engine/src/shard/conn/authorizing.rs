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

/// New permissions, and how far they have taken effect.
#[derive(Debug)]
pub(crate) struct Authorizing {
    /// What the client may do then; `None` is everything.
    pub(crate) permit: Option<Permit>,
    /// What it may subscribe to by that.
    pub(crate) readable: Readable,
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
    /// The topics that a moved pattern no longer brings are reported: those that one of its newly denied patterns
    /// matches, by their indices, from a name on.
    ReportDenied { moved: usize, denied: usize, after: Option<Arc<str>> },
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

impl Moved {
    /// Whether the pattern brought this topic before.
    pub(crate) fn covered(&self, name: &str) -> bool {
        self.pattern.matches(name) && !self.was_denied.matches(name)
    }

    /// Whether the pattern had introduced this topic.
    pub(crate) fn had_introduced(&self, topic: &Topic) -> bool {
        self.covered(topic.name()) && !self.unfinished.iter().any(|walk| walk.will_introduce(topic))
    }
}

impl Authorizing {
    pub(crate) fn new(
        permit: Option<Permit>,
        readable: Readable,
        answer: Option<Box<[u8]>>,
        unchecked: Vec<Target>,
        may_know: bool,
    ) -> Self {
        Self {
            permit,
            readable,
            answer,
            phase: Phase::Check,
            unchecked,
            ended: BTreeMap::new(),
            ended_targets: Vec::new(),
            moved: Vec::new(),
            may_know,
            feed_position: 0,
        }
    }

    /// Whether they have taken effect and that is not reported yet.
    pub(crate) fn has_effect(&self) -> bool {
        !matches!(self.phase, Phase::Check | Phase::Link { .. })
    }

    /// Whether a topic that a newly denied pattern matches is reported for that pattern: the client knew it, and it is
    /// reported once.
    pub(crate) fn reports(&self, moved: usize, denied: usize, topic: &Topic) -> bool {
        let name = &**topic.name();
        let first = |at: usize| self.moved[at].denied.patterns().iter().position(|pattern| pattern.matches(name));
        let is_first = || self.moved[..moved].iter().all(|earlier| !earlier.covered(name));
        self.moved[moved].covered(name)
            && first(moved) == Some(denied)
            && !self.ended.contains_key(name)
            && is_first()
            && (self.may_know || self.moved.iter().any(|one| one.had_introduced(topic)))
    }
}
