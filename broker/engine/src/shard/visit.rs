//! Visiting the connections that a name concerns, each once, however many of its subscriptions match.

use super::conn::{Conn, Step, Target};
use super::follows::{Group, Linked, Members};
use super::mark::{Marker, Via};
use super::pages::Pages;
use super::{ConnId, GroupId, NameId, Shard};
use crate::sink::Sink;

/// A visit to a connection that catches up takes as long as this many others.
const SLOW_VISIT: usize = 15;

/// Passes over the subscribers of names.
#[derive(Default)]
pub(super) struct Visits {
    /// Rises with every pass; see `Conn::marked`.
    pass: u64,
    /// Subscribers visited since this was last set to 0.
    pub(super) count: usize,
}

/// Which of a name's members are visited. If several lists have any, all are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Only the conflated ones.
    Conflated,
}

impl<S: Sink> Shard<S> {
    /// Calls `each` for every connection that the name concerns, once, with the step of its most specific subscription.
    pub(super) fn each_member(
        &mut self,
        name_id: NameId,
        which: Which,
        mut each: impl FnMut(&mut Marker<'_, S>, ConnId, Via, Step),
    ) {
        let followed = &self.follows.names[name_id];
        let groups = &self.follows.groups;
        let mut marker = Marker {
            conns: &mut self.conns,
            queue: &mut self.queue,
            overflowed: &mut self.evictions.overflowed,
            departures: &mut self.departures,
            behind_bytes: self.engine.limits.behind_bytes(),
            slow_visits: 0,
        };
        self.visits.count += followed.direct.len();
        if let Linked::Many(set) = &followed.groups {
            self.visits.pass += 1;
            let (pass, mut members) = (self.visits.pass, set.members());
            if members.as_of != self.follows.changes() {
                members.as_of = self.follows.changes();
                self.visits.count += collect(&set.groups, groups, marker.conns, pass, &mut members.list);
                self.visits.pass += 1;
            }
            let pass = self.visits.pass;
            followed.direct.each(|conn, step| {
                marker.conns[conn].marked = pass;
                each(&mut marker, conn, None, step);
            });
            self.visits.count += members.list.len();
            for (conn, group, step) in &members.list {
                if marker.conns[*conn].marked != pass {
                    each(&mut marker, *conn, Some(*group), *step);
                }
            }
            self.visits.count += marker.slow_visits * SLOW_VISIT;
            return;
        }
        let in_use = |members: &Members| usize::from(!members.is_empty());
        self.visits.count += followed.groups.iter().map(|id| groups[*id].members.len()).sum::<usize>();
        let lists =
            in_use(&followed.direct) + followed.groups.iter().map(|id| in_use(&groups[*id].members)).sum::<usize>();
        if lists <= 1 {
            let groups = followed.groups.iter().map(|id| (Some(*id), &groups[*id].members));
            for (via, members) in std::iter::once((None, &followed.direct)).chain(groups) {
                if which == Which::All {
                    members.each_plain(|conn| each(&mut marker, conn, via, 0));
                }
                members.each_conflated(|conn, step| each(&mut marker, conn, via, step));
            }
            self.visits.count += marker.slow_visits * SLOW_VISIT;
            return;
        }
        self.visits.pass += 1;
        let pass = self.visits.pass;
        followed.direct.each(|conn, step| {
            marker.conns[conn].marked = pass;
            each(&mut marker, conn, None, step);
        });
        for (index, id) in followed.groups.iter().enumerate() {
            let tied = is_tied(&followed.groups, groups, index);
            groups[*id].members.each(|conn, step| {
                let held = &mut marker.conns[conn];
                if held.marked == pass {
                    return;
                }
                held.marked = pass;
                let (via, step) = own_of(held, &followed.groups, groups, *id, step, tied);
                each(&mut marker, conn, Some(via), step);
            });
        }
        self.visits.count += marker.slow_visits * SLOW_VISIT;
    }
}

/// Lists the members of patterns, each once, with the most specific of its own. Returns how many were visited.
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

/// Whether a neighbour in the list is as specific as this pattern.
fn is_tied(linked: &[GroupId], groups: &Pages<Group>, index: usize) -> bool {
    let own = &groups[linked[index]].specificity;
    let ties = |other: Option<&GroupId>| other.is_some_and(|other| groups[*other].specificity == *own);
    ties(linked.get(index + 1)) || (index > 0 && ties(linked.get(index - 1)))
}

/// By which of several equally specific patterns a connection gets a name, and with which step: its latest.
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
