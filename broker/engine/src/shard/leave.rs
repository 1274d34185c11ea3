//! Leaving altogether: a connection's subscriptions and what is pending for it are dropped, in portions if there are
//! many.

use super::conn::WANT_BYTES;
use super::conn::{Closing, Conn, Target};
use super::unsubscribe::{LEAVE_STEPS, PATTERN_STEPS};
use super::{ConnId, Shard};
use crate::budget::shared::SharedSum;
use crate::fault;
use crate::sink::Sink;

/// Maximum number of subscriptions, or of wants, that are dropped at once.
const AT_ONCE: usize = fault::bound(64, 1);
/// Wants that are dropped in one step of work.
const WANTS_PER_STEP: usize = 1;
/// What is still to be dropped may be this share of `behind_bytes_max`: one part in four.
const DISCARDED_SHARE: u64 = 4;

impl<S> Conn<S> {
    /// Whether nothing is to be delivered to it any more: it is closing or gone.
    #[inline]
    pub(super) fn is_leaving(&self) -> bool {
        self.gone || self.closing != Closing::No
    }
}

impl<S: Sink> Shard<S> {
    /// Drops everything of a connection that closes or is gone.
    pub(super) fn leave_all(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.in_progress = None;
        conn.readies = Default::default();
        self.discard_pending(id);
        let conn = &mut self.conns[id];
        if conn.subscriptions.len() <= AT_ONCE {
            while self.leave_one(id) {}
        } else if !conn.in_leavers {
            conn.in_leavers = true;
            self.departures.leavers.push_back(id);
        }
    }

    /// Drops everything that waits for a connection.
    pub(super) fn discard_pending(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.runs.clear();
        conn.runs.shrink_to_fit();
        (conn.pending_bytes, conn.pending_frames) = (0, 0);
        (conn.behind, conn.is_falling) = (false, false);
        let catch_up = conn.catch_up.take();
        self.file(id, SharedSum::Wants);
        if let Some(catch_up) = catch_up.filter(|catch_up| catch_up.wants.len() > AT_ONCE) {
            // It no longer counts in deciding who has to pay.
            self.engine.budget.discarded.add(catch_up.wants.len() as u64 * WANT_BYTES);
            self.departures.discarded.push_back(catch_up);
        }
    }

    /// Whether so much is still to be dropped that nothing new may be taken in meanwhile, for any connection. Until
    /// that is done, closing the largest holders frees nothing.
    pub(super) fn must_drop_first(&self) -> bool {
        self.engine.budget.discarded.bytes() > self.engine.limits.behind_bytes_max() / DISCARDED_SHARE
    }

    /// Removes one of a connection's subscriptions. Returns false if it has none.
    fn leave_one(&mut self, id: ConnId) -> bool {
        let Some((target, old)) = self.conns[id].subscriptions.pop() else { return false };
        self.work.charge(LEAVE_STEPS);
        self.forget_subscription(target, old);
        match target {
            Target::Topic(name_id) => {
                self.leave_views(id, name_id);
                self.release(name_id);
            }
            Target::Pattern(group) => {
                self.work.charge(PATTERN_STEPS);
                self.release_group(group);
            }
        }
        true
    }

    /// Continues what is dropped in portions, as far as this round's work allows. Returns whether there is more.
    pub(super) fn leave_some(&mut self) -> bool {
        while let Some(id) = self.departures.leavers.front().copied() {
            while !self.work.is_spent() && self.leave_one(id) {}
            let conn = &mut self.conns[id];
            if conn.subscriptions.len() > 0 {
                return true;
            }
            self.departures.leavers.pop_front();
            conn.in_leavers = false;
            self.free(id);
        }
        while let Some(catch_up) = self.departures.discarded.front_mut() {
            while !self.work.is_spent() && catch_up.wants.pop_first().is_some() {
                self.work.charge(WANTS_PER_STEP);
                self.engine.budget.discarded.sub(WANT_BYTES);
            }
            if !catch_up.wants.is_empty() {
                return true;
            }
            self.departures.discarded.pop_front();
        }
        false
    }
}
