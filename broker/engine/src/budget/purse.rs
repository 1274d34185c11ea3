//! The sums of memory that connections share, and the setting that bounds each.

use super::Budget;
use crate::limits::Limits;

/// A sum that connections share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purse {
    /// What they still want from topics.
    Wants,
    /// Frames of which they hold the unsent rest.
    Partial,
    /// Unread answers, incomplete messages, unsent Server-Sent Events.
    Buffers,
}

/// How many sums there are.
pub(crate) const PURSES: usize = 3;

impl Purse {
    pub(crate) const ALL: [Purse; PURSES] = [Purse::Wants, Purse::Partial, Purse::Buffers];

    pub(crate) fn bytes(self, budget: &Budget) -> u64 {
        match self {
            Purse::Wants => budget.behind(),
            Purse::Partial => budget.partial(),
            Purse::Buffers => budget.buffers(),
        }
    }

    /// How much of it is already being dropped, or is held by closing connections: it will soon be free, and nobody
    /// else has to pay for it.
    pub(crate) fn leaving(self, budget: &Budget) -> u64 {
        match self {
            Purse::Wants => budget.discarded.bytes(),
            Purse::Partial => budget.partial_leaving.bytes(),
            Purse::Buffers => budget.buffers_leaving.bytes(),
        }
    }

    pub(crate) fn bytes_max(self, limits: &Limits) -> u64 {
        match self {
            Purse::Wants => limits.behind_bytes_max,
            Purse::Partial => limits.images_partial_bytes_max,
            Purse::Buffers => limits.buffers_bytes_max,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Purse::Wants => "slow: budget of behind_bytes_max",
            Purse::Partial => "slow: budget of images_partial_bytes_max",
            Purse::Buffers => "slow: budget of buffers_bytes_max",
        }
    }
}
