//! A connection leaves altogether: its subscriptions and what is pending of them go, in portions where they are many.

use super::conn::WANT_BYTES;
use super::conn::{Closing, Conn, Target, Turn};
use super::unsubscribe::LEAVE_STEPS;
use super::{ConnId, Shard};
use crate::budget::purse::Purse;
use crate::fault;
use crate::sink::Sink;

/// Subscriptions, and wants, that go at once.
const AT_ONCE: usize = fault::bound(64, 1);
/// Wants that go in a step of work.
const WANTS_PER_STEP: usize = 1;
/// What is still to be let go of may be this share of what all may want.
const DISCARDED_SHARE: u64 = 4;
/// Work to leave a pattern: the shard's and the listings' patterns are told.
const PATTERN_STEPS: usize = 40;

impl<S> Conn<S> {
    /// Nothing is for it any more: it was told so, or is gone.
    #[inline]
    pub(super) fn is_leaving(&self) -> bool {
        self.gone || self.closing != Closing::No
    }
}

impl<S: Sink> Shard<S> {
    /// Everything of a connection goes that closes or is gone.
    pub(super) fn leave_all(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.subscribing = None;
        conn.readies = Default::default();
        self.discard_pending(id);
        let conn = &mut self.conns[id];
        if conn.subscriptions.len() <= AT_ONCE {
            while self.leave_one(id) {}
        } else if !conn.in_leavers {
            conn.in_leavers = true;
            self.leavers.push_back(id);
        }
    }

    /// What waits for a connection goes.
    pub(super) fn discard_pending(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.runs.clear();
        conn.runs.shrink_to_fit();
        (conn.pending_bytes, conn.pending_frames) = (0, 0);
        (conn.behind, conn.is_falling) = (false, false);
        let catch_up = conn.catch_up.take();
        self.file(id, Purse::Wants);
        if let Some(catch_up) = catch_up.filter(|catch_up| catch_up.wants.len() > AT_ONCE) {
            // It counts no more for those who may have to pay.
            self.engine.budget.discarded.add(catch_up.wants.len() as u64 * WANT_BYTES);
            self.discarded.push_back(catch_up);
        }
    }

    /// Whether so much is still to be let go of that nothing new may come for anybody meanwhile. Closing those who hold most
    /// frees nothing before that is done.
    pub(super) fn must_let_go_first(&self) -> bool {
        self.engine.budget.discarded.bytes() > self.engine.limits.behind_bytes_max / DISCARDED_SHARE
    }

    /// Leaves one of a connection's subscriptions. False where there is none.
    fn leave_one(&mut self, id: ConnId) -> bool {
        let Some((target, old)) = self.conns[id].subscriptions.pop() else { return false };
        self.work.charge(LEAVE_STEPS);
        self.forget_subscription(target, old);
        match target {
            Target::Topic(local) => {
                self.leave_views(id, local);
                self.release(local);
            }
            Target::Pattern(group) => {
                self.work.charge(PATTERN_STEPS);
                self.release_group(group);
            }
        }
        true
    }

    /// Goes on with what leaves in portions, as far as this round's work allows. Returns whether there is more.
    pub(super) fn leave_some(&mut self) -> bool {
        while let Some(id) = self.leavers.front().copied() {
            while !self.work.is_spent() && self.leave_one(id) {}
            let conn = &mut self.conns[id];
            if conn.subscriptions.len() > 0 {
                return true;
            }
            self.leavers.pop_front();
            conn.in_leavers = false;
            self.free(id);
        }
        while let Some(catch_up) = self.discarded.front_mut() {
            while !self.work.is_spent() && catch_up.wants.pop_first().is_some() {
                self.work.charge(WANTS_PER_STEP);
                self.engine.budget.discarded.sub(WANT_BYTES);
            }
            if !catch_up.wants.is_empty() {
                return true;
            }
            self.discarded.pop_front();
        }
        false
    }

    /// Frees the number of a connection that is gone, once no queue names it any more.
    pub(super) fn free(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.gone && !conn.in_leavers && matches!(conn.turn, Turn::None | Turn::Parked) {
            self.conns.remove(id);
        }
    }
}
