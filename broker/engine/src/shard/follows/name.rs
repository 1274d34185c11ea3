//! What a shard knows of a name, and of a pattern, that a connection is subscribed to.

use std::sync::{Arc, Weak};

use broker_protocol::pattern::{Pattern, Specificity};
use smallvec::SmallVec;

use super::members::Members;
use super::patterns::Linked;
use crate::shard::conn::CatchUp;
use crate::shard::denied::Denied;
use crate::shard::id::ViewId;
use crate::topic::{Topic, TopicId};

/// A name that a connection of this shard is subscribed to, whether or not there is such a topic now.
pub(crate) struct FollowedName {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Option<Arc<Topic>>,
    /// Ended incarnations that connections may still have to get, with the ring offset at the time of their end.
    pub(crate) previous: SmallVec<[(Weak<Topic>, u64); 1]>,
    pub(crate) direct: Members,
    /// Patterns that match it, the most specific first.
    pub(crate) groups: Linked,
    pub(crate) views: SmallVec<[ViewId; 1]>,
    /// The newest `seq` of `topic` that the shard took in.
    pub(crate) read_seq: u64,
    /// It has no topic, is subscribed to by name, and is counted among the names that are waited for.
    pub(crate) is_waited: bool,
}

/// What a name costs in bytes in addition to its text: its entry here and in the map by name, and the list of its first
/// subscriber.
const NAME_BYTES: usize = std::mem::size_of::<FollowedName>() + 256;

impl FollowedName {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            topic: None,
            previous: SmallVec::new(),
            direct: Members::default(),
            groups: Linked::default(),
            views: SmallVec::new(),
            read_seq: 0,
            is_waited: false,
        }
    }

    /// What the name costs while it is waited for, in bytes.
    pub(crate) fn name_bytes(&self) -> u64 {
        (self.name.len() + NAME_BYTES) as u64
    }

    /// Forgets ended incarnations that no connection has to get any more: none wants them, and the ring, whose oldest
    /// frame is at `ring_tail`, holds nothing of them.
    pub(crate) fn prune(&mut self, ring_tail: u64) {
        let is_wanted = |topic: &Weak<Topic>| topic.upgrade().is_some_and(|topic| topic.is_wanted());
        self.previous.retain(|(topic, ring_offset)| *ring_offset > ring_tail || is_wanted(topic));
    }

    /// Returns an ended incarnation that the connection has not caught up with, and that therefore comes first.
    pub(crate) fn unfinished(&self, catch_up: &CatchUp, topic: &Arc<Topic>) -> Option<TopicId> {
        // The newest of them waits for those before it.
        let wanted = |old: &Arc<Topic>| !Arc::ptr_eq(old, topic) && catch_up.wants.contains_key(&old.id());
        self.previous().find(wanted).map(|old| old.id())
    }

    /// Ended incarnations that still exist, the last one first.
    pub(crate) fn previous(&self) -> impl Iterator<Item = Arc<Topic>> + '_ {
        self.previous.iter().rev().filter_map(|(topic, _)| topic.upgrade())
    }
}

/// A pattern that a connection of this shard is subscribed to. Connections that are denied different topics of it are in
/// different groups, so that permissions are looked up once per topic and group, and never per delivery.
pub(crate) struct Group {
    pub(crate) pattern: Pattern,
    pub(crate) denied: Denied,
    pub(crate) specificity: Specificity,
    pub(crate) members: Members,
    /// It has no members left; it is removed once no name refers to it.
    pub(crate) dead: bool,
    /// The pass over the names that unlinks it is under way.
    pub(crate) forgotten: bool,
}

impl Group {
    pub(crate) fn new(pattern: Pattern, denied: Denied) -> Self {
        let (specificity, members) = (pattern.specificity(), Members::default());
        Self { pattern, denied, specificity, members, dead: false, forgotten: false }
    }

    /// Whether its members get this topic.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.pattern.matches(name) && !self.denied.matches(name)
    }

    /// What it costs in bytes: itself, and a node per segment in the shard's trie and in that of the listings.
    pub(crate) fn bytes(&self) -> u64 {
        group_bytes(&self.pattern, &self.denied)
    }
}

/// What a pattern's group costs in bytes.
pub(crate) fn group_bytes(pattern: &Pattern, denied: &Denied) -> u64 {
    const GROUP_BYTES: usize = 256;
    const NODE_BYTES: usize = 160;
    let text = GROUP_BYTES + 3 * pattern.as_str().len() + 2 * NODE_BYTES * pattern.segments().count();
    text as u64 + denied.bytes()
}
