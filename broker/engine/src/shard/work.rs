//! A budget of work: what may be done in one round of a shard beside delivering what is ready.
//!
//! Every kind of request draws from it, in steps of about a tenth of a microsecond: parsing, publishing, counting, making
//! and leaving subscriptions, walks, images. Whoever finds it spent stops where that is possible and goes on in a later
//! round, after what is ready has been delivered. So nobody who asks for much holds up those who asked for nothing.
//!
//! A round has three parts with as much work each: taking in and delivering, requests, and what time brings. A request that
//! cannot be cut may take more than its part: then the requests of the next rounds have that much less, and deliveries
//! catch up.

use std::cell::Cell;

/// Bytes that are parsed or encoded in a step.
const BYTES_PER_STEP: usize = 64;

/// What requests may take too much, in rounds: more than that is forgiven.
const ROUNDS_OWED_MAX: usize = 64;

/// What is left of a round's work.
#[derive(Debug)]
pub(crate) struct Work {
    steps: usize,
    left: Cell<usize>,
    /// By how much more was done than was left.
    over: Cell<usize>,
    /// What requests have taken too much, and give back.
    owed: Cell<usize>,
}

impl Work {
    /// So many steps a round.
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps, left: Cell::new(steps), over: Cell::new(0), owed: Cell::new(0) }
    }

    /// A part of a round begins that is not about requests.
    pub(crate) fn renew(&self) {
        self.left.set(self.steps);
        self.over.set(0);
    }

    /// The part of a round begins in which requests are done.
    pub(crate) fn begin_requests(&self) {
        let owed = self.owed.get();
        self.owed.set(owed.saturating_sub(self.steps));
        self.left.set(self.steps.saturating_sub(owed));
        self.over.set(0);
    }

    /// That part is over.
    pub(crate) fn end_requests(&self) {
        let owed = self.owed.get() + self.over.get();
        self.owed.set(owed.min(self.steps * ROUNDS_OWED_MAX));
        self.renew();
    }

    /// Something was done. What cannot be cut may cost more than is left.
    pub(crate) fn charge(&self, steps: usize) {
        let left = self.left.get();
        self.left.set(left.saturating_sub(steps));
        self.over.set(self.over.get() + steps.saturating_sub(left));
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
