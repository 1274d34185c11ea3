//! A budget of work: what one round of a shard may do in addition to delivering what is ready.
//!
//! Every kind of request draws from it, in steps of about a tenth of a microsecond: parsing, publishing, counting,
//! making and leaving subscriptions, walks, images. When it is spent, work stops where possible and continues in a
//! later round, after what is ready has been delivered. So a client with expensive requests does not hold up those
//! without.
//!
//! A round has three parts with the same amount of work each: taking in and delivering, requests, and what is due by
//! time. A request that cannot be divided may take more than its part: then the requests of the next rounds have that
//! much less, and deliveries catch up.

use std::cell::Cell;

/// Bytes that are parsed or encoded in one step.
const BYTES_PER_STEP: usize = 64;

/// The maximum that requests may owe, in rounds; the rest is forgiven.
const ROUNDS_OWED_MAX: usize = 64;

/// The work that is left in a round.
#[derive(Debug)]
pub(crate) struct Work {
    steps: usize,
    left: Cell<usize>,
    /// By how much more was done than was left.
    over: Cell<usize>,
    /// What requests took in excess and still have to give back.
    owed: Cell<usize>,
    /// All that was ever done.
    done: Cell<u64>,
}

impl Work {
    /// Creates a budget of `steps` steps per part of a round.
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps, left: Cell::new(steps), over: Cell::new(0), owed: Cell::new(0), done: Cell::new(0) }
    }

    /// Begins a part of a round that is not for requests.
    pub(crate) fn renew(&self) {
        self.left.set(self.steps);
        self.over.set(0);
    }

    /// Begins the part of a round in which requests are executed.
    pub(crate) fn begin_requests(&self) {
        let owed = self.owed.get();
        self.owed.set(owed.saturating_sub(self.steps));
        self.left.set(self.steps.saturating_sub(owed));
        self.over.set(0);
    }

    /// Ends that part.
    pub(crate) fn end_requests(&self) {
        let owed = self.owed.get() + self.over.get();
        self.owed.set(owed.min(self.steps * ROUNDS_OWED_MAX));
        self.renew();
    }

    /// Charges work that was done. What cannot be divided may cost more than is left.
    pub(crate) fn charge(&self, steps: usize) {
        self.done.set(self.done.get() + steps as u64);
        let left = self.left.get();
        self.left.set(left.saturating_sub(steps));
        self.over.set(self.over.get() + steps.saturating_sub(left));
    }

    /// Charges bytes that were parsed or encoded.
    pub(crate) fn charge_bytes(&self, bytes: usize) {
        self.charge(bytes / BYTES_PER_STEP + 1);
    }

    /// Returns the steps of all work that was ever done.
    pub(crate) fn done(&self) -> u64 {
        self.done.get()
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}
