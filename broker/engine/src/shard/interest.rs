//! Which names this shard follows: made with the first subscriber, let go with the last.

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use smallvec::SmallVec;

use super::members::{Group, Local, Members};
use super::{GroupId, LocalId, NO_LOCAL, Shard};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId};

impl<S: Sink> Shard<S> {
    /// The name's place, made where there is none, following the topic where there is one.
    pub(super) fn local(&mut self, name: &str) -> LocalId {
        if let Some(local) = self.by_name.get(name) {
            return *local;
        }
        let topic = self.engine.directory.read().get(name).cloned();
        let name: Arc<str> = topic.as_ref().map_or_else(|| name.into(), |topic| topic.name().clone());
        let id = self.insert_local(name);
        if let Some(topic) = topic {
            self.attach(id, topic);
        }
        id
    }

    /// The place of a name that has none, following nothing yet.
    pub(super) fn insert_local(&mut self, name: Arc<str>) -> LocalId {
        let id = self.locals.insert(Local::new(name.clone()));
        self.stats.local_topics.add(1);
        self.by_name.insert(name, id);
        self.link_all(id);
        id
    }

    /// Follows this incarnation from now on. Nothing of it was taken in before. Not one whose end will not be read: the
    /// name would hang on it for ever.
    pub(super) fn attach(&mut self, id: LocalId, topic: Arc<Topic>) {
        let mut state = topic.lock();
        if state.is_over_for(self.bit, self.reader.bytes()) {
            return;
        }
        let number = topic.id() as usize;
        if self.by_topic.len() <= number {
            self.by_topic.resize(number + 1, NO_LOCAL);
        }
        self.by_topic[number] = id;
        let local = &mut self.locals[id];
        let mut members = 0;
        local.direct.each(|_, _| members += 1);
        topic.direct.fetch_add(members, std::sync::atomic::Ordering::Relaxed);
        state.interest |= self.bit;
        // No shard had to see what was published before: that has places in the order which the feed knows nothing of.
        self.followed_from = self.engine.feed.ordinal();
        // Where the beginning is still to be read, so is everything after it; else nothing up to now will come.
        let begun = topic.begun_bytes.load(std::sync::atomic::Ordering::Acquire) <= self.reader.bytes();
        local.read_seq = if begun { state.seq() } else { 0 };
        drop(state);
        local.topic = Some(topic);
    }

    /// Stops following the present incarnation.
    pub(super) fn detach(&mut self, id: LocalId) {
        let local = &mut self.locals[id];
        let views = std::mem::take(&mut local.views);
        if let Some(topic) = local.topic.take() {
            self.forget(topic.id());
            topic.lock().interest &= !self.bit;
        }
        for view in views {
            self.drop_view(view);
        }
    }

    pub(super) fn forget(&mut self, topic: TopicId) {
        if let Some(local) = self.by_topic.get_mut(topic as usize) {
            *local = NO_LOCAL;
        }
    }

    /// Lets go of a name that nobody follows any more.
    pub(super) fn release(&mut self, id: LocalId) {
        let Some(local) = self.locals.get(id) else { return };
        if !local.direct.is_empty() || !local.groups.is_empty() {
            return;
        }
        self.detach(id);
        if let Some(local) = self.locals.remove(id) {
            self.by_name.remove(&local.name);
            self.stats.local_topics.sub(1);
        }
    }

    /// The pattern's group, made where there is none.
    pub(super) fn group(&mut self, pattern: &Pattern) -> GroupId {
        let groups = &mut self.groups;
        *self.patterns.entry(pattern, || {
            groups.insert(Group {
                pattern: pattern.clone(),
                specificity: pattern.specificity(),
                members: Members::default(),
                dead: false,
            }) as GroupId
        })
    }

    /// Makes every pattern that matches a name known to it. A walk links only the names that it comes to.
    pub(super) fn link_all(&mut self, local: LocalId) {
        let mut groups: SmallVec<[GroupId; 8]> = SmallVec::new();
        self.patterns.matching(&self.locals[local].name, |group| groups.push(*group));
        groups.into_iter().for_each(|group| self.link(local, group));
    }

    /// Makes a pattern one of those that match a name, in the order of how specific they are.
    fn link(&mut self, local: LocalId, group: GroupId) {
        let groups = &self.groups;
        let linked = &mut self.locals[local].groups;
        if linked.contains(&group) {
            return;
        }
        let specificity = &groups[group].specificity;
        let at = linked.iter().position(|other| groups[*other].specificity < *specificity);
        linked.insert(at.unwrap_or(linked.len()), group);
    }

    /// Lets go of a pattern without members; its topics forget it bit by bit, in the sweep.
    pub(super) fn release_group(&mut self, id: GroupId) {
        let group = &mut self.groups[id];
        if !group.members.is_empty() || group.dead {
            return;
        }
        group.dead = true;
        self.patterns.remove(&group.pattern);
        self.sweep.bury(id);
    }

    /// The interval steps in use on a name, a bit each.
    pub(super) fn steps(&self, local: &Local) -> u16 {
        local.groups.iter().fold(local.direct.steps, |steps, group| steps | self.groups[*group].members.steps)
    }
}
