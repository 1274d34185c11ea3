//! Which names this shard follows: from the first subscriber to the last.

use std::sync::Arc;

use super::denied::Denied;
use super::follows::{Linked, group_bytes};
use super::{GroupId, NameId, Shard};
use crate::in_force::InForce;
use crate::sink::Sink;
use crate::topic::Topic;
use broker_protocol::pattern::Pattern;

impl<S: Sink> Shard<S> {
    /// Returns the id of a name, creating it if necessary and following the topic if there is one.
    pub(super) fn follow(&mut self, name: &Arc<str>) -> NameId {
        if let Some(name_id) = self.follows.named(name) {
            return name_id;
        }
        let topic = self.engine.directory.read().get(name).cloned();
        let name = topic.as_ref().map_or(name, |topic| topic.name()).clone();
        let id = self.insert_followed(name);
        if let Some(topic) = topic {
            self.attach(id, topic);
        }
        id
    }

    /// Creates the entry of a name that has none, without a topic. Patterns are linked to it only when they have a
    /// topic of that name to report: names that nobody publishes cost them nothing.
    pub(super) fn insert_followed(&mut self, name: Arc<str>) -> NameId {
        self.stats.local_topics.add(1);
        self.follows.insert(name)
    }

    /// Follows this incarnation from now on. Nothing of it was taken in before. An incarnation whose end the shard will
    /// not read is not followed: the name would stay attached to it for ever.
    pub(super) fn attach(&mut self, id: NameId, topic: Arc<Topic>) {
        let mut state = topic.lock();
        if state.is_over_for(self.bit, self.reader.bytes()) {
            return;
        }
        let is_to_begin = self.is_to_begin(&topic);
        self.follows.assign(topic.id(), id);
        let followed = &mut self.follows.names[id];
        let members = followed.direct.len() as u32;
        topic.direct.fetch_add(members, std::sync::atomic::Ordering::Relaxed);
        state.interest |= self.bit;
        // No shard had to see what was published before: it has ordinals that the feed's entries do not show.
        self.followed_from = self.engine.feed.ordinal();
        // If the beginning is still to be read, so is everything after it; otherwise nothing published up to now will
        // come.
        followed.read_seq = if is_to_begin { 0 } else { state.seq() };
        drop(state);
        followed.topic = Some(topic);
        self.forget_name(id);
    }

    /// Whether a topic's beginning is still to be read, and everything after it.
    pub(super) fn is_to_begin(&self, topic: &Topic) -> bool {
        // 0 if it is not appended yet, which wraps around.
        topic.begun_bytes.load(std::sync::atomic::Ordering::Acquire).wrapping_sub(1) >= self.reader.bytes()
    }

    /// Stops following the present incarnation.
    pub(super) fn detach(&mut self, id: NameId) {
        let followed = &mut self.follows.names[id];
        let views = std::mem::take(&mut followed.views);
        if let Some(topic) = followed.topic.take() {
            self.follows.unassign(topic.id());
            // Until its beginning was read it is unknown whether a pattern wants it: that is decided when it is read.
            if !self.is_to_begin(&topic) {
                topic.lock().interest &= !self.bit;
            }
        }
        for view in views {
            self.drop_view(view);
        }
        // Connections that are subscribed to it by name wait for it again, whether or not that exceeds the bound.
        if !self.follows.names[id].direct.is_empty() {
            let followed = &mut self.follows.names[id];
            followed.is_waited = true;
            self.engine.budget.names.add(followed.name_bytes());
        }
    }

    /// Counts a name that is about to be subscribed to, if it has no topic. Returns false if that would exceed the
    /// bound.
    pub(super) fn count_name(&mut self, id: NameId) -> bool {
        let followed = &mut self.follows.names[id];
        if followed.topic.is_some() || followed.is_waited {
            return true;
        }
        let max = self.engine.limits.names_waited_bytes_max();
        followed.is_waited = self.engine.budget.names.try_change(0, followed.name_bytes(), max);
        followed.is_waited
    }

    /// Stops counting a name as waited for.
    fn forget_name(&mut self, id: NameId) {
        let followed = &mut self.follows.names[id];
        if std::mem::take(&mut followed.is_waited) {
            self.engine.budget.names.sub(followed.name_bytes());
        }
    }

    /// Drops a name that nobody follows any more.
    pub(super) fn release(&mut self, id: NameId) {
        let Some(followed) = self.follows.names.get(id) else { return };
        if !followed.direct.is_empty() || !followed.groups.is_empty() {
            return;
        }
        self.detach(id);
        self.forget_name(id);
        self.follows.remove(id);
        self.stats.local_topics.sub(1);
    }

    /// Returns the group of a pattern with these denied topics, creating it if necessary. `None` if that would exceed the
    /// bound.
    pub(super) fn group(&mut self, pattern: &Pattern, denied: &Denied) -> Option<GroupId> {
        if let Some(group) = self.follows.group(pattern, denied) {
            return Some(group);
        }
        let max = patterns_bytes_max(&self.engine.limits);
        if !self.engine.budget.subscriptions.try_change(0, group_bytes(pattern, denied), max) {
            return None;
        }
        Some(self.follows.insert_group(pattern, denied))
    }

    /// The patterns that match a name. The lookup counts as work.
    pub(super) fn matching(&self, name: &str) -> Linked {
        let (linked, looked_for) = self.follows.matching(name);
        self.work.charge(1 + looked_for);
        linked
    }

    /// Links a name to every pattern that matches it. A walk links only its own pattern, to the names that it reaches.
    pub(super) fn link_all(&mut self, name_id: NameId) {
        self.work.charge(self.follows.link_all(name_id));
    }

    /// Links a name to one pattern that matches it.
    pub(super) fn link(&mut self, name_id: NameId, group: GroupId) {
        self.work.charge(self.follows.link(name_id, group));
    }

    /// Retires a pattern without members; its names forget it in portions, in the sweep. Until they have, it counts.
    pub(super) fn release_group(&mut self, id: GroupId) {
        let group = &mut self.follows.groups[id];
        if !group.members.is_empty() || group.dead {
            return;
        }
        self.follows.retire_group(id);
        self.retiring.retire(id);
    }
}

/// The bound on the sum of all subscriptions that a new pattern must not exceed. The remainder is reserved for
/// subscriptions: whatever patterns a client invents, others can still subscribe to topics and existing patterns.
pub(super) fn patterns_bytes_max(limits: &InForce) -> u64 {
    limits.subscriptions_bytes_max() / 4 * 3
}
