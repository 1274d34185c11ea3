//! What connections hold of the sums that all of them share, and who pays where one of the sums is exceeded: the connection
//! that holds most of it is closed, on whichever shard it is.
//!
//! Connections are filed by size class (powers of two), so that the one with the most is at hand: it is within a factor of
//! two of it. What a connection holds is looked at again before it has to pay.

use std::collections::{BTreeSet, HashMap, VecDeque};

use broker_protocol::codes::CloseReason;
use broker_protocol::frame::Frame;
use foldhash::fast::RandomState;

use super::catch_up::WANT_BYTES;
use super::connection::{Closing, Conn};
use super::{ConnId, Shard};
use crate::budget::{Budget, class};
use crate::clock::Now;
use crate::limits::Limits;
use crate::sink::Sink;

/// A sum that connections share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purse {
    /// What they still want from topics.
    Wants,
    /// Frames of which they hold the rest.
    Partial,
    /// Unread answers, incomplete messages, unsent events.
    Buffers,
}

/// How many sums there are.
pub(crate) const PURSES: usize = 3;

impl Purse {
    const ALL: [Purse; PURSES] = [Purse::Wants, Purse::Partial, Purse::Buffers];

    fn bytes(self, budget: &Budget) -> u64 {
        match self {
            // What is let go of already is as good as gone.
            Purse::Wants => budget.behind().saturating_sub(budget.discarded.bytes()),
            Purse::Partial => budget.partial(),
            Purse::Buffers => budget.buffers(),
        }
    }

    fn bytes_max(self, limits: &Limits) -> u64 {
        match self {
            Purse::Wants => limits.behind_bytes_max,
            Purse::Partial => limits.images_partial_bytes_max,
            Purse::Buffers => limits.buffers_bytes_max,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Purse::Wants => "slow: budget of behind_bytes_max",
            Purse::Partial => "slow: budget of images_partial_bytes_max",
            Purse::Buffers => "slow: budget of buffers_bytes_max",
        }
    }
}

/// Less than this is not filed: it is no great help.
const FILED_BYTES_MIN: u64 = 256;

/// The shard's connections by what they hold of each sum.
#[derive(Default)]
pub(super) struct Payers {
    filed: [BTreeSet<(u32, ConnId)>; PURSES],
    /// Connections that were told to go and still hold a frame: they go without further notice where that is not enough.
    leaving: VecDeque<(ConnId, u64)>,
    /// Frames that connections hold the rest of, by where they are in memory: however many hold one, it is there once.
    partial: HashMap<usize, (u32, u64), RandomState>,
}

impl Payers {
    /// Counts a connection more that holds the rest of a frame. Returns the bytes that this adds.
    fn hold(&mut self, frame: &Frame) -> u64 {
        let held = self.partial.entry(frame.bytes().as_ptr() as usize).or_insert((0, frame.len() as u64));
        held.0 += 1;
        if held.0 == 1 { held.1 } else { 0 }
    }

    /// Counts one less. Returns the bytes that are free then.
    fn let_go(&mut self, frame: &Frame) -> u64 {
        let key = frame.bytes().as_ptr() as usize;
        let Some(held) = self.partial.get_mut(&key) else { return 0 };
        held.0 -= 1;
        if held.0 > 0 {
            return 0;
        }
        self.partial.remove(&key).map_or(0, |held| held.1)
    }
}

impl<S: Sink> Shard<S> {
    /// Replaces the rest of a half-written frame that a connection holds.
    pub(super) fn set_carry(&mut self, id: ConnId, carry: Option<(Frame, u32)>) {
        let conn = &mut self.conns[id];
        if carry.is_none() && conn.carry.is_none() {
            return;
        }
        let budget = &self.engine.budget;
        if let Some((frame, _)) = &carry {
            let more = self.payers.hold(frame);
            budget.partial.add(more);
            self.stats.pinned_bytes.add(more);
        }
        if let Some((frame, _)) = &conn.carry {
            let less = self.payers.let_go(frame);
            budget.partial.sub(less);
            self.stats.pinned_bytes.sub(less);
        }
        conn.carry = carry;
        self.file(id, Purse::Partial);
    }

    /// What a connection buffers may have changed: it is counted anew.
    pub fn count_buffers(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let control = conn.control.as_ref().map_or(0, |control| control.bytes.capacity());
        let held = control + conn.readies.held_bytes() + conn.sink.held_bytes();
        let bytes = if conn.gone { 0 } else { held as u64 };
        let old = std::mem::replace(&mut conn.buffered_bytes, bytes as u32);
        if bytes == u64::from(old) {
            return;
        }
        self.engine.budget.buffers.change(old.into(), bytes);
        if class(bytes) != class(old.into()) {
            self.file(id, Purse::Buffers);
        }
    }

    /// Files a connection by what it holds now.
    pub(super) fn file(&mut self, id: ConnId, purse: Purse) {
        let conn = &mut self.conns[id];
        let bytes = held(conn, purse);
        let class = if bytes < FILED_BYTES_MIN { 0 } else { class(bytes) };
        let old = std::mem::replace(&mut conn.filed[purse as usize], class as u8);
        if u32::from(old) == class {
            return;
        }
        let filed = &mut self.payers.filed[purse as usize];
        if old > 0 {
            filed.remove(&(old.into(), id));
        }
        if class > 0 {
            filed.insert((class, id));
        }
    }

    /// A connection is gone, and holds nothing.
    pub(super) fn forget_payer(&mut self, id: ConnId) {
        self.set_carry(id, None);
        self.count_buffers(id);
        Purse::ALL.into_iter().for_each(|purse| self.file(id, purse));
    }

    /// Whether a connection that will have so many wants has to pay for all, as nobody has twice as much: then there is no
    /// need to find out which. Where many fall out of step together, making the wants of each, only to let go of others',
    /// would take longer than all that they are for.
    pub(super) fn must_pay(&self, wants: usize) -> bool {
        let class = class(wants as u64 * WANT_BYTES) + 1;
        let most = self.payers.filed[Purse::Wants as usize].last().map_or(0, |(class, _)| *class);
        self.exceeds(Purse::Wants)
            && class >= most
            && !self.engine.largest.is_larger_elsewhere(Purse::Wants, self.index, class)
    }

    /// What a connection wants is too much. Nothing is for it any more, and it is told so before the round is over.
    pub(super) fn overdraw(&mut self, id: ConnId) {
        self.conns[id].closing = Closing::Due;
        self.discard_pending(id);
        self.overdrawn.push(id);
    }

    fn close_overdrawn(&mut self, now: Now) {
        while let Some(id) = self.overdrawn.pop() {
            // It may be gone, and another have its number.
            if let Some(conn) = self.conns.get_mut(id)
                && conn.closing == Closing::Due
            {
                conn.closing = Closing::No;
                self.stats.paid.add(1);
                self.close(now, id, CloseReason::Slow, Purse::Wants.text());
            }
        }
    }

    /// Closes the connections that hold most of a sum that is exceeded, until it is not, or others hold more.
    pub(super) fn settle_budgets(&mut self, now: Now) {
        self.close_overdrawn(now);
        for purse in Purse::ALL {
            if !self.exceeds(purse) {
                if purse == Purse::Partial {
                    self.payers.leaving.clear();
                }
            } else {
                if purse == Purse::Wants {
                    self.engine.budget.fit_ended(self.engine.limits.behind_bytes_max);
                }
                while self.exceeds(purse) && self.pay(now, purse) {}
            }
            let largest = self.payers.filed[purse as usize].last().map_or(0, |(class, _)| *class);
            self.engine.largest.set(purse, self.index, largest);
        }
    }

    fn exceeds(&self, purse: Purse) -> bool {
        purse.bytes(&self.engine.budget) > purse.bytes_max(&self.engine.limits)
    }

    /// The connection with the most pays. False where none of this shard can, or another shard's has more.
    fn pay(&mut self, now: Now, purse: Purse) -> bool {
        let Some((filed, id)) = self.payers.filed[purse as usize].last().copied() else {
            return purse == Purse::Partial && self.drop_leaving();
        };
        self.file(id, purse);
        if self.payers.filed[purse as usize].last() != Some(&(filed, id)) {
            return true;
        }
        if self.engine.largest.is_larger_elsewhere(purse, self.index, filed) {
            self.engine.largest.each_larger(purse, self.index, filed, |other| self.engine.feed.wake(other).wake());
            return false;
        }
        self.payers.filed[purse as usize].remove(&(filed, id));
        let conn = &mut self.conns[id];
        conn.filed[purse as usize] = 0;
        if conn.gone || conn.closing != Closing::No {
            return true;
        }
        let session = conn.session;
        self.stats.paid.add(1);
        self.close(now, id, CloseReason::Slow, purse.text());
        if purse == Purse::Partial {
            self.payers.leaving.push_back((id, session));
            // It has a moment to take the rest and its close frame, unless even that is too much.
            let bytes_max = purse.bytes_max(&self.engine.limits);
            if purse.bytes(&self.engine.budget) > bytes_max + bytes_max / 4 {
                self.drop_leaving();
            }
        }
        true
    }

    /// Drops the connection that was first told to go. False where there is none.
    fn drop_leaving(&mut self) -> bool {
        let Some((id, session)) = self.payers.leaving.pop_front() else { return false };
        if self.conns.get(id).is_some_and(|conn| conn.session == session) {
            self.disconnect(id);
        }
        true
    }
}

/// What a connection holds of a sum.
fn held<S: Sink>(conn: &Conn<S>, purse: Purse) -> u64 {
    match purse {
        Purse::Wants => conn.catch_up.as_ref().map_or(0, |catch_up| catch_up.wants.len() as u64 * WANT_BYTES),
        Purse::Partial => conn.carry.as_ref().map_or(0, |(frame, _)| frame.len() as u64),
        Purse::Buffers => conn.buffered_bytes.into(),
    }
}
