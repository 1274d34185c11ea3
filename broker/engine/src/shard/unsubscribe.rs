//! Unsubscribing from topics and patterns.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use broker_protocol::message::{self, GapReason};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, Id, OnSlow};
use broker_protocol::topic::is_pattern;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::conn::{At, Introduce, Step, Subscription, Target, Walk, Want};
use super::denied::Denied;
use super::follows::Group;
use super::subscribe::SUBSCRIPTION_BYTES;
use super::{ConnId, GroupId, NameId, Shard, ViewId};
use crate::budget::shared::SharedSum;
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::TopicId;

/// Work to leave one subscription, in steps.
pub(super) const LEAVE_STEPS: usize = 4;
/// Work to leave a pattern, in steps: the tries of the shard and of the listings change.
pub(super) const PATTERN_STEPS: usize = 40;
/// Patterns of one request that are looked up one by one, if the connection is denied some topics.
const LOOKED_UP_MAX: usize = 16;
/// Maximum number of walks of a connection per subscription that it may have.
const WALKS_PER_SUBSCRIPTION: u64 = 2;

/// A pattern that is unsubscribed from, and its walks that were under way.
pub(super) struct Left {
    group: GroupId,
    old: Subscription,
    unfinished: Vec<Walk>,
}

impl Left {
    pub(super) fn new(group: GroupId, old: Subscription) -> Left {
        Left { group, old, unfinished: Vec::new() }
    }
}

impl<S: Sink> Shard<S> {
    pub(super) fn unsubscribe(&mut self, now: Now, id: ConnId, request: Option<Id<'_>>, entries: &[Cow<'_, str>]) {
        let mut topics = HashSet::default();
        let mut left = Vec::new();
        let own = self.own_patterns(id, entries.len());
        for entry in entries {
            self.work.charge(LEAVE_STEPS);
            if is_pattern(entry) {
                let group = match &own {
                    Some(own) => own.get(&**entry).copied(),
                    None => Pattern::parse(entry).ok().and_then(|pattern| self.own_group(id, &pattern)),
                };
                let old = group.and_then(|group| self.take_subscription(id, Target::Pattern(group)));
                if let (Some(group), Some(old)) = (group, old) {
                    left.push(Left::new(group, old));
                }
            } else if let Some(name_id) = self.follows.named(entry) {
                self.leave_topic(id, name_id, &mut topics);
            }
        }
        self.drop_left(id, topics, left);
        self.conns[id].settle();
        self.file(id, SharedSum::Wants);
        let names: Vec<&str> = entries.iter().map(|entry| &**entry).collect();
        let mut payload = Vec::new();
        message::unsubscribed(&mut payload, request.as_ref().map(Id::as_bytes), &names);
        self.answer(now, id, &payload);
        self.send_ready(id, now);
    }

    /// Drops what is pending of topics and patterns that were left.
    pub(super) fn drop_left(&mut self, id: ConnId, topics: HashSet<TopicId, RandomState>, left: Vec<Left>) {
        if !topics.is_empty() {
            self.retain_runs(id, |topic| !topics.contains(&topic.id()));
        }
        if self.conns[id].subscriptions.len() == 0 {
            // Nothing is left that something could be pending of.
            self.discard_pending(id);
            left.iter().for_each(|left| self.release_group(left.group));
        } else if !left.is_empty() {
            self.leave_patterns(id, left);
        }
    }

    /// The group by which a connection is subscribed to a pattern, if it is.
    fn own_group(&self, id: ConnId, pattern: &Pattern) -> Option<GroupId> {
        self.work.charge(self.permit_steps(id));
        self.follows.group(pattern, &self.readable(id).denied(pattern))
    }

    /// The patterns that a connection is subscribed to, by their texts, if looking up so many one by one would take
    /// longer.
    fn own_patterns(&self, id: ConnId, count: usize) -> Option<HashMap<Pattern, GroupId, RandomState>> {
        if count < LOOKED_UP_MAX || self.permit_steps(id) == 0 {
            return None;
        }
        let patterns = self.conns[id].subscriptions.patterns();
        Some(patterns.map(|(group, _)| (self.follows.groups[group].pattern.clone(), group)).collect())
    }

    /// Removes a connection from the members of a target.
    pub(super) fn leave_members(&mut self, target: Target, member: u32, step: Step) {
        let Some(moved) = self.follows.members(target).remove(member, step) else { return };
        if let Some(subscription) = self.conns[moved].subscriptions.get_mut(target) {
            subscription.member = member;
        }
    }

    /// Changes the subscriber count of the listings.
    pub(super) fn count_subscriber(&mut self, target: Target, add: i32) {
        match target {
            Target::Topic(name_id) => {
                if let Some(topic) = &self.follows.names[name_id].topic {
                    topic.direct.fetch_add(add as u32, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Target::Pattern(group) => {
                let changes = self.engine.patterns.add(&self.follows.groups[group].pattern, add.into());
                // The change itself is part of what a subscription costs.
                self.work.charge((changes - 1) * PATTERN_STEPS);
            }
        }
    }

    /// Removes a subscription from the members, the sums and the listings.
    pub(super) fn forget_subscription(&mut self, target: Target, old: Subscription) {
        self.leave_members(target, old.member, old.step);
        self.stats.subscriptions.sub(1);
        self.engine.budget.subscriptions.sub(SUBSCRIPTION_BYTES);
        self.count_subscriber(target, -1);
    }

    /// Removes a connection's subscription, if there is one.
    pub(super) fn take_subscription(&mut self, id: ConnId, target: Target) -> Option<Subscription> {
        let conn = &mut self.conns[id];
        let old = conn.subscriptions.remove(target)?;
        conn.has_unsubscribed = true;
        self.forget_subscription(target, old);
        Some(old)
    }

    /// Leaves a topic. What is on the runs of the topics in `dropped` is still to be taken off them.
    pub(super) fn leave_topic(&mut self, id: ConnId, name_id: NameId, dropped: &mut HashSet<TopicId, RandomState>) {
        let Some(old) = self.take_subscription(id, Target::Topic(name_id)) else { return };
        let name = self.follows.names[name_id].name.clone();
        match self.resolve(&self.conns[id], &name) {
            None if fault::strikes(Fault::UnsubscribeLeaks) => {}
            None => self.forget_wants(id, name_id, dropped),
            Some(left) => {
                // A pattern whose walk has not reached the topic covers it nevertheless.
                if let Target::Pattern(group) = left.target {
                    self.link(name_id, group);
                }
                self.change_step(id, name_id, old.step, left.step, left.on_slow);
            }
        }
        self.release(name_id);
    }

    /// Continues a connection's stream on a topic at another interval, without a break.
    fn change_step(&mut self, id: ConnId, name_id: NameId, old: Step, new: Step, on_slow: OnSlow) {
        let followed = &self.follows.names[name_id];
        let Some(topic) = followed.topic.clone() else { return };
        if old == new || !topic.has_image() || self.is_to_begin(&topic) {
            return;
        }
        // The last `seq` that it has, or will have once its runs are written.
        let view = followed.views.iter().map(|view| &self.views[*view]).find(|view| view.step == old);
        let has = match (old, view) {
            (0, _) => followed.read_seq,
            (_, Some(view)) => view.ahead.get(&id).copied().unwrap_or(view.sent_seq),
            (_, None) => 0,
        };
        let wants = self.conns[id].catch_up.as_ref().and_then(|catch_up| catch_up.wants.get(&topic.id()));
        if wants.is_some_and(|want| want.is_over()) {
            return;
        }
        match wants.map(|want| want.at) {
            // What it lacks comes from the topic anyway, now at the new step.
            Some(At::Image(_) | At::From(_)) => {}
            after => {
                let joins = followed.views.iter().map(|view| &self.views[*view]).find(|view| view.step == new);
                let sent = joins.map_or(0, |view| view.sent_seq);
                let has = match after {
                    Some(At::After { seq, .. }) => has.max(seq),
                    _ => has,
                };
                // A view may be ahead of what the shard has read: a connection that lacks what it already sent gets the
                // image.
                if new > 0 && sent <= has {
                    self.joined_view(id, &topic, new, has, None);
                } else {
                    let want = Want {
                        strict: on_slow == OnSlow::Disconnect,
                        ..Want::new(topic.clone(), At::From(has + 1), GapReason::Slow)
                    };
                    self.conns[id].catch_up.get_or_insert_default().want(want);
                }
            }
        }
        let of_old = self.follows.names[name_id].views.iter().copied().filter(|view| self.views[*view].step == old);
        let of_old: SmallVec<[ViewId; 1]> = of_old.collect();
        self.views.forget_member(&of_old, id);
    }

    fn leave_patterns(&mut self, id: ConnId, mut left: Vec<Left>) {
        let indices: HashMap<GroupId, usize, RandomState> =
            (0..).zip(&left).map(|(at, left)| (left.group, at)).collect();
        if let Some(catch_up) = &mut self.conns[id].catch_up {
            for walk in catch_up.walks.extract_if(.., |walk| indices.contains_key(&walk.group)) {
                left[indices[&walk.group]].unfinished.push(walk);
            }
        }
        // Only what another subscription covers continues.
        self.retain_pending(id, |_, _, _| true);
        self.drop_duplicate_introductions(id);
        for left in &left {
            if !self.start_replacement_walks(id, left) {
                // A client that reads what it gets does not come here; to this one, thousands of topics would have to
                // be introduced again and again.
                self.departures.close_as_slow(id, self.conns[id].session);
                break;
            }
        }
        left.iter().for_each(|left| self.release_group(left.group));
    }

    /// Starts walks of less specific patterns of the connection that cover the topics of a pattern that is left. These
    /// topics are introduced again if the interval differs, or if the left pattern's walk had not reached them, because
    /// what was pending of them is dropped. Returns false if there would be too many walks.
    fn start_replacement_walks(&mut self, id: ConnId, left: &Left) -> bool {
        let rank = |group: &Group, order: u32| (group.specificity, order);
        let group = &self.follows.groups[left.group];
        let (pattern, left_rank) = (group.pattern.clone(), rank(group, left.old.order));
        let mut walks: Vec<Walk> = Vec::new();
        let held = self.conns[id].catch_up.as_ref().map_or(0, |catch_up| catch_up.walks.len());
        let walks_max = (self.engine.limits.subscriptions().max(8) * WALKS_PER_SUBSCRIPTION) as usize;
        for (other, subscription) in self.conns[id].subscriptions.patterns() {
            if rank(&self.follows.groups[other], subscription.order) > left_rank {
                continue;
            }
            let of_other = |walk: &Walk| Walk { group: other, from: From::Image, ready: None, ..walk.clone() };
            walks.extend(left.unfinished.iter().map(of_other));
            if subscription.step != left.old.step {
                let pattern = pattern.clone();
                let (at, only) = (None, Denied::default());
                let walk = Walk { group: other, at, from: From::Image, images_only: true, pattern, only, ready: None };
                walks.push(walk);
            }
            if held + walks.len() > walks_max {
                return false;
            }
        }
        self.work.charge(walks.len() * LEAVE_STEPS + self.conns[id].subscriptions.len() / 8);
        if !walks.is_empty() {
            self.conns[id].catch_up.get_or_insert_default().walks.append(&mut walks);
        }
        true
    }

    /// Drops introductions that a walk is going to make.
    fn drop_duplicate_introductions(&mut self, id: ConnId) {
        let Some(catch_up) = self.conns[id].catch_up.as_deref() else { return };
        if catch_up.walks.is_empty() {
            return;
        }
        let duplicate = |want: &&Want| {
            let Introduce::Fresh(_) = want.introduce else { return false };
            let Some(name_id) = self.follows.named(want.topic.name()) else { return false };
            let live = self.follows.names[name_id].topic.as_ref().is_some_and(|held| Arc::ptr_eq(held, &want.topic));
            let best = self.resolve(&self.conns[id], want.topic.name()).map(|best| best.target);
            let by_best = |walk: &Walk| best == Some(Target::Pattern(walk.group));
            live && catch_up.walks.iter().any(|walk| by_best(walk) && walk.will_introduce(&want.topic))
        };
        let duplicate: Vec<TopicId> = catch_up.wants.values().filter(duplicate).map(|want| want.topic.id()).collect();
        if let Some(catch_up) = &mut self.conns[id].catch_up {
            duplicate.iter().for_each(|topic| drop(catch_up.wants.remove(topic)));
        }
    }
}
