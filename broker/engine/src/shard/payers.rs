//! What connections hold of the sums that all of them share, and who pays if one of the sums is exceeded: the
//! connection that holds most of it is closed, on whichever shard it is.
//!
//! Connections are filed by size class (powers of two), so that the largest is found at once: it is within a factor of
//! two of the true largest. What a connection holds is determined again before it has to pay.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use broker_protocol::codes::CloseReason;
use broker_protocol::frame::Frame;
use foldhash::fast::RandomState;

use super::conn::{Closing, Conn, WANT_BYTES};
use super::stats::ShardStats;
use super::{ConnId, Shard};
use crate::budget::shared::{SHARED_SUMS, SharedSum};
use crate::budget::{Budget, class};
use crate::clock::Now;
use crate::sink::Sink;

/// Connections that hold less than this are not filed: closing them would help little.
const FILED_BYTES_MIN: u64 = 256;

/// The shard's connections by what they hold of each sum.
#[derive(Default)]
pub(super) struct Payers {
    filed: [BTreeSet<(u32, ConnId)>; SHARED_SUMS],
    /// Closing connections that still hold something: they are dropped without further notice if that is too much.
    leaving: [VecDeque<(ConnId, u64)>; SHARED_SUMS],
    /// Frames of which connections hold the rest, by their address in memory: however many hold one, it is in memory
    /// once.
    partial: HashMap<usize, Partial, RandomState>,
}

/// A frame of which connections hold the unsent rest.
struct Partial {
    holders: u32,
    /// Those of them that are closing.
    leaving: u32,
    bytes: u64,
}

impl Payers {
    /// Changes who holds the rest of a frame, and updates the sums accordingly.
    fn change_holders(
        &mut self,
        frame: &Frame,
        budget: &Budget,
        stats: &ShardStats,
        change: impl FnOnce(&mut Partial),
    ) {
        let key = frame.bytes().as_ptr() as usize;
        let none = Partial { holders: 0, leaving: 0, bytes: frame.len() as u64 };
        let held = self.partial.entry(key).or_insert(none);
        let counts = |held: &Partial| {
            let bytes = if held.holders > 0 { held.bytes } else { 0 };
            (bytes, if held.leaving == held.holders { bytes } else { 0 })
        };
        let (before, leaving_before) = counts(held);
        change(held);
        let (after, leaving) = counts(held);
        budget.partial.change(before, after);
        budget.partial_leaving.change(leaving_before, leaving);
        stats.pinned_bytes.add(after.saturating_sub(before));
        stats.pinned_bytes.sub(before.saturating_sub(after));
        if held.holders == 0 {
            self.partial.remove(&key);
        }
    }
}

impl<S: Sink> Shard<S> {
    /// Replaces the rest of a half-written frame that a connection holds.
    pub(super) fn set_carry(&mut self, id: ConnId, carry: Option<(Frame, u32)>) {
        let conn = &mut self.conns[id];
        if carry.is_none() && conn.carry.is_none() {
            return;
        }
        let (budget, stats, leaving) = (&self.engine.budget, &self.stats, u32::from(conn.counts_as_leaving));
        if let Some((frame, _)) = &carry {
            self.payers.change_holders(frame, budget, stats, |held| {
                held.holders += 1;
                held.leaving += leaving;
            });
        }
        if let Some((frame, _)) = conn.carry.as_deref() {
            self.payers.change_holders(frame, budget, stats, |held| {
                held.holders -= 1;
                held.leaving -= leaving;
            });
        }
        conn.carry = carry.map(Box::new);
        self.file(id, SharedSum::Partial);
    }

    /// Counts what a connection buffers again, because it may have changed.
    pub fn count_buffers(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let control = conn.control.as_ref().map_or(0, |control| control.bytes.capacity());
        let in_progress = conn.in_progress.as_ref().map_or(0, |request| request.held_bytes());
        let held =
            control + conn.readies.held_bytes() + conn.sink.held_bytes() + in_progress + self.awaiting.held_bytes(id);
        let bytes = if conn.gone { 0 } else { held as u64 };
        let old = std::mem::replace(&mut conn.buffered_bytes, bytes as u32);
        if bytes == u64::from(old) {
            return;
        }
        if conn.counts_as_leaving {
            self.engine.budget.buffers_leaving.change(old.into(), bytes);
        }
        self.engine.budget.buffers.change(old.into(), bytes);
        if class(bytes) != class(old.into()) {
            self.file(id, SharedSum::Buffers);
        }
    }

    /// Files a connection by what it now holds.
    pub(super) fn file(&mut self, id: ConnId, sum: SharedSum) {
        let conn = &mut self.conns[id];
        let bytes = held(conn, sum);
        let class = if bytes < FILED_BYTES_MIN { 0 } else { class(bytes) };
        let old = std::mem::replace(&mut conn.filed[sum as usize], class as u8);
        if u32::from(old) == class {
            return;
        }
        let filed = &mut self.payers.filed[sum as usize];
        if old > 0 {
            filed.remove(&(old.into(), id));
        }
        if class > 0 {
            filed.insert((class, id));
        }
    }

    /// Counts what a closing connection still holds as leaving.
    pub(super) fn count_as_leaving(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.counts_as_leaving = true;
        self.engine.budget.buffers_leaving.add(conn.buffered_bytes.into());
        if let Some((frame, _)) = conn.carry.as_deref() {
            let frame = frame.clone();
            self.payers.change_holders(&frame, &self.engine.budget, &self.stats, |held| held.leaving += 1);
        }
        self.count_buffers(id);
    }

    /// Removes a connection that is gone and holds nothing any more.
    pub(super) fn forget_payer(&mut self, id: ConnId) {
        self.set_carry(id, None);
        self.count_buffers(id);
        SharedSum::ALL.into_iter().for_each(|sum| self.file(id, sum));
    }

    /// Whether a connection with `wants` wants, of which `to_come` are still to be created, has to pay without further
    /// ado: with these the sum would be exceeded, and no connection has twice as much. Then the exact largest need not
    /// be determined. If many connections fall out of step together, creating all wants of each, only to drop those of
    /// others, would take longer than the delivery they are meant for.
    pub(super) fn must_pay(&self, wants: usize, to_come: usize) -> bool {
        let class = class(wants as u64 * WANT_BYTES) + 1;
        let most = self.payers.filed[SharedSum::Wants as usize].last().map_or(0, |(class, _)| *class);
        self.exceeds_with(SharedSum::Wants, to_come as u64 * WANT_BYTES)
            && class >= most
            && !self.engine.largest.is_larger_elsewhere(SharedSum::Wants, self.index, class)
    }

    /// Decides to close a connection that wants too much. Nothing is delivered to it any more, and it is closed before
    /// the round is over.
    pub(super) fn overdraw(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        conn.closing = Closing::Due;
        conn.in_progress = None;
        conn.readies = Default::default();
        self.discard_pending(id);
        self.departures.overdrawn.push(id);
    }

    fn close_overdrawn(&mut self, now: Now) {
        while let Some(id) = self.departures.overdrawn.pop() {
            // It may be gone, and its number reused.
            if let Some(conn) = self.conns.get_mut(id)
                && conn.closing == Closing::Due
            {
                conn.closing = Closing::No;
                self.stats.paid.add(1);
                self.close(now, id, CloseReason::Slow, SharedSum::Wants.text());
            }
        }
    }

    /// Closes the connections that hold most of an exceeded sum, until it is no longer exceeded or another shard holds
    /// more.
    pub(super) fn settle_budgets(&mut self, now: Now) {
        self.close_overdrawn(now);
        for sum in SharedSum::ALL {
            if self.exceeds(sum) {
                if sum == SharedSum::Wants {
                    self.engine.budget.fit_ended(self.engine.limits.behind_bytes_max());
                }
                while self.exceeds(sum) && self.pay(now, sum) {}
            }
            self.drop_leaving(sum);
            let largest = self.payers.filed[sum as usize].last().map_or(0, |(class, _)| *class);
            self.engine.largest.set(sum, self.index, largest);
        }
    }

    fn exceeds(&self, sum: SharedSum) -> bool {
        self.exceeds_with(sum, 0)
    }

    /// Whether a sum would be exceeded with `more` bytes.
    fn exceeds_with(&self, sum: SharedSum, more: u64) -> bool {
        let budget = &self.engine.budget;
        sum.bytes(budget).saturating_sub(sum.leaving(budget)) + more > sum.bytes_max(&self.engine.limits)
    }

    /// Closes the connection that holds most. Returns false if none of this shard can be closed, or another shard's
    /// holds more.
    fn pay(&mut self, now: Now, sum: SharedSum) -> bool {
        let Some((filed, id)) = self.payers.filed[sum as usize].last().copied() else { return false };
        self.file(id, sum);
        if self.payers.filed[sum as usize].last() != Some(&(filed, id)) {
            return true;
        }
        if self.engine.largest.is_larger_elsewhere(sum, self.index, filed) {
            self.engine.largest.each_larger(sum, self.index, filed, |other| self.engine.feed.wake(other).wake());
            return false;
        }
        self.payers.filed[sum as usize].remove(&(filed, id));
        let conn = &mut self.conns[id];
        conn.filed[sum as usize] = 0;
        if conn.gone || conn.closing != Closing::No {
            return true;
        }
        let session = conn.session;
        if sum == SharedSum::Buffers
            && let Some(control) = &mut conn.control
        {
            control.drop_unsent();
        }
        self.stats.paid.add(1);
        self.close(now, id, CloseReason::Slow, sum.text());
        if sum != SharedSum::Wants {
            self.payers.leaving[sum as usize].push_back((id, session));
        }
        true
    }

    /// Drops closing connections. They have a moment to take the rest of what they hold and their close frame, unless
    /// the sum is exceeded by a quarter with that: then the first of them are dropped.
    fn drop_leaving(&mut self, sum: SharedSum) {
        let max = sum.bytes_max(&self.engine.limits);
        while sum.bytes(&self.engine.budget) > max + max / 4
            && let Some((id, session)) = self.payers.leaving[sum as usize].pop_front()
        {
            if self.conns.get(id).is_some_and(|conn| conn.session == session) {
                self.disconnect(id);
            }
        }
        // Those that have left by themselves are forgotten.
        while let Some((id, session)) = self.payers.leaving[sum as usize].front().copied()
            && self.conns.get(id).is_none_or(|conn| conn.gone || conn.session != session)
        {
            self.payers.leaving[sum as usize].pop_front();
        }
    }
}

/// What a connection holds of a sum, in bytes.
fn held<S: Sink>(conn: &Conn<S>, sum: SharedSum) -> u64 {
    match sum {
        SharedSum::Wants => conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.wants.len() as u64 * WANT_BYTES),
        SharedSum::Partial => conn.carry.as_deref().map_or(0, |(frame, _)| frame.len() as u64),
        SharedSum::Buffers => conn.buffered_bytes.into(),
    }
}
