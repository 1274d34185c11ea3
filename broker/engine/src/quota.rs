//! Quotas: how much of something a client may do in a second.
//!
//! A [`Bucket`] is eight bytes: the generic cell rate algorithm (ITU-T I.371, §A.2) needs only the time at which it will
//! be full again. It holds some seconds' worth of units, and fills at the rate. Time is an argument, as everywhere in
//! the engine.

mod publishes;

pub use self::publishes::{Publishes, Shared};

use crate::clock::Now;

/// How many seconds' worth of units a client may use at once.
const BURST_S: u64 = 4;
/// The same for new connections of an address.
const CONNECTS_BURST_S: u64 = 10;

const NS_PER_S: u64 = 1_000_000_000;

/// What is granted: so many units a second, and so many seconds' worth of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_s: u64,
    burst_s: u64,
}

/// What a client may do in a second. 0 is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests of a connection.
    pub requests: u32,
    /// Entries of its subscriptions.
    pub subscribes: u32,
    /// Updates published.
    pub publishes: u32,
    /// Bytes of their data.
    pub publish_bytes: u64,
}

impl Rates {
    /// Whether there is any bound.
    pub fn any(&self) -> bool {
        *self != Rates::default()
    }
}

impl Rate {
    /// A rate of requests, entries, updates or bytes; `None` where 0 means no bound.
    pub fn of(per_s: u64) -> Option<Rate> {
        (per_s > 0).then_some(Rate { per_s, burst_s: BURST_S })
    }

    /// A rate of new connections; `None` where 0 means no bound.
    pub fn of_connects(per_s: u64) -> Option<Rate> {
        (per_s > 0).then_some(Rate { per_s, burst_s: CONNECTS_BURST_S })
    }

    /// The time in which this many units flow in, in ns, rounded up.
    fn ns(self, units: u64) -> u64 {
        (u128::from(units) * u128::from(NS_PER_S)).div_ceil(self.per_s.into()).try_into().unwrap_or(u64::MAX)
    }

    fn burst_ns(self) -> u64 {
        self.burst_s * NS_PER_S
    }
}

/// What is left of a rate. A new one is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it will be full, on the monotonic clock in ns.
    full_ns: u64,
}

/// There is not enough in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When to try again, in milliseconds from now, at least 1.
    pub ms: u64,
}

impl Bucket {
    /// Takes so many units. More than the bucket ever holds are taken when it is full, and it owes the rest.
    ///
    /// # Errors
    /// There are not enough; then nothing is taken.
    pub fn take(&mut self, now: Now, rate: Rate, units: u64) -> Result<(), Wait> {
        let ns = self.missing_ns(now, rate, units);
        if ns > 0 {
            return Err(Wait::of_ns(ns));
        }
        self.full_ns = self.full_ns.max(now_ns(now)).saturating_add(rate.ns(units));
        Ok(())
    }

    /// Returns how long it takes until so many units can be taken; `None` if they can be now.
    pub fn wait(&self, now: Now, rate: Rate, units: u64) -> Option<Wait> {
        Some(self.missing_ns(now, rate, units)).filter(|ns| *ns > 0).map(Wait::of_ns)
    }

    /// Takes up to so many units: what is never refused empties the bucket, and never makes it owe.
    pub fn drain(&mut self, now: Now, rate: Rate, units: u64) {
        let now_ns = now_ns(now);
        let drained_ns = self.full_ns.max(now_ns).saturating_add(rate.ns(units));
        self.full_ns = self.full_ns.max(drained_ns.min(now_ns + rate.burst_ns()));
    }

    /// Returns whether it is full.
    pub fn is_full(&self, now: Now) -> bool {
        self.full_ns <= now_ns(now)
    }

    fn missing_ns(&self, now: Now, rate: Rate, units: u64) -> u64 {
        let (now_ns, needed_ns) = (now_ns(now), rate.ns(units).min(rate.burst_ns()));
        self.full_ns.saturating_add(needed_ns).saturating_sub(now_ns.saturating_add(rate.burst_ns()))
    }
}

impl Wait {
    fn of_ns(ns: u64) -> Wait {
        Wait { ms: ns.div_ceil(1_000_000) }
    }
}

fn now_ns(now: Now) -> u64 {
    now.mono_us.saturating_mul(1000)
}

#[cfg(test)]
mod tests;
