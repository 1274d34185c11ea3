//! Putting frames onto runs, and taking them off again where a connection falls out of step.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::message::GapReason;
use broker_protocol::request::From;

use super::conn::{At, Conn, Introduce, OnSlow, Run, Step, Subscription, Target, Want};
use super::follows::{Group, Linked, Members, Resolved};
use super::pages::Pages;
use super::queue::Queue;
use super::{ConnId, GroupId, LocalId, Shard};
use crate::budget::purse::Purse;
use crate::fault::{self, Fault};
use crate::sink::Sink;
use crate::topic::Topic;

/// A visit to a connection that catches up takes as long as so many to others.
const SLOW_VISIT: usize = 15;
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
    /// The first `seq` that it stands for.
    pub(super) first: u64,
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
    pub(super) queue: &'s mut Queue,
    pub(super) overflowed: &'s mut Vec<ConnId>,
    pub(super) to_close: &'s mut Vec<(ConnId, u64)>,
    pub(super) behind_bytes: u64,
    /// Visits to connections that catch up, each as long as many others.
    pub(super) slow_visits: usize,
}

impl<S> Marker<'_, S> {
    /// Adds the frame to what waits for the connection.
    #[inline]
    pub(super) fn mark(&mut self, id: ConnId, via: Via, mark: &Mark<'_>) {
        let conn = &mut self.conns[id];
        if conn.is_leaving() {
            return;
        }
        if conn.catch_up.is_some() {
            self.slow_visits += 1;
            if !passes(conn, id, via, mark, self.behind_bytes, self.to_close) {
                return;
            }
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
        if u64::from(conn.pending_bytes) > self.behind_bytes && !conn.overflowed {
            conn.overflowed = true;
            self.overflowed.push(id);
        }
        self.queue.push(id, &mut conn.turn);
        conn.begin_waiting(mark.taken_us);
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
    to_close: &mut Vec<(ConnId, u64)>,
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
            to_close.push((id, conn.session));
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
        let earlier =
            catch_up.wants.values().map(|want| &*want.topic).filter(|topic| topic.name() == mark.topic.name());
        let after = earlier.max_by_key(|topic| topic.begun_bytes.load(Ordering::Acquire)).map(|topic| topic.id());
        catch_up.want(Want::introduction(mark.topic.clone(), From::Image, after));
    }
    false
}

/// Which of a name's members are gone through. Where several lists have any, all are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Only those that asked for fewer updates.
    Conflated,
}

impl<S: Sink> Shard<S> {
    /// The connection's most specific subscription that covers a name, the latest of equally specific ones.
    pub(super) fn resolve(&self, conn: &Conn<S>, name: &str) -> Option<Resolved> {
        self.resolve_as(conn, name, |_, held| Some(held.order))
    }

    /// The same where patterns have this order among equally specific ones, and `None` stands for one that is not there.
    pub(super) fn resolve_as(
        &self,
        conn: &Conn<S>,
        name: &str,
        order_of: impl Fn(GroupId, &Subscription) -> Option<u32>,
    ) -> Option<Resolved> {
        let (resolved, steps) = self.follows.resolve(&conn.subscriptions, name, order_of);
        self.work.charge(steps);
        resolved
    }

    /// Calls `each` for every connection that the name concerns, once, with the step of its most specific subscription.
    pub(super) fn each_member(
        &mut self,
        local_id: LocalId,
        which: Which,
        mut each: impl FnMut(&mut Marker<'_, S>, ConnId, Via, Step),
    ) {
        let local = &self.follows.locals[local_id];
        let groups = &self.follows.groups;
        let mut marker = Marker {
            conns: &mut self.conns,
            queue: &mut self.queue,
            overflowed: &mut self.overflowed,
            to_close: &mut self.to_close,
            behind_bytes: self.engine.limits.behind_bytes,
            slow_visits: 0,
        };
        self.visited += local.direct.len();
        if let Linked::Many(set) = &local.groups {
            self.pass += 1;
            let (pass, mut members) = (self.pass, set.members());
            if members.as_of != self.follows.changes() {
                members.as_of = self.follows.changes();
                self.visited += collect(&set.groups, groups, marker.conns, pass, &mut members.list);
                self.pass += 1;
            }
            let pass = self.pass;
            local.direct.each(|conn, step| {
                marker.conns[conn].marked = pass;
                each(&mut marker, conn, None, step);
            });
            self.visited += members.list.len();
            for (conn, group, step) in &members.list {
                if marker.conns[*conn].marked != pass {
                    each(&mut marker, *conn, Some(*group), *step);
                }
            }
            self.visited += marker.slow_visits * SLOW_VISIT;
            return;
        }
        let in_use = |members: &Members| usize::from(!members.is_empty());
        self.visited += local.groups.iter().map(|id| groups[*id].members.len()).sum::<usize>();
        let lists = in_use(&local.direct) + local.groups.iter().map(|id| in_use(&groups[*id].members)).sum::<usize>();
        if lists <= 1 {
            let groups = local.groups.iter().map(|id| (Some(*id), &groups[*id].members));
            for (via, members) in std::iter::once((None, &local.direct)).chain(groups) {
                if which == Which::All {
                    members.each_plain(|conn| each(&mut marker, conn, via, 0));
                }
                members.each_conflated(|conn, step| each(&mut marker, conn, via, step));
            }
            self.visited += marker.slow_visits * SLOW_VISIT;
            return;
        }
        self.pass += 1;
        let pass = self.pass;
        local.direct.each(|conn, step| {
            marker.conns[conn].marked = pass;
            each(&mut marker, conn, None, step);
        });
        for (index, id) in local.groups.iter().enumerate() {
            let tied = is_tied(&local.groups, groups, index);
            groups[*id].members.each(|conn, step| {
                let held = &mut marker.conns[conn];
                if held.marked == pass {
                    return;
                }
                held.marked = pass;
                let (via, step) = own_of(held, &local.groups, groups, *id, step, tied);
                each(&mut marker, conn, Some(via), step);
            });
        }
        self.visited += marker.slow_visits * SLOW_VISIT;
    }

    /// Whether the subscription that covers a name says `on_slow: "disconnect"`.
    pub(super) fn is_strict(&self, id: ConnId, name: &str) -> bool {
        self.resolve(&self.conns[id], name).is_some_and(|resolved| resolved.on_slow == OnSlow::Disconnect)
    }

    /// Gives a frame that is too large for the ring by way of its topic.
    pub(super) fn want_instead(&mut self, id: ConnId, via: Via, mark: &Mark<'_>, merged: bool) {
        let behind_bytes = self.engine.limits.behind_bytes;
        let conn = &mut self.conns[id];
        if conn.is_leaving() {
            return;
        }
        if conn.catch_up.is_some() && !passes(conn, id, via, mark, behind_bytes, &mut self.to_close) {
            return;
        }
        self.stats.detours.add(1);
        // What waits of the topic already waits before it.
        let pending = conn
            .runs
            .iter()
            .any(|run| self.ring.slots(run.at, run.len as usize).any(|slot| slot.topic.id() == mark.topic.id()));
        if pending {
            self.fall_out(id);
            if self.conns[id].is_leaving() {
                return;
            }
        }
        let Some(local_id) = self.follows.named(mark.name) else { return };
        let strict = self.conns[id].is_strict && self.is_strict(id, mark.name);
        let conn = &mut self.conns[id];
        let catch_up = conn.catch_up.get_or_insert_default();
        if !catch_up.wants.contains_key(&mark.topic.id()) {
            let after = self.follows.locals[local_id].unfinished(catch_up, mark.topic);
            catch_up.want(Want {
                introduce: if mark.seq == 0 { Introduce::Begins } else { Introduce::No },
                after,
                strict,
                ..Want::new(
                    mark.topic.clone(),
                    if merged { At::Image(mark.first) } else { At::From(mark.seq.max(1)) },
                    GapReason::Slow,
                )
            });
        }
        self.enqueue(id, mark.taken_us);
        self.file(id, Purse::Wants);
    }
}

/// Looks up the members of patterns, each once, with the most specific of its own. Returns how many were looked at.
fn collect<S>(
    linked: &[GroupId],
    groups: &Pages<Group>,
    conns: &mut Pages<Conn<S>>,
    pass: u64,
    list: &mut Vec<(ConnId, GroupId, Step)>,
) -> usize {
    list.clear();
    let mut visited = 0;
    for (index, id) in linked.iter().enumerate() {
        let (tied, members) = (is_tied(linked, groups, index), &groups[*id].members);
        visited += members.len() + 1;
        members.each(|conn, step| {
            let held = &mut conns[conn];
            if held.marked != pass {
                held.marked = pass;
                let (via, step) = own_of(held, linked, groups, *id, step, tied);
                list.push((conn, via, step));
            }
        });
    }
    visited
}

/// Whether a pattern has others beside it that are as specific.
fn is_tied(linked: &[GroupId], groups: &Pages<Group>, index: usize) -> bool {
    let own = &groups[linked[index]].specificity;
    let ties = |other: Option<&GroupId>| other.is_some_and(|other| groups[*other].specificity == *own);
    ties(linked.get(index + 1)) || (index > 0 && ties(linked.get(index - 1)))
}

/// By which of patterns that are equally specific a connection gets a name, and with which step: its latest.
fn own_of<S>(
    conn: &Conn<S>,
    linked: &[GroupId],
    groups: &Pages<Group>,
    id: GroupId,
    step: Step,
    tied: bool,
) -> (GroupId, Step) {
    if !tied {
        return (id, step);
    }
    let tied = linked.iter().filter(|other| groups[**other].specificity == groups[id].specificity);
    let own = tied.filter_map(|id| conn.subscription(Target::Pattern(*id)).map(|subscription| (*id, subscription)));
    let latest = own.max_by_key(|(_, subscription)| subscription.order);
    latest.map_or((id, step), |(id, subscription)| (id, subscription.step))
}
