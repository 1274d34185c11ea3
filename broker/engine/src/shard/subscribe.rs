//! Subscribing: first the topics of patterns are counted, bit by bit where they are many, then everything takes effect at
//! once and is answered.

use std::sync::Arc;

use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{self, EntryError, GapReason, PatternStart, Start, TopicStart};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, OnSlow, Subscribe};
use broker_protocol::topic::is_pattern;

use super::catch_up::{At, Introduce, Walk, Want, interval, ladder, start, step};
use super::connection::{Step, Subscription, Target};
use super::entry::{self, Entry};
use super::refused::Refused;
use super::{ConnId, Shard};
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// Names looked at for one connection in one turn while its patterns are counted: about 0.1 ms, so that 64 connections that
/// count at the same moment hold up the others for some 7 ms.
const COUNT_NAMES_PER_TURN: usize = 256;

/// A subscribe request whose patterns are still being counted.
#[derive(Debug)]
pub(crate) struct Counting {
    id: Option<Box<[u8]>>,
    entries: Vec<Entry>,
    from: From,
    step: Step,
    on_slow: OnSlow,
    /// The entry being counted, and the name up to which it is.
    at: usize,
    name: Option<Arc<str>>,
}

/// How one topic's subscription began, for the answer.
struct Begun {
    name: Arc<str>,
    topic: Option<Arc<Topic>>,
    seq: u64,
    oldest: u64,
    start: Start,
    conflate_ms: u32,
}

impl<S: Sink> Shard<S> {
    pub(super) fn subscribe(&mut self, now: Now, id: ConnId, request: &Subscribe<'_>) {
        let no_reserved = self.conns.get(id).is_some_and(|conn| conn.no_reserved);
        let mut entries: Vec<Entry> = request.entries.iter().map(|entry| Entry::check(entry, no_reserved)).collect();
        if entries.len() as u64 > self.engine.limits.subscriptions {
            entries = entry::once(entries);
        }
        let counting = Counting {
            id: request.id.as_ref().map(|id| id.as_bytes().into()),
            entries,
            from: request.from,
            step: step(request.conflate_ms),
            on_slow: request.on_slow,
            at: 0,
            name: None,
        };
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.counting = Some(Box::new(counting));
        self.count_on(id, now);
        if let Some(conn) = self.conns.get_mut(id)
            && conn.counting.is_some()
        {
            super::enqueue(conn, id, &mut self.fifo, now.mono_us);
        }
    }

    /// Counts on; where all is counted, the request takes effect.
    pub(super) fn count_on(&mut self, id: ConnId, now: Now) {
        let Some(mut counting) = self.conns.get_mut(id).and_then(|conn| conn.counting.take()) else { return };
        let mut names_left = COUNT_NAMES_PER_TURN;
        while let Some(entry) = counting.entries.get_mut(counting.at) {
            if let Entry::Pattern { pattern, matched } = entry {
                let names = self.engine.directory.read();
                loop {
                    if names_left == 0 {
                        drop(names);
                        self.conns[id].counting = Some(counting);
                        return;
                    }
                    names_left -= 1;
                    match names.next_match(pattern, counting.name.as_deref(), &mut names_left) {
                        Ok(Some(topic)) => {
                            *matched += 1;
                            counting.name = Some(topic.name().clone());
                        }
                        Ok(None) => break,
                        Err(name) => counting.name = Some(name),
                    }
                }
            }
            counting.at += 1;
            counting.name = None;
        }
        self.apply_subscribe(now, id, &counting);
    }

    fn apply_subscribe(&mut self, now: Now, id: ConnId, request: &Counting) {
        let mut begun = Vec::new();
        let mut patterns = Vec::new();
        let mut errors: Refused<&str> = Refused::none();
        for entry in &request.entries {
            let (name, result) = match entry {
                Entry::Bad { entry, code, message } => {
                    self.stats.errors.add(*code, 1);
                    errors.add(entry, entry.len(), *code, message.clone());
                    continue;
                }
                Entry::Topic { name, resume } => {
                    let result = self.subscribe_topic(now, id, name, resume.as_ref(), request);
                    (&**name, result.map(|start| begun.push(start)))
                }
                Entry::Pattern { pattern, matched } => {
                    let result = self.subscribe_pattern(id, pattern, request);
                    (pattern.as_str(), result.map(|()| patterns.push((pattern, *matched))))
                }
            };
            if let Err(message) = result {
                self.stats.errors.add(ErrorCode::Limit, 1);
                errors.add(name, name.len(), ErrorCode::Limit, message);
            }
        }
        let topics: Vec<TopicStart<'_>> = begun
            .iter()
            .map(|begun| TopicStart {
                topic: &begun.name,
                kind: begun.topic.as_ref().map(|topic| topic.kind()),
                epoch: begun.topic.as_ref().map(|topic| topic.epoch()),
                seq: begun.seq,
                oldest: begun.oldest,
                start: begun.start,
                conflate_ms: begun.conflate_ms,
            })
            .collect();
        let conflate_ms = ladder(request.step);
        let patterns: Vec<PatternStart<'_>> = patterns
            .iter()
            .map(|(pattern, matched)| PatternStart { pattern: pattern.as_str(), matched: *matched, conflate_ms })
            .collect();
        let errors = errors.into_list();
        let errors: Vec<EntryError<'_>> = errors
            .iter()
            .map(|(topic, code, message)| EntryError { topic, is_pattern: is_pattern(topic), code: *code, message })
            .collect();
        let mut payload = Vec::new();
        message::subscribed(&mut payload, request.id.as_deref(), &topics, &patterns, &errors);
        self.answer(now, id, &payload);
    }

    /// Puts a subscription in place of an equal one, or beside the others.
    /// Returns whether there was one.
    fn place_subscription(&mut self, id: ConnId, target: Target, request: &Counting) -> Result<bool, String> {
        let max = self.engine.limits.subscriptions;
        let conn = &mut self.conns[id];
        let order = conn.next_order;
        conn.next_order = order.wrapping_add(1);
        let held = conn.find(target);
        let new = Subscription { target, step: request.step, on_slow: request.on_slow, order };
        match held {
            Ok(index) => {
                let old = std::mem::replace(&mut conn.subscriptions[index], new);
                self.members(target).remove(id, old.step);
            }
            Err(_) if conn.subscriptions.len() as u64 >= max => {
                // Short: there may be thousands of these in one answer.
                return Err(format!("there are {max} subscriptions already (subscriptions)"));
            }
            Err(index) => {
                if conn.subscriptions.capacity() == conn.subscriptions.len() {
                    // Most connections have one subscription: room for exactly that, then by doubling.
                    conn.subscriptions.reserve_exact(conn.subscriptions.len().max(1));
                }
                conn.subscriptions.insert(index, new);
                self.stats.subscriptions.add(1);
                self.count_subscriber(target, 1);
            }
        }
        self.members(target).add(id, request.step);
        Ok(held.is_ok())
    }

    fn subscribe_topic(
        &mut self,
        now: Now,
        id: ConnId,
        name: &Arc<str>,
        resume: Option<&(Box<str>, u64)>,
        request: &Counting,
    ) -> Result<Begun, String> {
        self.read_up_to_date(now, name);
        let local_id = self.local(name);
        if let Err(refusal) = self.place_subscription(id, Target::Topic(local_id), request) {
            self.release(local_id);
            return Err(refusal);
        }
        self.drop_pending(id, local_id);
        let local = &self.locals[local_id];
        let name = local.name.clone();
        let Some(topic) = local.topic.clone() else {
            let start = if resume.is_some() { Start::Reset } else { Start::Live };
            return Ok(Begun { name, topic: None, seq: 0, oldest: 1, start, conflate_ms: ladder(request.step) });
        };
        let conflated = request.step > 0 && topic.has_image();
        let state = topic.lock();
        let place = self.engine.feed.appended_bytes();
        let (seq, oldest) = (state.seq(), state.history.oldest());
        let live = At::After { seq, place };
        let (start, at) = match resume {
            None => start(&state, &topic, request.from, conflated, place),
            Some((epoch, _)) if **epoch != *topic.epoch() && !fault::strikes(Fault::ResumeIntoNewEpoch) => {
                (Start::Reset, reset(&topic, 1))
            }
            Some(_) if conflated => (Start::Image, At::Image),
            Some((_, has)) if *has == seq => (Start::Resumed, live),
            Some((_, has)) if *has > seq => (Start::Reset, reset(&topic, 1)),
            Some((_, has)) if has + 1 < oldest => (Start::Reset, reset(&topic, has + 1)),
            Some((_, has)) => (Start::Resumed, At::From(has + 1)),
        };
        drop(state);
        let want = Want {
            topic: topic.clone(),
            at,
            introduce: Introduce::No,
            after: None,
            reason: GapReason::Expired,
            strict: request.on_slow == OnSlow::Disconnect,
            since: place,
        };
        let conn = &mut self.conns[id];
        conn.catch_up.get_or_insert_default().wants.insert(topic.id(), want);
        let conflate_ms = interval(request.step, &topic);
        Ok(Begun { name, topic: Some(topic), seq, oldest, start, conflate_ms })
    }

    fn subscribe_pattern(&mut self, id: ConnId, pattern: &Pattern, request: &Counting) -> Result<(), String> {
        let group = self.group(pattern);
        let anew = match self.place_subscription(id, Target::Pattern(group), request) {
            Ok(anew) => anew,
            Err(refusal) => {
                self.release_group(group);
                return Err(refusal);
            }
        };
        self.drop_pending_of(id, group, anew);
        let conn = &mut self.conns[id];
        let catch_up = conn.catch_up.get_or_insert_default();
        catch_up.walks.retain(|walk| walk.group != group);
        let walk = Walk { group, at: None, from: request.from, images_only: false, pattern: pattern.clone() };
        catch_up.walks.push(walk);
        Ok(())
    }

    /// A name whose topic began or ended since the shard last read: the feed is read that far first, so that those who
    /// are subscribed to it already get that in order.
    fn read_up_to_date(&mut self, now: Now, name: &str) {
        let Some(local) = self.by_name.get(name) else { return };
        let held = self.locals[*local].topic.clone();
        let topic = self.engine.directory.read().get(name).cloned();
        let same = match (&held, &topic) {
            (Some(held), Some(topic)) => Arc::ptr_eq(held, topic),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        let end = self.engine.feed.appended_bytes();
        while self.reader.bytes() < end && self.take_in(now) {}
    }
}

/// What is wanted after a reset: the image, or every event from `first` on.
fn reset(topic: &Topic, first: u64) -> At {
    if topic.has_image() { At::Image } else { At::From(first) }
}
