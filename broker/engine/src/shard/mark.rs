//! Putting frames onto runs: what a frame in the ring means to a connection.

use super::conn::{At, Conn, Run, Want};
use super::departures::Departures;
use super::pages::Pages;
use super::queue::Queue;
use super::{ConnId, GroupId};
use crate::fault::{self, Fault};
use crate::topic::Topic;
use broker_protocol::request::From;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The pattern through which a topic concerns a connection; `None` if it is subscribed to by its name.
pub(super) type Via = Option<GroupId>;

/// A frame in the ring that is being put onto runs.
#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    pub(super) ring_offset: u64,
    pub(super) len: u32,
    /// Whether it follows its predecessor in memory too.
    pub(super) joins: bool,
    pub(super) topic: &'a Arc<Topic>,
    pub(super) name: &'a str,
    pub(super) seq: u64,
    /// The first `seq` that it covers.
    pub(super) first: u64,
    pub(super) oldest: u64,
    pub(super) taken_us: u64,
    /// See [`crate::feed::Entry::end_bytes`].
    pub(super) end_bytes: u64,
    /// It is the topic's `closed`.
    pub(super) closes: bool,
}

/// The parts of a shard that marking changes, borrowed separately from those that it iterates over.
pub(super) struct Marker<'s, S> {
    pub(super) conns: &'s mut Pages<Conn<S>>,
    pub(super) queue: &'s mut Queue,
    pub(super) overflowed: &'s mut Vec<ConnId>,
    pub(super) departures: &'s mut Departures,
    pub(super) behind_bytes: u64,
    /// Visits to connections that catch up, each of which takes as long as many others.
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
            if !may_mark(conn, id, via, mark, self.behind_bytes, self.departures) {
                return;
            }
        }
        if fault::strikes(Fault::FrameSkipped) {
            return;
        }
        match conn.runs.last_mut() {
            Some(run) if mark.joins && run.end() == mark.ring_offset => run.len += mark.len,
            _ => conn.runs.push(Run { ring_offset: mark.ring_offset, len: mark.len }),
        }
        conn.pending_frames += 1;
        conn.pending_bytes += mark.len;
        if u64::from(conn.pending_bytes) > self.behind_bytes && !conn.overflowed {
            conn.overflowed = true;
            self.overflowed.push(id);
        }
        self.queue.push(id, &mut conn.queue_state);
        conn.begin_waiting(mark.taken_us);
    }
}

/// Whether a frame may go onto the runs of a connection that is catching up: not if it will come, or has come, through
/// the topic.
#[cold]
pub(super) fn may_mark<S>(
    conn: &mut Conn<S>,
    id: ConnId,
    via: Via,
    mark: &Mark<'_>,
    behind_bytes: u64,
    departures: &mut Departures,
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
            departures.close_as_slow(id, conn.session);
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
    // A name that a walk has not reached yet will be introduced with everything published by then.
    let walk = catch_up.walks.iter().find(|walk| via == Some(walk.group) && walk.will_introduce(mark.topic));
    if walk.is_none() {
        return true;
    }
    // The walk will not find it any more, and the client may know it from another subscription.
    if mark.closes && (conn.subscriptions.len() > 1 || conn.has_unsubscribed) {
        let earlier =
            catch_up.wants.values().map(|want| &*want.topic).filter(|topic| topic.name() == mark.topic.name());
        let after = earlier.max_by_key(|topic| topic.begun_bytes.load(Ordering::Acquire)).map(|topic| topic.id());
        catch_up.want(Want::introduction(mark.topic.clone(), From::Image, after));
    }
    false
}
