//! A budget of work: what may be done in one round of a shard beside delivering what is ready.
//!
//! Every kind of request draws from it, in steps of about a tenth of a microsecond: parsing, publishing, counting, making
//! and leaving subscriptions, walks, images. Whoever finds it spent stops where that is possible and goes on in a later
//! round, after what is ready has been delivered. So nobody who asks for much holds up those who asked for nothing.

use std::cell::Cell;

/// Bytes that are parsed or encoded in a step.
const BYTES_PER_STEP: usize = 64;

/// What is left of a round's work.
#[derive(Debug)]
pub(crate) struct Work {
    steps: usize,
    left: Cell<usize>,
}

impl Work {
    /// So many steps a round.
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps, left: Cell::new(steps) }
    }

    /// A round begins.
    pub(crate) fn renew(&self) {
        self.left.set(self.steps);
    }

    /// Something was done. What cannot be cut may cost more than is left.
    pub(crate) fn charge(&self, steps: usize) {
        self.left.set(self.left.get().saturating_sub(steps));
    }

    /// So many bytes were parsed or encoded.
    pub(crate) fn charge_bytes(&self, bytes: usize) {
        self.charge(bytes / BYTES_PER_STEP + 1);
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}
