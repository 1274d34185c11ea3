//! What a shard follows: names and patterns that its connections are subscribed to, and how these are linked.
//!
//! ```text
//! name       a followed name, whether or not there is such a topic; a group (a pattern and its members)
//! members    the connections that are subscribed to one of them
//! patterns   which patterns match a name
//! resolve    which of a connection's subscriptions applies to a name
//! ```
//!
//! A name that has a topic is also found by the topic's number. A name is linked to patterns that match it: to all of
//! them from the moment at which its topic begins or ends, and before that to those whose walk has reached it.

mod members;
mod name;
mod patterns;
mod resolve;

use std::sync::Arc;

use broker_protocol::pattern::Pattern;

pub(super) use self::members::Members;
pub(super) use self::name::{FollowedName, Group, group_bytes};
pub(super) use self::patterns::Linked;
use self::patterns::{FEW, Patterns};
pub(super) use self::resolve::Resolved;
use super::conn::Target;
use super::denied::Denied;
use super::id::{GroupId, NameId};
use super::pages::Pages;
use crate::names::ByName;
use crate::topic::TopicId;

const NO_NAME: NameId = NameId::MAX;

/// The names and patterns of a shard.
#[derive(Default)]
pub(super) struct Follows {
    pub(super) names: Pages<FollowedName>,
    pub(super) groups: Pages<Group>,
    by_name: ByName<NameId>,
    /// By the topic's number; `NO_NAME` if nobody here wants it.
    by_topic: Vec<NameId>,
    patterns: Patterns,
    /// How many times the members of any pattern changed.
    changes: u64,
}

impl Follows {
    /// The name's id, if the shard follows it.
    pub(super) fn named(&self, name: &str) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    /// The id of the name whose topic has this number.
    pub(super) fn of_topic(&self, topic: TopicId) -> Option<NameId> {
        self.by_topic.get(topic as usize).copied().filter(|name_id| *name_id != NO_NAME)
    }

    /// Adds a name, linked to no pattern and without a topic.
    pub(super) fn insert(&mut self, name: Arc<str>) -> NameId {
        let id = self.names.insert(FollowedName::new(name.clone()));
        self.by_name.insert(name, id);
        id
    }

    /// Removes a name.
    pub(super) fn remove(&mut self, id: NameId) {
        if let Some(followed) = self.names.remove(id) {
            self.by_name.remove(&followed.name);
        }
    }

    /// From now on the topic with this number is found under the name.
    pub(super) fn assign(&mut self, topic: TopicId, id: NameId) {
        let number = topic as usize;
        if self.by_topic.len() <= number {
            self.by_topic.resize(number + 1, NO_NAME);
        }
        self.by_topic[number] = id;
    }

    /// The topic with this number is no longer found under any name.
    pub(super) fn unassign(&mut self, topic: TopicId) {
        if let Some(name_id) = self.by_topic.get_mut(topic as usize) {
            *name_id = NO_NAME;
        }
    }

    /// The id of a pattern with these denied topics, if a connection is subscribed to it.
    pub(super) fn group(&self, pattern: &Pattern, denied: &Denied) -> Option<GroupId> {
        self.patterns.get(pattern, denied)
    }

    /// Adds a pattern, which has no members yet.
    pub(super) fn insert_group(&mut self, pattern: &Pattern, denied: &Denied) -> GroupId {
        let group = self.groups.insert(Group::new(pattern.clone(), denied.clone())) as GroupId;
        self.patterns.insert(pattern, denied, group);
        group
    }

    /// The pattern is no longer found. Names may still be linked to its id.
    pub(super) fn retire_group(&mut self, id: GroupId) {
        let group = &mut self.groups[id];
        group.dead = true;
        self.patterns.remove(&group.pattern, &group.denied);
    }

    /// The members of a target.
    pub(super) fn members(&mut self, target: Target) -> &mut Members {
        match target {
            Target::Topic(name_id) => &mut self.names[name_id].direct,
            Target::Pattern(group) => {
                self.changes += 1;
                &mut self.groups[group].members
            }
        }
    }

    /// How many times the members of any pattern changed, counted from 1.
    pub(super) fn changes(&self) -> u64 {
        self.changes + 1
    }

    /// The patterns that match a name, and how many had to be looked up.
    pub(super) fn matching(&self, name: &str) -> (Linked, usize) {
        self.patterns.matching(name)
    }

    /// Links a name to every pattern that matches it. Returns the work that it took.
    pub(super) fn link_all(&mut self, id: NameId) -> usize {
        let (matching, looked_for) = self.matching(&self.names[id].name);
        let mut steps = 1 + looked_for;
        match matching {
            Linked::Few(groups) => steps += groups.into_iter().map(|group| self.link(id, group)).sum::<usize>(),
            // What was linked before also matches, unless it is gone.
            many => self.names[id].groups = many,
        }
        steps
    }

    /// Links a name to a pattern that matches it, ordered by specificity. Returns the work that it took.
    pub(super) fn link(&mut self, id: NameId, group: GroupId) -> usize {
        let groups = &self.groups;
        let specificity = &groups[group].specificity;
        let held = &self.names[id].groups;
        let first = held.partition_point(|other| groups[*other].specificity > *specificity);
        let equal = held[first..].partition_point(|other| groups[*other].specificity == *specificity);
        if held[first..first + equal].contains(&group) {
            return 0;
        }
        match &mut self.names[id].groups {
            Linked::Few(few) if few.len() < FEW => {
                few.insert(first + equal, group);
                0
            }
            // A list shared with others; it has all patterns that match. Members whose walks have not reached the name
            // wait for them nevertheless.
            _ => {
                let (matching, looked_for) = self.matching(&self.names[id].name);
                self.names[id].groups = matching;
                1 + looked_for
            }
        }
    }

    /// The interval steps in use on a name, a bit each.
    pub(super) fn steps(&self, id: NameId) -> u16 {
        let followed = &self.names[id];
        followed.groups.iter().fold(followed.direct.steps(), |steps, group| steps | self.groups[*group].members.steps())
    }

    /// Whether any connection gets every update of a name.
    pub(super) fn has_plain(&self, id: NameId) -> bool {
        let followed = &self.names[id];
        !followed.direct.plain.is_empty()
            || followed.groups.iter().any(|group| !self.groups[*group].members.plain.is_empty())
    }
}
