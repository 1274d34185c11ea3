//! Putting frames onto runs, and taking them off again where a connection falls out of step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::codes::CloseReason;
use broker_protocol::frame::Frame;
use broker_protocol::message::GapReason;
use broker_protocol::request::From;

use super::catch_up::{At, Introduce, Want};
use super::connection::{CatchUp, Closing, Conn, OnSlow, Place, Run, Step, Subscription, Target};
use super::members::{Group, Local, Members};
use super::pages::Pages;
use super::stats::ShardStats;
use super::{ConnId, GroupId, LocalId, Shard, enqueue};
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// The pattern by which a topic concerns a connection; `None` where it is subscribed by its name.
pub(super) type Via = Option<GroupId>;

/// A frame in the ring on its way to runs.
#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    pub(super) at: u64,
    pub(super) len: u32,
    /// Whether it lies behind its predecessor in memory too.
    pub(super) joins: bool,
    pub(super) topic: &'a Arc<Topic>,
    pub(super) name: &'a str,
    pub(super) seq: u64,
    pub(super) oldest: u64,
    pub(super) taken_us: u64,
    /// See [`crate::feed::Entry::end_bytes`].
    pub(super) end_bytes: u64,
    /// It is the topic's `closed`.
    pub(super) closes: bool,
}

/// The parts of a shard that marking changes, borrowed apart from those that it walks over.
pub(super) struct Marker<'s, S> {
    pub(super) conns: &'s mut Pages<Conn<S>>,
    pub(super) fifo: &'s mut VecDeque<ConnId>,
    pub(super) overflowed: &'s mut Vec<ConnId>,
    pub(super) to_close: &'s mut Vec<(ConnId, CloseReason)>,
    pub(super) behind_bytes: u64,
}

impl<S> Marker<'_, S> {
    /// Adds the frame to what waits for the connection.
    #[inline]
    pub(super) fn mark(&mut self, id: ConnId, via: Via, mark: &Mark<'_>) {
        let conn = &mut self.conns[id];
        if conn.catch_up.is_some() && !passes(conn, id, via, mark, self.behind_bytes, self.to_close) {
            return;
        }
        if fault::strikes(Fault::FrameSkipped) {
            return;
        }
        match conn.runs.last_mut() {
            Some(run) if mark.joins && run.end() == mark.at => run.len += mark.len,
            _ => conn.runs.push(Run { at: mark.at, len: mark.len }),
        }
        conn.pending_frames += 1;
        conn.pending_bytes += mark.len;
        if u64::from(conn.pending_bytes) > self.behind_bytes {
            self.overflowed.push(id);
        }
        if conn.place == Place::Rest {
            conn.place = Place::Queued;
            self.fifo.push_back(id);
        }
        if conn.waiting_since_us == 0 {
            conn.waiting_since_us = mark.taken_us.max(1);
        }
    }
}

/// Whether a frame may go onto the runs of a connection that is catching up: not where it will come, or has come, by way
/// of the topic.
#[cold]
fn passes<S>(
    conn: &mut Conn<S>,
    id: ConnId,
    via: Via,
    mark: &Mark<'_>,
    behind_bytes: u64,
    to_close: &mut Vec<(ConnId, CloseReason)>,
) -> bool {
    let Some(catch_up) = conn.catch_up.as_deref_mut() else { return true };
    if let Some(want) = catch_up.wants.get_mut(&mark.topic.id()) {
        if let At::After { seq, .. } = want.at {
            if mark.seq <= seq && !fault::strikes(Fault::ImageAndUpdate) {
                return false;
            }
            catch_up.wants.remove(&mark.topic.id());
            conn.settle();
            return true;
        }
        if want.strict
            && let At::From(from) = want.at
            && from < mark.oldest
        {
            to_close.push((id, CloseReason::Slow));
        }
        if mark.end_bytes <= want.since {
            return false;
        }
        catch_up.swallowed_bytes += u64::from(mark.len);
        catch_up.swallowed_updates += 1;
        if catch_up.swallowed_bytes + u64::from(conn.pending_bytes) > behind_bytes {
            conn.behind = true;
        }
        return false;
    }
    // A name that a walk has not come to yet will be introduced with all that it has by then.
    let walk = catch_up.walks.iter().find(|walk| via == Some(walk.group) && walk.will_introduce(mark.topic));
    if walk.is_none() {
        return true;
    }
    // The walk will not find it any more, and by another subscription the client may know it.
    if mark.closes && (conn.subscriptions.len() > 1 || conn.has_left) {
        let earlier = catch_up.wants.values().map(|want| &want.topic).filter(|topic| topic.name() == mark.topic.name());
        let want = Want {
            topic: mark.topic.clone(),
            at: At::Image,
            introduce: Introduce::Fresh(From::Image),
            after: earlier.max_by_key(|topic| topic.begun_bytes.load(Ordering::Acquire)).map(|topic| topic.id()),
            reason: GapReason::Expired,
            strict: false,
            since: u64::MAX,
        };
        catch_up.wants.insert(mark.topic.id(), want);
    }
    false
}

/// What a connection's most specific subscription to a name says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    pub(super) target: Target,
    pub(super) step: Step,
    pub(super) on_slow: OnSlow,
}

impl<S: Sink> Shard<S> {
    /// The connection's most specific subscription that covers a name.
    pub(super) fn resolve(&self, conn: &Conn<S>, local_id: LocalId) -> Option<Resolved> {
        let found = |subscription: &Subscription| Resolved {
            target: subscription.target,
            step: subscription.step,
            on_slow: subscription.on_slow,
        };
        if let Some(direct) = conn.subscription(Target::Topic(local_id)) {
            return Some(found(direct));
        }
        let mut best: Option<(&Group, &Subscription)> = None;
        for id in &self.locals[local_id].groups {
            let group = &self.groups[*id];
            // The list is in order: a less specific one cannot win any more.
            if best.is_some_and(|(held, _)| held.specificity > group.specificity) {
                break;
            }
            if let Some(subscription) = conn.subscription(Target::Pattern(*id))
                && best.is_none_or(|(_, held)| subscription.order > held.order)
            {
                best = Some((group, subscription));
            }
        }
        best.map(|(_, subscription)| found(subscription))
    }

    /// Calls `each` for every connection that the name concerns, once, with the step of its most specific subscription.
    pub(super) fn each_member(
        &mut self,
        local_id: LocalId,
        mut each: impl FnMut(&mut Marker<'_, S>, ConnId, Via, Step),
    ) {
        let local = &self.locals[local_id];
        let mut marker = Marker {
            conns: &mut self.conns,
            fifo: &mut self.fifo,
            overflowed: &mut self.overflowed,
            to_close: &mut self.to_close,
            behind_bytes: self.engine.limits.behind_bytes,
        };
        let groups = &self.groups;
        let in_use = |members: &Members| usize::from(!members.is_empty());
        self.visited += local.direct.len() + local.groups.iter().map(|id| groups[*id].members.len()).sum::<usize>();
        let lists = in_use(&local.direct) + local.groups.iter().map(|id| in_use(&groups[*id].members)).sum::<usize>();
        if lists <= 1 {
            local.direct.each(|conn, step| each(&mut marker, conn, None, step));
            for id in &local.groups {
                groups[*id].members.each(|conn, step| each(&mut marker, conn, Some(*id), step));
            }
            return;
        }
        self.pass += 1;
        let pass = self.pass;
        local.direct.each(|conn, step| {
            marker.conns[conn].marked = pass;
            each(&mut marker, conn, None, step);
        });
        for (index, id) in local.groups.iter().enumerate() {
            let group = &groups[*id];
            let ties = |other: Option<&u32>| other.is_some_and(|other| groups[*other].specificity == group.specificity);
            let tied = ties(local.groups.get(index + 1)) || (index > 0 && ties(local.groups.get(index - 1)));
            group.members.each(|conn, step| {
                let held = &mut marker.conns[conn];
                if held.marked == pass {
                    return;
                }
                held.marked = pass;
                let (via, step) =
                    if tied { latest(held, local, groups, group).unwrap_or((*id, step)) } else { (*id, step) };
                each(&mut marker, conn, Some(via), step);
            });
        }
    }

    /// Makes room in the ring for a frame and copies it in; `None` for one too large for it.
    pub(super) fn put(&mut self, topic: &Arc<Topic>, seq: u64, merged: bool, frame: &Frame) -> Option<(u64, bool)> {
        if !self.make_room(frame.len()) {
            return None;
        }
        let at = self.ring.push(topic.clone(), seq, merged, frame);
        Some((at, self.ring.joins(at)))
    }

    /// Makes room in the ring, at the cost of those who still have something pending there. False for a frame that does
    /// not belong in the ring at all.
    pub(super) fn make_room(&mut self, len: usize) -> bool {
        if !self.ring.takes(len) {
            return false;
        }
        while let Some(place) = self.ring.reclaim(len) {
            self.evict(place);
            self.ring.release(place);
        }
        true
    }

    /// Takes out of step whoever still has something pending before `place`.
    fn evict(&mut self, place: u64) {
        let held = self.conns.iter().filter(|(_, conn)| conn.runs.first().is_some_and(|run| run.at < place));
        let held = held.filter(|(_, conn)| conn.place != Place::Parked || !fault::strikes(Fault::EvictionUnderReader));
        let ids: Vec<ConnId> = held.map(|(id, _)| id).collect();
        for id in ids {
            self.stats.evicted.add(1);
            self.fall_out(id);
        }
    }

    /// Deals with those for whom the last entries were too much.
    pub(super) fn settle_overflow(&mut self, now_us: u64) {
        while let Some(id) = self.overflowed.pop() {
            let conn = &mut self.conns[id];
            if u64::from(conn.pending_bytes) > self.engine.limits.behind_bytes {
                conn.behind = true;
                self.stats.fell_behind.add(1);
                self.stats.lag_bytes.record(conn.pending_bytes.into());
                self.fall_out(id);
                enqueue(&mut self.conns[id], id, &mut self.fifo, now_us);
            }
        }
    }

    /// Turns everything on a connection's runs into wants: from here on it catches up from the topics.
    pub(super) fn fall_out(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        let runs = std::mem::take(&mut conn.runs);
        let (bytes, frames) = (conn.pending_bytes, conn.pending_frames);
        (conn.pending_bytes, conn.pending_frames) = (0, 0);
        let mut catch_up = conn.catch_up.take().unwrap_or_default();
        catch_up.swallowed_bytes += u64::from(bytes);
        catch_up.swallowed_updates += u64::from(frames);
        let conn = &self.conns[id];
        for run in &runs {
            for slot in self.ring.slots(run.at, run.len as usize) {
                let topic = &slot.topic;
                match catch_up.wants.get(&topic.id()) {
                    Some(Want { at: At::After { .. }, .. }) | None => {}
                    Some(_) => continue,
                }
                let Some(local_id) = self.by_name.get(topic.name()) else { continue };
                let Some(resolved) = self.resolve(conn, *local_id) else { continue };
                let want = Want {
                    topic: topic.clone(),
                    at: match slot.seq {
                        0 => At::From(1),
                        _ if slot.merged => At::Image,
                        // Where the connection asked for fewer by now, this becomes the image; but not a mere `closed`.
                        seq => At::From(seq),
                    },
                    introduce: if slot.seq == 0 { Introduce::Begins } else { Introduce::No },
                    after: self.locals[*local_id].unfinished(&catch_up, topic),
                    reason: GapReason::Slow,
                    strict: resolved.on_slow == OnSlow::Disconnect,
                    since: 0,
                };
                catch_up.wants.insert(topic.id(), want);
            }
        }
        let conn = &mut self.conns[id];
        conn.catch_up = Some(catch_up);
        conn.settle();
    }

    /// Gives a frame that is too large for the ring by way of its topic.
    pub(super) fn want_instead(&mut self, id: ConnId, via: Via, mark: &Mark<'_>, merged: bool) {
        let behind_bytes = self.engine.limits.behind_bytes;
        let conn = &mut self.conns[id];
        if conn.closing != Closing::No {
            return;
        }
        if conn.catch_up.is_some() && !passes(conn, id, via, mark, behind_bytes, &mut self.to_close) {
            return;
        }
        // What waits of the topic already waits before it.
        let pending = conn
            .runs
            .iter()
            .any(|run| self.ring.slots(run.at, run.len as usize).any(|slot| slot.topic.id() == mark.topic.id()));
        if pending {
            self.fall_out(id);
        }
        let Some(local_id) = self.by_name.get(mark.name).copied() else { return };
        let strict = self.resolve(&self.conns[id], local_id).is_some_and(|r| r.on_slow == OnSlow::Disconnect);
        let conn = &mut self.conns[id];
        let catch_up = conn.catch_up.get_or_insert_default();
        let after = self.locals[local_id].unfinished(catch_up, mark.topic);
        catch_up.wants.entry(mark.topic.id()).or_insert_with(|| Want {
            topic: mark.topic.clone(),
            at: if merged { At::Image } else { At::From(mark.seq.max(1)) },
            introduce: if mark.seq == 0 { Introduce::Begins } else { Introduce::No },
            after,
            reason: GapReason::Slow,
            strict,
            since: 0,
        });
        enqueue(conn, id, &mut self.fifo, mark.taken_us);
    }
}

impl Local {
    /// An ended incarnation that the connection has not caught up with: it comes first.
    pub(super) fn unfinished(&self, catch_up: &CatchUp, topic: &Arc<Topic>) -> Option<crate::topic::TopicId> {
        // The newest of them waits for those before it.
        let wanted = |old: &Arc<Topic>| !Arc::ptr_eq(old, topic) && catch_up.wants.contains_key(&old.id());
        self.previous.iter().rev().filter_map(std::sync::Weak::upgrade).find(wanted).map(|old| old.id())
    }
}

/// The latest of a connection's subscriptions among patterns that are equally specific.
fn latest<S>(conn: &Conn<S>, local: &Local, groups: &Pages<Group>, group: &Group) -> Option<(GroupId, Step)> {
    let tied = local.groups.iter().filter(|id| groups[**id].specificity == group.specificity);
    let own = tied.filter_map(|id| conn.subscription(Target::Pattern(*id)).map(|subscription| (*id, subscription)));
    own.max_by_key(|(_, subscription)| subscription.order).map(|(id, subscription)| (id, subscription.step))
}

/// Counts what a connection with a half-written frame holds.
pub(super) fn pin<S>(conn: &mut Conn<S>, stats: &ShardStats, carry: Option<(Frame, u32)>) {
    if let Some((frame, _)) = &conn.carry {
        stats.pinned_bytes.sub(frame.len() as u64);
    }
    if let Some((frame, _)) = &carry {
        stats.pinned_bytes.add(frame.len() as u64);
    }
    conn.carry = carry;
}
