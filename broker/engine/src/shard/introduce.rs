//! The topics of a pattern, introduced one after the other in the order of their names.
//!
//! A walk goes through the directory as it is now, while the shard may still have feed entries to read of topics that
//! are no longer there. Such a topic was not introduced, so the connection must not get anything of it: the walk leaves
//! a want that swallows its entries, up to its `closed`. The directory remembers ended topics until every shard has
//! read of their end, so that the walk meets them. No thread waits for another.

use std::sync::Arc;

use broker_protocol::request::{From, OnSlow};

use super::conn::{CatchUp, Target, Walk, Want};
use super::{ConnId, Shard};
use crate::directory::Reached;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// Maximum number of topics that a walk introduces in one turn.
const WALK_TOPICS_PER_TURN: usize = fault::bound(64, 2);
/// Maximum number of names that a walk looks at in one turn.
const WALK_STEPS_PER_TURN: usize = fault::bound(512, 2);
/// Work to look at a name, and to introduce a topic to a connection, in steps.
const NAME_STEPS: usize = 4;
const INTRODUCE_STEPS: usize = 16;

impl<S: Sink> Shard<S> {
    /// Turns the next topics of a connection's walks into wants.
    pub(super) fn advance_walks(&mut self, id: ConnId, catch_up: &mut CatchUp) {
        if fault::planted(Fault::WalkWaitsForTail) && self.reader.bytes() < self.engine.feed.appended_bytes() {
            return;
        }
        let mut topics = WALK_TOPICS_PER_TURN.saturating_sub(catch_up.unsent());
        let mut steps = WALK_STEPS_PER_TURN;
        while topics > 0
            && steps > 0
            && !self.work.is_spent()
            && let Some(walk) = catch_up.walks.last_mut()
        {
            let before = steps;
            let (next, ended) = {
                let names = self.engine.directory.read();
                let next = names.next_match(&walk.pattern, walk.at.as_deref(), &mut steps);
                let next = next.map(|topic| topic.cloned());
                let reached = match &next {
                    Ok(Some(topic)) => Reached::UpTo(topic.name()),
                    Ok(None) => Reached::Rest,
                    Err(name) => Reached::UpTo(name),
                };
                let ended = names.ended(&walk.pattern, walk.at.as_deref(), reached);
                (next, ended)
            };
            steps = steps.saturating_sub(1 + ended.len());
            self.work.charge((before - steps) * NAME_STEPS);
            let mut walk = walk.clone();
            for topic in ended {
                self.pass_ended(id, catch_up, &walk, topic);
            }
            match next {
                Ok(Some(topic)) => {
                    topics -= 1;
                    walk.at = Some(topic.name().clone());
                    self.work.charge(INTRODUCE_STEPS);
                    if let Some(last) = catch_up.walks.last_mut() {
                        last.at = walk.at.clone();
                    }
                    self.introduce(id, catch_up, &walk, topic);
                }
                Ok(None) => {
                    catch_up.walks.pop();
                }
                Err(name) => {
                    if let Some(last) = catch_up.walks.last_mut() {
                        last.at = Some(name);
                    }
                }
            }
        }
    }

    /// Whether another walk of the same pattern, earlier in the list, will still reach the topic and introduce it.
    fn is_left_to_another(catch_up: &CatchUp, walk: &Walk, topic: &Topic) -> bool {
        let others = catch_up.walks.split_last().map_or(&[][..], |(_, others)| others);
        others.iter().any(|other| other.group == walk.group && other.will_introduce(topic))
    }

    /// Handles a topic on the walk's way that has ended, but whose end the shard has not read yet.
    fn pass_ended(&mut self, id: ConnId, catch_up: &mut CatchUp, walk: &Walk, topic: Arc<Topic>) {
        if !walk.is_about(topic.name()) {
            return;
        }
        let Some(end_bytes) = topic.end_unread_by(self.bit) else { return };
        let Some(name_id) = self.follows.of_topic(topic.id()) else { return };
        if catch_up.wants.contains_key(&topic.id()) || Self::is_left_to_another(catch_up, walk, &topic) {
            return;
        }
        if self.follows.names[name_id].topic.as_ref().is_none_or(|held| !Arc::ptr_eq(held, &topic)) {
            return;
        }
        let target = self.resolve(&self.conns[id], topic.name()).map(|resolved| resolved.target);
        if target != Some(Target::Pattern(walk.group)) {
            return;
        }
        let want = if self.may_know(id) {
            let after = self.follows.names[name_id].unfinished(catch_up, &topic);
            Want::introduction(topic, From::Image, after)
        } else {
            Want::swallowing(topic, end_bytes)
        };
        catch_up.want(want);
    }

    /// Whether the client may know topics that its walks have not reached, by another subscription.
    pub(super) fn may_know(&self, id: ConnId) -> bool {
        let conn = &self.conns[id];
        conn.subscriptions.len() > 1 || conn.has_unsubscribed
    }

    fn introduce(&mut self, id: ConnId, catch_up: &mut CatchUp, walk: &Walk, topic: Arc<Topic>) {
        if !topic.has_image() && walk.images_only {
            return;
        }
        if !walk.is_about(topic.name()) {
            return;
        }
        // A walk that stands in for another pattern's only goes where that one would have gone.
        if !self.follows.groups[walk.group].covers(topic.name()) {
            return;
        }
        // If two walks of a pattern will reach it, the later one introduces it.
        if Self::is_left_to_another(catch_up, walk, &topic) {
            return;
        }
        let name_id = self.follow(topic.name());
        self.link(name_id, walk.group);
        let resolved = self.resolve(&self.conns[id], topic.name());
        if let Some(Target::Pattern(best)) = resolved.map(|resolved| resolved.target)
            && best != walk.group
        {
            // The topic is for that pattern's walk to introduce: until then nothing may be sent by way of this one.
            self.link(name_id, best);
        }
        let followed = &self.follows.names[name_id];
        match &followed.topic {
            None => self.attach(name_id, topic.clone()),
            Some(held) if !Arc::ptr_eq(held, &topic) => {
                // The shard follows an earlier incarnation: it will read of that one's end and of this one's beginning.
                let held = held.clone();
                self.pass_ended(id, catch_up, walk, held);
                return;
            }
            Some(_) => {}
        }
        let Some(resolved) = resolved else { return };
        // Another, more specific subscription covers it already.
        if resolved.target != Target::Pattern(walk.group) {
            return;
        }
        let after = self.follows.names[name_id].unfinished(catch_up, &topic);
        let mut want = Want::introduction(topic, walk.from, after);
        want.strict = resolved.on_slow == OnSlow::Disconnect;
        want.since = self.engine.feed.appended_bytes();
        want.ready = walk.ready.clone();
        catch_up.want(want);
    }
}
