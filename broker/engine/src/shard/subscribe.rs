//! Subscribing, in portions: first the topics of patterns are counted, then entry after entry takes effect, then the
//! request is answered. Until then only answers are sent to the connection, so that `subscribed` comes before
//! everything of its topics.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{GapReason, Start};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, OnSlow, Subscribe};
use foldhash::fast::RandomState;

use super::ahead::BEHIND;
use super::awaiting::Reach;
use super::conn::{
    Asked, At, Begun, InProgress, Subscribing, Subscription, Target, Token, Walk, Want, interval, ladder, step,
};
use super::denied::Denied;
use super::entry::{self, CheckedEntry};
use super::follow::patterns_bytes_max;
use super::permits::PATTERNS_PER_STEP;
use super::refused::Refused;
use super::start::start;
use super::{ConnId, GroupId, Shard};
use crate::budget::shared::SharedSum;
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::{Topic, TopicId};

/// Work to make one subscription, in steps.
const ENTRY_STEPS: usize = 8;

/// What is replaced by the entries that took effect in one portion.
#[derive(Default)]
struct Replaced {
    topics: HashSet<TopicId, RandomState>,
    /// The order that a pattern had before, if it was subscribed to.
    groups: HashMap<GroupId, Option<u32>, RandomState>,
    walks: Vec<Walk>,
}

enum Progress {
    /// The next entry may take effect.
    Done,
    /// The feed has to be read first.
    Waits,
}

impl<S: Sink> Shard<S> {
    pub(super) fn subscribe(&mut self, now: Now, id: ConnId, request: &Subscribe<'_>, reach: Reach) {
        if self.conns.get(id).is_none_or(|conn| conn.is_leaving()) || self.end_stream_behind(now, id, reach, request) {
            return;
        }
        let mut entries: Vec<CheckedEntry> = request.entries.iter().map(CheckedEntry::check).collect();
        let conflate_ms = self.permits.of(id).map_or(0, |permissions| permissions.conflate_ms_min());
        if entries.len() as u64 > self.engine.limits.subscriptions() {
            entries = entry::once(entries);
        }
        let text_bytes = entries.iter().map(CheckedEntry::text_bytes).sum();
        let from = self.engine.beginning_of(request);
        let is_to_come = self.engine.is_to_come(from);
        self.conns[id].in_progress = Some(Box::new(InProgress::Subscribing(Subscribing {
            id: request.id.as_ref().map(|id| id.as_bytes().into()),
            entries,
            text_bytes,
            from: if is_to_come { From::After(0) } else { from },
            may_be_beyond: reach == Reach::Unread,
            is_beyond: reach == Reach::Unread && is_to_come,
            step: step(request.conflate_ms.max(conflate_ms)),
            on_slow: request.on_slow,
            ready: request.ready.then(Token::new),
            positions: request.positions,
            counted: false,
            at: 0,
            name: None,
            feed_bytes: None,
            begun: Vec::new(),
            patterns: Vec::new(),
            errors: Refused::none(),
        })));
        self.continue_request(id, now);
        if self.is_busy(id) {
            self.enqueue(id, now.mono_us);
        }
    }

    /// Continues a subscribe request, as far as this round's work allows. Returns whether it is done.
    pub(super) fn continue_subscribe(&mut self, id: ConnId, request: &mut Subscribing) -> bool {
        (request.counted || self.count(id, request)) && self.take_effect(id, request)
    }

    /// Checks whether the connection may subscribe to the entries, and counts the topics of the patterns. Returns whether
    /// that is done for all.
    fn count(&mut self, id: ConnId, request: &mut Subscribing) -> bool {
        let (readable, permit_steps) = (self.readable(id), self.permit_steps(id));
        while let Some(entry) = request.entries.get_mut(request.at) {
            if permit_steps > 0 && self.work.is_spent() {
                return false;
            }
            if request.name.is_none() {
                entry.permit(&readable);
                self.work.charge(permit_steps);
            }
            if let CheckedEntry::Pattern { pattern, denied, matched } = entry {
                loop {
                    if self.work.is_spent() {
                        return false;
                    }
                    let is_denied = |name: &str| denied.matches(name);
                    let after = request.name.as_deref();
                    let counted = self.engine.directory.read().count(pattern, is_denied, after, COUNT_NAMES);
                    if !fault::planted(Fault::WorkUncounted) {
                        self.work
                            .charge(counted.looked_at * (COUNT_STEPS + denied.patterns().len() / PATTERNS_PER_STEP));
                    }
                    *matched += counted.matched;
                    match counted.up_to {
                        Some(name) => request.name = Some(name),
                        None => break,
                    }
                }
            }
            request.at += 1;
            request.name = None;
        }
        (request.counted, request.at) = (true, 0);
        true
    }

    /// Makes entries take effect. Returns whether all have.
    fn take_effect(&mut self, id: ConnId, request: &mut Subscribing) -> bool {
        let mut replaced = Replaced::default();
        let mut done = true;
        while request.at < request.entries.len() {
            if self.work.is_spent() {
                done = false;
                break;
            }
            self.work.charge(ENTRY_STEPS);
            let entries = std::mem::take(&mut request.entries);
            let progress = self.entry(id, &entries[request.at], request, &mut replaced);
            request.entries = entries;
            match progress {
                Progress::Done => request.at += 1,
                Progress::Waits => {
                    done = false;
                    break;
                }
            }
        }
        self.replace_pending(id, replaced);
        self.file(id, SharedSum::Wants);
        done
    }

    fn entry(
        &mut self,
        id: ConnId,
        entry: &CheckedEntry,
        request: &mut Subscribing,
        replaced: &mut Replaced,
    ) -> Progress {
        if request.may_be_beyond && self.is_beyond(entry, request) {
            self.stats.errors.add(ErrorCode::Unavailable, 1);
            request.errors.add(request.at as u32, entry.text().len(), ErrorCode::Unavailable, BEHIND);
            return Progress::Done;
        }
        let (name, refusal) = match entry {
            CheckedEntry::Bad { entry, code, message } => {
                self.stats.errors.add(*code, 1);
                request.errors.add(request.at as u32, entry.len(), *code, message);
                return Progress::Done;
            }
            CheckedEntry::Topic { name, resume } => {
                if self.must_read_first(name, request) {
                    return Progress::Waits;
                }
                match self.subscribe_topic(id, name, resume.as_ref(), request, replaced) {
                    Ok(begun) => {
                        request.begun.push(begun);
                        return Progress::Done;
                    }
                    Err(refusal) => (&**name, refusal),
                }
            }
            CheckedEntry::Pattern { pattern, denied, .. } => {
                match self.subscribe_pattern(id, pattern, denied, request, replaced) {
                    Ok(()) => {
                        request.patterns.push(request.at as u32);
                        return Progress::Done;
                    }
                    Err(refusal) => (pattern.as_str(), refusal),
                }
            }
        };
        self.stats.errors.add(ErrorCode::Limit, 1);
        request.errors.add(request.at as u32, name.len(), ErrorCode::Limit, &refusal);
        Progress::Done
    }

    /// Whether the feed has to be read first: the name's topic began or ended since the shard last read, and existing
    /// subscribers get that in order.
    fn must_read_first(&self, name: &str, request: &mut Subscribing) -> bool {
        let up_to = match request.feed_bytes {
            Some(bytes) => bytes,
            None => {
                let Some(name_id) = self.follows.named(name) else { return false };
                let topic = self.engine.directory.read().get(name).cloned();
                let same = match (&self.follows.names[name_id].topic, &topic) {
                    (Some(held), Some(topic)) => Arc::ptr_eq(held, topic),
                    (None, None) => true,
                    _ => false,
                };
                if same {
                    return false;
                }
                *request.feed_bytes.insert(self.engine.feed.appended_bytes())
            }
        };
        self.reader.bytes() < up_to
    }

    /// Inserts a subscription, replacing one with the same target. Returns the order of the one replaced.
    fn put_subscription(
        &mut self,
        id: ConnId,
        target: Target,
        asked: Asked,
        request: &Subscribing,
    ) -> Result<Option<u32>, String> {
        let limits = &self.engine.limits;
        let own_max = self.permits.of(id).and_then(|permissions| permissions.subscriptions_max());
        let max = limits.subscriptions().min(own_max.unwrap_or(u64::MAX));
        let conn = &mut self.conns[id];
        let old = conn.subscription(target).copied();
        if old.is_none() {
            if conn.subscriptions.len() as u64 >= max {
                // Kept short: one answer may contain thousands of these.
                return Err(format!("there are {max} subscriptions already (subscriptions)"));
            }
            if !self.engine.budget.subscriptions.try_change(0, SUBSCRIPTION_BYTES, limits.subscriptions_bytes_max()) {
                let max = limits.subscriptions_bytes_max();
                return Err(format!("all subscriptions would exceed {max} bytes (subscriptions_bytes_max)"));
            }
        }
        let order = conn.next_order;
        conn.next_order = order.wrapping_add(1);
        conn.is_strict |= request.on_slow == OnSlow::Disconnect;
        if let Some(old) = old {
            self.leave_members(target, old.member, old.step);
        }
        let member = self.follows.members(target).add(id, request.step);
        let new = Subscription { step: request.step, on_slow: request.on_slow, asked, order, member };
        self.conns[id].subscriptions.insert(target, new);
        if old.is_none() {
            self.stats.subscriptions.add(1);
            self.count_subscriber(target, 1);
        }
        Ok(old.map(|old| old.order))
    }

    fn subscribe_topic(
        &mut self,
        id: ConnId,
        name: &Arc<str>,
        resume: Option<&(Box<str>, u64)>,
        request: &Subscribing,
        replaced: &mut Replaced,
    ) -> Result<Begun, String> {
        let name_id = self.follow(name);
        let put = match self.count_name(name_id) {
            true => {
                let asked = resume.map_or(Asked::of(request.from), |_| Asked::resumes());
                self.put_subscription(id, Target::Topic(name_id), asked, request)
            }
            false => {
                let max = self.engine.limits.names_waited_bytes_max();
                Err(format!("all names that are waited for would exceed {max} bytes (names_waited_bytes_max)"))
            }
        };
        if let Err(refusal) = put {
            self.release(name_id);
            return Err(refusal);
        }
        self.forget_wants(id, name_id, &mut replaced.topics);
        let followed = &self.follows.names[name_id];
        let name = followed.name.clone();
        let Some(topic) = followed.topic.clone() else {
            let start = if resume.is_some() { Start::Reset } else { Start::Live };
            return Ok(Begun { name, topic: None, seq: 0, oldest: 1, start, conflate_ms: ladder(request.step) });
        };
        let conflated = request.step > 0 && topic.has_image();
        let state = topic.lock();
        let feed_position = self.engine.feed.appended_bytes();
        let (seq, oldest) = (state.seq(), state.history.oldest());
        let live = At::After { seq, feed_position };
        let (start, at) = match resume {
            None => start(&state, &topic, request.from, conflated, feed_position),
            Some((epoch, _)) if **epoch != *topic.epoch() && !fault::strikes(Fault::ResumeIntoNewEpoch) => {
                (Start::Reset, reset(&topic, 1))
            }
            Some(_) if conflated => (Start::Image, At::Image(1)),
            Some((_, has)) if *has == seq => (Start::Resumed, live),
            Some((_, has)) if *has > seq => (Start::Reset, reset(&topic, 1)),
            Some((_, has)) if has + 1 < oldest => (Start::Reset, reset(&topic, has + 1)),
            Some((_, has)) => (Start::Resumed, At::From(has + 1)),
        };
        drop(state);
        let begins = !matches!(at, At::After { .. });
        let want = Want {
            strict: request.on_slow == OnSlow::Disconnect,
            since: feed_position,
            ready: request.ready.clone().filter(|_| begins),
            until: seq,
            ..Want::new(topic.clone(), at, GapReason::Expired)
        };
        // If the shard has read everything, there is nothing to swallow.
        if begins || self.reader.bytes() < feed_position {
            self.conns[id].catch_up.get_or_insert_default().want(want);
        }
        let conflate_ms = interval(request.step, &topic);
        Ok(Begun { name, topic: Some(topic), seq, oldest, start, conflate_ms })
    }

    fn subscribe_pattern(
        &mut self,
        id: ConnId,
        pattern: &Pattern,
        denied: &Denied,
        request: &Subscribing,
        replaced: &mut Replaced,
    ) -> Result<(), String> {
        let max = patterns_bytes_max(&self.engine.limits);
        let too_much = || {
            format!("a new pattern would bring all subscriptions above {max} bytes (3/4 of subscriptions_bytes_max)")
        };
        let group = self.group(pattern, denied).ok_or_else(too_much)?;
        let before = match self.put_subscription(id, Target::Pattern(group), Asked::of(request.from), request) {
            Ok(before) => before,
            Err(refusal) => {
                self.release_group(group);
                return Err(refusal);
            }
        };
        // If a pattern is given twice in a request, the last entry counts.
        match replaced.groups.entry(group) {
            Entry::Occupied(_) => replaced.walks.retain(|walk| walk.group != group),
            Entry::Vacant(slot) => _ = slot.insert(before),
        }
        replaced.walks.push(Walk {
            group,
            at: None,
            from: request.from,
            images_only: false,
            pattern: pattern.clone(),
            only: Denied::default(),
            ready: request.ready.clone(),
        });
        Ok(())
    }

    /// Drops what is pending of entries that start again, and begins the walks of patterns.
    fn replace_pending(&mut self, id: ConnId, replaced: Replaced) {
        let Replaced { topics, groups, mut walks } = replaced;
        if !topics.is_empty() {
            self.retain_runs(id, |topic| !topics.contains(&topic.id()));
        }
        if groups.is_empty() {
            return;
        }
        self.drop_pending_of(id, &groups);
        let catch_up = self.conns[id].catch_up.get_or_insert_default();
        catch_up.walks.retain(|walk| !groups.contains_key(&walk.group));
        catch_up.walks.append(&mut walks);
    }
}

/// Names counted before the directory's lock is released, and the work for one name in steps.
const COUNT_NAMES: usize = fault::bound(64, 2);
const COUNT_STEPS: usize = 3;
/// What a subscription costs in bytes: its entry, and its index among the members.
pub(super) const SUBSCRIPTION_BYTES: u64 = 48;

/// What is wanted after a reset: the image, or every event from `first` on.
fn reset(topic: &Topic, first: u64) -> At {
    if topic.has_image() { At::Image(first) } else { At::From(first) }
}
