//! Removing what is pending of topics that a connection is no longer subscribed to, or has subscribed to again.

use super::conn::{Subscription, Target};
use super::{ConnId, GroupId, NameId, Shard};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId};
use foldhash::fast::RandomState;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl<S: Sink> Shard<S> {
    pub(super) fn leave_views(&mut self, id: ConnId, name_id: NameId) {
        self.views.forget_member(&self.follows.names[name_id].views, id);
    }

    /// Drops what is wanted of a name: its new start is sent before anything else of it. Adds the incarnations that may
    /// be on the runs to `dropped`.
    pub(super) fn forget_wants(&mut self, id: ConnId, name_id: NameId, dropped: &mut HashSet<TopicId, RandomState>) {
        self.leave_views(id, name_id);
        let (conn, followed) = (&mut self.conns[id], &self.follows.names[name_id]);
        let previous = followed.previous().map(|topic| topic.id());
        for topic in followed.topic.iter().map(|topic| topic.id()).chain(previous) {
            if let Some(catch_up) = &mut conn.catch_up
                && catch_up.wants.get(&topic).is_some_and(|want| !want.is_over())
            {
                catch_up.wants.remove(&topic);
            }
            if !conn.runs.is_empty() {
                dropped.insert(topic);
            }
        }
    }

    /// Drops what is pending of the topics of patterns that are subscribed to again, except for those that another
    /// subscription covers at least as closely. The end of a topic is reported through the subscription that covered it
    /// before, unless that was one of these patterns. `groups` has the order that each pattern had before, if it was
    /// subscribed to.
    pub(super) fn drop_pending_of(&mut self, id: ConnId, groups: &HashMap<GroupId, Option<u32>, RandomState>) {
        let among = |best: Target| matches!(best, Target::Pattern(group) if groups.contains_key(&group));
        self.retain_pending(id, |shard, topic, best| {
            if !among(best) {
                return true;
            }
            let name_id = shard.follows.named(topic.name());
            let held = name_id.and_then(|name_id| shard.follows.names[name_id].topic.as_ref());
            if held.is_some_and(|held| Arc::ptr_eq(held, topic)) {
                return false;
            }
            let order_of = |group, held: &Subscription| groups.get(&group).map_or(Some(held.order), |before| *before);
            let before = shard.resolve_as(&shard.conns[id], topic.name(), order_of);
            !before.is_some_and(|before| among(before.target))
        });
    }

    /// Keeps on a connection's runs and among its wants only topics that a subscription covers, if `keep` agrees for
    /// that subscription. From now on it gets them through that subscription, even if that is a pattern whose walk has
    /// not reached them.
    pub(super) fn retain_pending(&mut self, id: ConnId, keep: impl Fn(&Self, &Arc<Topic>, Target) -> bool) {
        let conn = &self.conns[id];
        let wanted = conn.catch_up.iter().flat_map(|catch_up| catch_up.wants.values().map(|want| &*want.topic));
        let slots = conn.runs.iter().flat_map(|run| self.ring.slots(run.ring_offset, run.len as usize));
        let mut seen: HashSet<TopicId, RandomState> = HashSet::default();
        let mut dropped: HashSet<TopicId, RandomState> = HashSet::default();
        let mut links: Vec<(NameId, GroupId)> = Vec::new();
        for topic in wanted.chain(slots.map(|slot| &slot.topic)) {
            if !seen.insert(topic.id()) {
                continue;
            }
            let best = self.resolve(conn, topic.name()).map(|best| best.target);
            if let (Some(Target::Pattern(group)), Some(name_id)) = (best, self.follows.named(topic.name())) {
                links.push((name_id, group));
            }
            if best.is_none_or(|best| !keep(self, topic, best)) {
                dropped.insert(topic.id());
            }
        }
        links.into_iter().for_each(|(name_id, group)| self.link(name_id, group));
        if dropped.is_empty() {
            return;
        }
        let conn = &mut self.conns[id];
        if let Some(catch_up) = &mut conn.catch_up {
            catch_up.wants.retain(|topic, want| !dropped.contains(topic) || want.is_over());
            conn.settle();
        }
        self.retain_runs(id, |topic| !dropped.contains(&topic.id()));
    }

    /// Keeps on a connection's runs only the topics for which `keep` returns true.
    pub(super) fn retain_runs(&mut self, id: ConnId, keep: impl Fn(&Arc<Topic>) -> bool) {
        let runs = self.conns[id].runs.clone();
        if runs.is_empty() {
            return;
        }
        let mut kept: SmallVec<[super::conn::Run; 1]> = SmallVec::new();
        let (mut bytes, mut frames) = (0, 0);
        for run in &runs {
            for slot in self.ring.slots(run.ring_offset, run.len as usize) {
                if !keep(&slot.topic) {
                    continue;
                }
                let len = slot.frame.len() as u32;
                match kept.last_mut() {
                    Some(last) if last.end() == slot.ring_offset && self.ring.joins(slot.ring_offset) => {
                        last.len += len
                    }
                    _ => kept.push(super::conn::Run { ring_offset: slot.ring_offset, len }),
                }
                bytes += len;
                frames += 1;
            }
        }
        let conn = &mut self.conns[id];
        conn.runs = kept;
        (conn.pending_bytes, conn.pending_frames) = (bytes, frames);
    }
}
