//! Leaving: a topic, a pattern, or altogether.

use std::borrow::Cow;
use std::sync::Arc;

use broker_protocol::message::{self, GapReason};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, Id, OnSlow};
use broker_protocol::topic::is_pattern;

use super::catch_up::{At, Introduce, Walk, Want};
use super::connection::{Step, Subscription, Target};
use super::members::{Group, Members};
use super::{ConnId, GroupId, LocalId, Shard};
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId};

impl<S: Sink> Shard<S> {
    pub(super) fn unsubscribe(&mut self, now: Now, id: ConnId, request: Option<Id<'_>>, entries: &[Cow<'_, str>]) {
        for entry in entries {
            if is_pattern(entry) {
                let group = Pattern::parse(entry).ok().and_then(|pattern| self.patterns.get(&pattern).copied());
                if let Some(group) = group {
                    self.leave_pattern(id, group);
                }
            } else if let Some(local) = self.by_name.get(entry).copied() {
                self.leave_topic(id, local);
            }
        }
        let names: Vec<&str> = entries.iter().map(|entry| &**entry).collect();
        let mut payload = Vec::new();
        message::unsubscribed(&mut payload, request.as_ref().map(Id::as_bytes), &names);
        self.answer(now, id, &payload);
    }

    pub(super) fn members(&mut self, target: Target) -> &mut Members {
        match target {
            Target::Topic(local) => &mut self.locals[local].direct,
            Target::Pattern(group) => &mut self.groups[group].members,
        }
    }

    /// Tells the listings of one subscriber more or less.
    pub(super) fn count_subscriber(&mut self, target: Target, add: i32) {
        match target {
            Target::Topic(local) => {
                if let Some(topic) = &self.locals[local].topic {
                    topic.direct.fetch_add(add as u32, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Target::Pattern(group) => {
                let pattern = self.groups[group].pattern.clone();
                self.engine.count_pattern(&pattern, add.into());
            }
        }
    }

    /// Takes a subscription from a connection, where there was one.
    fn take_subscription(&mut self, id: ConnId, target: Target) -> Option<Subscription> {
        let conn = &mut self.conns[id];
        let index = conn.find(target).ok()?;
        let old = conn.subscriptions.remove(index);
        conn.has_left = true;
        self.members(target).remove(id, old.step);
        self.stats.subscriptions.sub(1);
        self.count_subscriber(target, -1);
        Some(old)
    }

    fn leave_topic(&mut self, id: ConnId, local: LocalId) {
        let Some(old) = self.take_subscription(id, Target::Topic(local)) else { return };
        // A pattern whose walk has not come by covers the topic nevertheless.
        self.link_all(local);
        match self.resolve(&self.conns[id], local) {
            None if fault::strikes(Fault::UnsubscribeLeaks) => {}
            None => self.drop_pending(id, local),
            Some(left) => self.change_step(id, local, old.step, left.step, left.on_slow),
        }
        self.release(local);
    }

    /// A connection's stream on a topic goes on at another interval, without a break.
    fn change_step(&mut self, id: ConnId, local_id: LocalId, old: Step, new: Step, on_slow: OnSlow) {
        let local = &self.locals[local_id];
        let Some(topic) = local.topic.clone() else { return };
        if old == new || !topic.has_image() {
            return;
        }
        // The last `seq` that it has or will have got of what is on its runs.
        let view = local.views.iter().map(|view| &self.views[*view]).find(|view| view.step == old);
        let has = match (old, view) {
            (0, _) => local.read_seq,
            (_, Some(view)) => view.ahead.get(&id).copied().unwrap_or(view.sent_seq),
            (_, None) => 0,
        };
        let wants = self.conns[id].catch_up.as_ref().and_then(|catch_up| catch_up.wants.get(&topic.id()));
        if wants.is_some_and(|want| want.is_over()) {
            return;
        }
        match wants.map(|want| want.at) {
            // What it lacks comes from the topic anyhow, now by the new step.
            Some(At::Image | At::From(_)) => {}
            after => {
                let joins = local.views.iter().map(|view| &self.views[*view]).find(|view| view.step == new);
                let sent = joins.map_or(0, |view| view.sent_seq);
                let has = match after {
                    Some(At::After { seq, .. }) => has.max(seq),
                    _ => has,
                };
                // A view may be ahead of what the shard has read: who lacks what it sent already gets the image.
                if new > 0 && sent <= has {
                    self.joined_view(id, &topic, new, has);
                } else {
                    let want = Want {
                        topic: topic.clone(),
                        at: At::From(has + 1),
                        introduce: Introduce::No,
                        after: None,
                        reason: GapReason::Slow,
                        strict: on_slow == OnSlow::Disconnect,
                        since: 0,
                    };
                    let conn = &mut self.conns[id];
                    conn.catch_up.get_or_insert_default().wants.insert(topic.id(), want);
                }
            }
        }
        for view in self.locals[local_id].views.clone() {
            if self.views[view].step == old {
                self.views[view].ahead.remove(&id);
            }
        }
    }

    fn leave_pattern(&mut self, id: ConnId, group: GroupId) {
        let Some(old) = self.take_subscription(id, Target::Pattern(group)) else { return };
        let mut unfinished: Vec<Walk> = Vec::new();
        if let Some(catch_up) = &mut self.conns[id].catch_up {
            catch_up.walks.retain(|walk| {
                if walk.group == group {
                    unfinished.push(walk.clone());
                }
                walk.group != group
            });
        }
        self.drop_pending_of(id, group, false);
        self.leave_to_walks(id);
        // Less specific patterns of the connection cover its topics from now on. They are introduced anew where their
        // interval is another, and where this pattern's walk had not come to them: what was pending of those is gone.
        let rank = |group: &Group, order: u32| (group.specificity, order);
        let left = &self.groups[group];
        let (pattern, left_rank) = (left.pattern.clone(), rank(left, old.order));
        let mut walks: Vec<Walk> = Vec::new();
        for subscription in &self.conns[id].subscriptions {
            let Target::Pattern(other) = subscription.target else { continue };
            if rank(&self.groups[other], subscription.order) > left_rank {
                continue;
            }
            walks.extend(unfinished.iter().map(|walk| Walk { group: other, from: From::Image, ..walk.clone() }));
            if subscription.step != old.step {
                let pattern = pattern.clone();
                walks.push(Walk { group: other, at: None, from: From::Image, images_only: true, pattern });
            }
        }
        if !walks.is_empty() {
            self.conns[id].catch_up.get_or_insert_default().walks.append(&mut walks);
        }
        self.release_group(group);
        self.conns[id].settle();
    }

    /// Drops introductions that a walk is going to make.
    fn leave_to_walks(&mut self, id: ConnId) {
        let Some(catch_up) = self.conns[id].catch_up.as_deref() else { return };
        let twice = |want: &&Want| {
            let Introduce::Fresh(_) = want.introduce else { return false };
            let Some(local) = self.by_name.get(want.topic.name()).copied() else { return false };
            let live = self.locals[local].topic.as_ref().is_some_and(|held| Arc::ptr_eq(held, &want.topic));
            let best = self.resolve(&self.conns[id], local).map(|best| best.target);
            let by_best = |walk: &Walk| best == Some(Target::Pattern(walk.group));
            live && catch_up.walks.iter().any(|walk| by_best(walk) && walk.will_introduce(&want.topic))
        };
        let twice: Vec<TopicId> = catch_up.wants.values().filter(twice).map(|want| want.topic.id()).collect();
        if let Some(catch_up) = &mut self.conns[id].catch_up {
            twice.iter().for_each(|topic| drop(catch_up.wants.remove(topic)));
        }
    }

    /// Everything goes: the subscriptions and what is pending of them.
    pub(super) fn leave_all(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.runs.clear();
        conn.runs.shrink_to_fit();
        (conn.pending_bytes, conn.pending_frames) = (0, 0);
        conn.catch_up = None;
        conn.counting = None;
        conn.behind = false;
        for subscription in std::mem::take(&mut conn.subscriptions) {
            self.members(subscription.target).remove(id, subscription.step);
            self.stats.subscriptions.sub(1);
            self.count_subscriber(subscription.target, -1);
            match subscription.target {
                Target::Topic(local) => {
                    for view in self.locals[local].views.clone() {
                        self.views[view].ahead.remove(&id);
                    }
                    self.release(local);
                }
                Target::Pattern(group) => self.release_group(group),
            }
        }
        self.overflowed.retain(|other| *other != id);
        self.to_close.retain(|(other, _)| *other != id);
    }

    /// Drops what is pending for a name: its new start comes before anything else of it.
    pub(super) fn drop_pending(&mut self, id: ConnId, local_id: LocalId) {
        let name = self.locals[local_id].name.clone();
        self.retain_pending(id, |_, topic| *topic.name() != name);
        for view in self.locals[local_id].views.clone() {
            self.views[view].ahead.remove(&id);
        }
    }

    /// Drops what is pending of a pattern's topics, but for those that another subscription covers at least as closely. Of
    /// a topic that ended the client is told by whatever it was subscribed to, unless that was this very pattern, `anew`.
    pub(super) fn drop_pending_of(&mut self, id: ConnId, group: GroupId, anew: bool) {
        let pattern = self.groups[group].pattern.clone();
        let conn = &self.conns[id];
        let wanted = conn.catch_up.iter().flat_map(|catch_up| catch_up.wants.values().map(|want| &want.topic));
        let slots = conn.runs.iter().flat_map(|run| self.ring.slots(run.at, run.len as usize));
        let pending = wanted.chain(slots.map(|slot| &slot.topic)).filter(|topic| pattern.matches(topic.name()));
        let mut locals: Vec<LocalId> = pending.filter_map(|topic| self.by_name.get(topic.name()).copied()).collect();
        locals.sort_unstable();
        locals.dedup();
        locals.into_iter().for_each(|local| self.link_all(local));
        self.retain_pending(id, |shard, topic| {
            if !pattern.matches(topic.name()) {
                return true;
            }
            let Some(local_id) = shard.by_name.get(topic.name()) else { return false };
            let Some(best) = shard.resolve(&shard.conns[id], *local_id) else { return false };
            let live = shard.locals[*local_id].topic.as_ref().is_some_and(|held| Arc::ptr_eq(held, topic));
            best.target != Target::Pattern(group) || !(live || anew)
        });
    }

    /// Keeps on a connection's runs and wants only the topics that `keep` says.
    fn retain_pending(&mut self, id: ConnId, keep: impl Fn(&Self, &Arc<Topic>) -> bool) {
        if let Some(mut catch_up) = self.conns[id].catch_up.take() {
            catch_up.wants.retain(|_, want| keep(self, &want.topic) || want.is_over());
            let conn = &mut self.conns[id];
            conn.catch_up = Some(catch_up);
            conn.settle();
        }
        let runs = self.conns[id].runs.clone();
        if runs.is_empty() {
            return;
        }
        let mut kept: smallvec::SmallVec<[super::connection::Run; 1]> = smallvec::SmallVec::new();
        let (mut bytes, mut frames) = (0, 0);
        for run in &runs {
            for slot in self.ring.slots(run.at, run.len as usize) {
                if !keep(self, &slot.topic) {
                    continue;
                }
                let len = slot.frame.len() as u32;
                match kept.last_mut() {
                    Some(last) if last.end() == slot.at && self.ring.joins(slot.at) => last.len += len,
                    _ => kept.push(super::connection::Run { at: slot.at, len }),
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
