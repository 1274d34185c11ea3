//! The sums of memory that connections share, and the setting that bounds each.

use super::Budget;
use crate::in_force::InForce;

/// A sum that connections share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedSum {
    /// What they still want from topics.
    Wants,
    /// Frames of which they hold the unsent rest.
    Partial,
    /// Unread answers, incomplete messages, unsent Server-Sent Events.
    Buffers,
}

/// How many sums there are.
pub(crate) const SHARED_SUMS: usize = 3;

impl SharedSum {
    pub(crate) const ALL: [SharedSum; SHARED_SUMS] = [SharedSum::Wants, SharedSum::Partial, SharedSum::Buffers];

    pub(crate) fn bytes(self, budget: &Budget) -> u64 {
        match self {
            SharedSum::Wants => budget.behind(),
            SharedSum::Partial => budget.partial(),
            SharedSum::Buffers => budget.buffers(),
        }
    }

    /// How much of it is already being dropped, or is held by closing connections: it will soon be free, and nobody
    /// else has to pay for it.
    pub(crate) fn leaving(self, budget: &Budget) -> u64 {
        match self {
            SharedSum::Wants => budget.discarded.bytes(),
            SharedSum::Partial => budget.partial_leaving.bytes(),
            SharedSum::Buffers => budget.buffers_leaving.bytes(),
        }
    }

    pub(crate) fn bytes_max(self, limits: &InForce) -> u64 {
        match self {
            SharedSum::Wants => limits.behind_bytes_max(),
            SharedSum::Partial => limits.images_partial_bytes_max(),
            SharedSum::Buffers => limits.buffers_bytes_max(),
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            SharedSum::Wants => "slow: budget of behind_bytes_max",
            SharedSum::Partial => "slow: budget of images_partial_bytes_max",
            SharedSum::Buffers => "slow: budget of buffers_bytes_max",
        }
    }
}
