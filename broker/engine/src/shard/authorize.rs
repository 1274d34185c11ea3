//! New permissions on an open connection, in portions.
//!
//! ```text
//! check    which subscriptions end, and which patterns have other denied topics than before
//! link     such a pattern gets another group; its names are linked to that, while the old one still delivers
//! effect   at one moment: subscriptions end, patterns change their group, what is pending of denied topics is dropped
//! report   an error for everything that ended, then the answer
//! ```
//!
//! Topics that a pattern newly brings are introduced afterwards by a walk, as if they had just begun. All other topics
//! continue without a break.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::permissions::Permissions;
use broker_protocol::request::From;
use foldhash::fast::RandomState;

use super::conn::{Authorizing, InProgress, Moved, Phase, Subscription, Target, Walk};
use super::permit::{Permit, Readable};
use super::permits::PATTERNS_PER_STEP;
use super::unsubscribe::Left;
use super::{ConnId, GroupId, Shard};
use crate::budget::shared::SharedSum;
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId};

impl<S: Sink> Shard<S> {
    /// Gives a connection other permissions, or none: then it has to authenticate before it may do anything. `answer`, a
    /// message, is sent once they have taken effect and everything that ended by them was reported.
    pub fn authorize(
        &mut self,
        now: Now,
        id: ConnId,
        permissions: Option<Arc<Permissions>>,
        answer: Option<Box<[u8]>>,
    ) {
        if self.is_closing(id) {
            return;
        }
        self.permits.wait(id, Some(permissions.map_or(Permit::Unauthenticated, Permit::Permitted)), answer);
        self.next_authorization(id, now);
    }

    /// Lets a connection do what everybody may: nobody is asked any more who they are. Subscriptions to the broker's own
    /// topics end where [only permissions](Shard::forbid_reserved) allowed them. Does nothing to a connection that has
    /// no permissions.
    pub fn permit_everything(&mut self, now: Now, id: ConnId) {
        let has_permit = self.permits.get(id).is_some() || self.permits.is_waiting(id) || self.is_authorizing(id);
        if !has_permit || self.is_closing(id) {
            return;
        }
        self.permits.wait(id, None, None);
        self.next_authorization(id, now);
    }

    /// Whether a connection's new permissions are taking effect.
    fn is_authorizing(&self, id: ConnId) -> bool {
        let in_progress = self.conns.get(id).and_then(|conn| conn.in_progress.as_deref());
        matches!(in_progress, Some(InProgress::Authorizing(_)))
    }

    /// Notes that a connection's token is checked: it is read again once it has what that gives.
    pub fn end_check(&mut self, id: ConnId) {
        self.permits.end_check(id);
    }

    /// Whether a connection's token is being checked.
    pub fn is_checking(&self, id: ConnId) -> bool {
        self.permits.is_checking(id)
    }

    /// Answers a token that is not taken. The connection stays as it was.
    pub fn refuse_auth(&mut self, now: Now, id: ConnId, request: Option<&[u8]>, code: ErrorCode, text: &str) {
        self.permits.end_check(id);
        self.refuse(now, id, request, code, text);
    }

    /// Begins with the next permissions that a connection is to get, unless something else is in progress.
    pub(super) fn next_authorization(&mut self, id: ConnId, now: Now) {
        while self.conns.get(id).is_some_and(|conn| conn.in_progress.is_none())
            && let Some((permit, answer)) = self.permits.next(id)
        {
            let readable = match &permit {
                Some(Permit::Permitted(permissions)) => Readable::Permitted(permissions.clone()),
                Some(Permit::Unauthenticated) => Readable::Permitted(Arc::default()),
                None => self.readable_by_anyone(id),
            };
            let targets = self.conns[id].subscriptions.iter().map(|(target, _)| target).collect();
            let readable = (self.readable(id), readable);
            let authorizing = Authorizing::new(permit, readable, answer, targets, self.may_know(id));
            self.conns[id].in_progress = Some(Box::new(InProgress::Authorizing(authorizing)));
            self.continue_request(id, now);
        }
        if self.is_busy(id) {
            self.enqueue(id, now.mono_us);
        }
    }

    /// Continues, as far as this round's work allows. Returns whether everything is done and reported.
    pub(super) fn continue_authorizing(&mut self, id: ConnId, now: Now, request: &mut Authorizing) -> bool {
        // A connection that falls out of step has wants for some of its topics, and runs for others.
        if self.conns[id].is_falling {
            return false;
        }
        loop {
            let is_done = match &mut request.phase {
                Phase::Check => self.check_subscriptions(request),
                Phase::Link { moved, after } => {
                    let (moved, after) = (*moved, after.take());
                    self.link_moved(id, request, moved, after)
                }
                Phase::ReportEnded { after } => {
                    let after = after.take();
                    self.report_ended(id, now, request, after)
                }
                Phase::ReportDenied { denied, after } => {
                    let (denied, after) = (*denied, after.take());
                    self.report_denied(id, now, request, denied, after)
                }
                Phase::Done => return true,
            };
            if !is_done {
                return false;
            }
        }
    }

    /// Compares the subscriptions with the permissions. Returns whether all are compared.
    fn check_subscriptions(&mut self, request: &mut Authorizing) -> bool {
        let steps = 1 + request.readable.size() / PATTERNS_PER_STEP;
        while let Some(target) = request.unchecked.last().copied() {
            if self.work.is_spent() {
                return false;
            }
            self.work.charge(steps);
            request.unchecked.pop();
            match target {
                Target::Topic(name_id) => {
                    let name = &self.follows.names[name_id].name;
                    if !request.readable.has_topic(name) {
                        request.ended.insert(name.clone(), ErrorCode::Forbidden);
                        request.ended_targets.push(target);
                    }
                }
                Target::Pattern(group) => {
                    let held = &self.follows.groups[group];
                    let denied = request.readable.denied(&held.pattern);
                    if !request.readable.has_pattern(&held.pattern) {
                        request.ended.insert(held.pattern.as_str().into(), ErrorCode::Forbidden);
                        request.ended_targets.push(target);
                    } else if denied != held.denied {
                        let (pattern, was_denied) = (held.pattern.clone(), held.denied.clone());
                        let unfinished = Vec::new();
                        self.work.charge(denied.patterns().len());
                        request.move_pattern(Moved { pattern, old: group, new: None, was_denied, denied, unfinished });
                    }
                }
            }
        }
        request.phase = Phase::Link { moved: 0, after: None };
        true
    }

    /// Links the names that a moved pattern matches to its new group, of which the connection is a member from the
    /// beginning. Returns whether all are linked, or it was the last pattern and everything has taken effect.
    fn link_moved(&mut self, id: ConnId, request: &mut Authorizing, moved: usize, mut after: Option<Arc<str>>) -> bool {
        let Some(one) = request.moved.get(moved) else {
            self.take_effect_of(id, request);
            return true;
        };
        let (pattern, denied) = (one.pattern.clone(), one.denied.clone());
        let group = match one.new {
            Some(group) => group,
            None => match self.join_new_group(id, one) {
                Some(group) => *request.moved[moved].new.insert(group),
                None => {
                    let one = request.moved.remove(moved);
                    request.ended.insert(one.pattern.as_str().into(), ErrorCode::Limit);
                    request.ended_targets.push(Target::Pattern(one.old));
                    request.phase = Phase::Link { moved, after: None };
                    return true;
                }
            },
        };
        loop {
            if self.work.is_spent() {
                request.phase = Phase::Link { moved, after };
                return false;
            }
            let (met, next) = self.names_from(&pattern, after.as_deref());
            self.work.charge(denied.patterns().len() / PATTERNS_PER_STEP);
            if let Some(topic) = met
                && !denied.matches(topic.name())
                && let Some(name_id) = self.follows.named(topic.name())
            {
                self.link(name_id, group);
            }
            match next {
                Some(name) => after = Some(name),
                None => break,
            }
        }
        request.phase = Phase::Link { moved: moved + 1, after: None };
        true
    }

    /// Makes a connection a member of a moved pattern's new group, behind the old one, which still delivers. `None` if
    /// there is no room for another pattern.
    fn join_new_group(&mut self, id: ConnId, moved: &Moved) -> Option<GroupId> {
        let group = self.group(&moved.pattern, &moved.denied)?;
        let old = *self.conns[id].subscription(Target::Pattern(moved.old))?;
        let member = self.follows.members(Target::Pattern(group)).add(id, old.step);
        // Where both groups bring a topic, the old one counts.
        let new = Subscription { order: old.order.wrapping_sub(1), member, ..old };
        self.conns[id].subscriptions.insert(Target::Pattern(group), new);
        self.stats.subscriptions.add(1);
        self.engine.budget.subscriptions.add(super::subscribe::SUBSCRIPTION_BYTES);
        self.count_subscriber(Target::Pattern(group), 1);
        if !moved.was_denied.is_empty() {
            let (pattern, only) = (moved.pattern.clone(), moved.was_denied.clone());
            let walk = Walk { group, at: None, from: From::Image, images_only: false, pattern, only, ready: None };
            self.conns[id].catch_up.get_or_insert_default().walks.push(walk);
        }
        Some(group)
    }

    /// Ends subscriptions, lets patterns change their groups, and drops what is pending of what ended.
    fn take_effect_of(&mut self, id: ConnId, request: &mut Authorizing) {
        self.permits.set(id, request.permit.take());
        request.feed_position = self.reader.bytes();
        self.work.charge(request.moved.len());
        let mut by_group = HashMap::<GroupId, usize, RandomState>::default();
        for (index, moved) in request.moved.iter().enumerate() {
            by_group.insert(moved.old, index);
            request.moved_by_name.entry(&moved.pattern, || index);
        }
        for walk in self.conns[id].catch_up.iter_mut().flat_map(|catch_up| &mut catch_up.walks) {
            if let Some(moved) = by_group.get(&walk.group).map(|index| &mut request.moved[*index])
                && let Some(new) = moved.new
            {
                moved.unfinished.push(walk.clone());
                walk.group = new;
            }
        }
        for moved in &request.moved {
            let Some(new) = moved.new else { continue };
            if let Some(old) = self.take_subscription(id, Target::Pattern(moved.old))
                && let Some(held) = self.conns[id].subscriptions.get_mut(Target::Pattern(new))
            {
                held.order = old.order;
            }
        }
        self.link_ended(request);
        self.end_unfinished(id, request);
        let mut topics = HashSet::default();
        let mut left = Vec::new();
        for target in request.ended_targets.drain(..) {
            match target {
                Target::Topic(name_id) => self.leave_topic(id, name_id, &mut topics),
                Target::Pattern(group) => {
                    let old = self.take_subscription(id, target);
                    left.extend(old.map(|old| Left::new(group, old)));
                }
            }
        }
        self.drop_left(id, topics, left);
        if !request.moved.is_empty() && !fault::planted(Fault::DeniedStaysPending) {
            // What is denied now is covered by no subscription.
            self.retain_pending(id, |_, _, _| true);
        }
        request.moved.iter().for_each(|moved| self.release_group(moved.old));
        self.conns[id].settle();
        self.file(id, SharedSum::Wants);
        request.phase = Phase::ReportEnded { after: None };
    }

    /// Links the names of topics that the directory no longer has, but whose last entries the shard has still to read.
    fn link_ended(&mut self, request: &Authorizing) {
        if request.moved.is_empty() {
            return;
        }
        let ended: Vec<Arc<Topic>> = self.engine.directory.read().all_ended().cloned().collect();
        self.work.charge(ended.len() * (1 + request.denied_size() / PATTERNS_PER_STEP));
        for topic in ended.iter().filter(|topic| !request.readable.denies(topic.name())) {
            let Some(name_id) = self.follows.named(topic.name()) else { continue };
            request.moved_by_name.matching(topic.name(), |moved| {
                if let Some(group) = request.moved[*moved].new {
                    self.link(name_id, group);
                }
            });
        }
    }

    /// Notes the topics of moved patterns that are denied now, and whose names may not be live any more: something of
    /// them is pending, and dropped, or the shard has still to read that they ended.
    fn end_unfinished(&self, id: ConnId, request: &mut Authorizing) {
        if request.moved.is_empty() {
            return;
        }
        let conn = &self.conns[id];
        let wanted = conn.catch_up.iter().flat_map(|catch_up| catch_up.wants.values().map(|want| &*want.topic));
        let slots = conn.runs.iter().flat_map(|run| self.ring.slots(run.ring_offset, run.len as usize));
        let mut topics: HashMap<TopicId, Arc<Topic>, RandomState> = HashMap::default();
        for topic in wanted.chain(slots.map(|slot| &slot.topic)) {
            topics.entry(topic.id()).or_insert_with(|| topic.clone());
        }
        {
            let names = self.engine.directory.read();
            let over = names.all_ended().filter(|topic| topic.end_unread_by(self.bit).is_some());
            let over = over.filter(|topic| self.was_known(request, topic));
            topics.extend(over.map(|topic| (topic.id(), topic.clone())));
        }
        self.work.charge(topics.len() * (1 + request.denied_size() / PATTERNS_PER_STEP));
        let names = topics.values().map(|topic| topic.name());
        let denied = names.filter(|name| request.is_newly_denied(name) && request.is_of_moved(name));
        for name in denied.cloned().collect::<Vec<_>>() {
            request.ended.entry(name).or_insert(ErrorCode::Forbidden);
        }
    }
}
