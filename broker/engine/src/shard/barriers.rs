//! Barriers: entries that a shard sends through the journal's log for connections whose clients may be ahead of this
//! broker. When one is back, all that was in the log before it is applied here, so also what those clients have seen.
//!
//! ```text
//! coming ──send──▶ present ──it is back, or refused──▶ over ──▶ each connection goes on
//! ```
//!
//! One barrier is on its way at a time, for all that wait when it is sent. Who comes later may have seen what the log took
//! in behind it, and waits for the next one.

use std::collections::BTreeSet;

use super::ConnId;

/// The barriers of a shard.
#[derive(Default)]
pub(super) struct Barriers {
    coming: BTreeSet<ConnId>,
    present: BTreeSet<ConnId>,
    is_sent: bool,
    over: BTreeSet<ConnId>,
    /// Whether the barrier for which those waited is back.
    is_back: bool,
}

impl Barriers {
    /// A connection waits for a barrier that is not sent yet.
    pub(super) fn wait(&mut self, id: ConnId) {
        self.coming.insert(id);
    }

    /// Whether the next barrier may be sent.
    pub(super) fn may_send(&self) -> bool {
        !self.is_sent && self.over.is_empty()
    }

    /// Whether connections wait for a barrier that may be sent.
    pub(super) fn must_send(&self) -> bool {
        self.may_send() && !self.coming.is_empty()
    }

    /// The next barrier is sent.
    pub(super) fn sent(&mut self) {
        self.is_sent = true;
        self.present = std::mem::take(&mut self.coming);
    }

    /// The barrier is back, or the log does not take it.
    pub(super) fn returned(&mut self, is_back: bool) {
        (self.is_sent, self.is_back) = (false, is_back);
        self.over.append(&mut self.present);
    }

    /// Takes out a connection that goes on, and whether its barrier is back.
    pub(super) fn pop_over(&mut self) -> Option<(ConnId, bool)> {
        self.over.pop_first().map(|id| (id, self.is_back))
    }

    /// Whether connections go on.
    pub(super) fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// A connection is gone, or waits no longer.
    pub(super) fn remove(&mut self, id: ConnId) {
        for waiting in [&mut self.coming, &mut self.present, &mut self.over] {
            // Mostly none waits.
            if !waiting.is_empty() {
                waiting.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(barriers: &mut Barriers) -> Vec<(ConnId, bool)> {
        std::iter::from_fn(|| barriers.pop_over()).collect()
    }

    #[test]
    fn who_comes_later_waits_for_the_next() {
        let mut barriers = Barriers::default();
        assert!(barriers.may_send() && !barriers.must_send());
        [3, 1, 2].into_iter().for_each(|id| barriers.wait(id));
        assert!(barriers.must_send());
        barriers.sent();
        [4, 5].into_iter().for_each(|id| barriers.wait(id));
        assert!(!barriers.must_send(), "one at a time");
        barriers.remove(2);
        barriers.returned(true);
        assert!(barriers.has_over() && !barriers.must_send());
        assert_eq!(over(&mut barriers), [(1, true), (3, true)]);
        assert!(barriers.must_send());
        barriers.sent();
        barriers.remove(4);
        barriers.returned(false);
        assert_eq!(over(&mut barriers), [(5, false)]);
        assert!(barriers.may_send() && !barriers.must_send());
    }
}
