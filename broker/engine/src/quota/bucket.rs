//! What is left of a rate.
//!
//! A [`Bucket`] is eight bytes: the generic cell rate algorithm (ITU-T I.371, §A.2) needs only the time at which it will
//! be full again. It holds some seconds' worth of units, and fills at the rate.

use crate::clock::Now;

/// How many seconds' worth of units may be used at once.
const BURST_S: u64 = 4;
/// The same for new connections of an address.
const CONNECTS_BURST_S: u64 = 10;

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// So many units a second, and so many seconds' worth of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_s: u64,
    burst_s: u64,
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

    /// The time in which this many units flow in, in ns. It is rounded down, so that nobody has less than was granted; even
    /// at ten million a second it is not a hundredth more.
    fn ns(self, units: u64) -> u64 {
        (u128::from(units) * u128::from(NS_PER_S) / u128::from(self.per_s)).try_into().unwrap_or(u64::MAX)
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

/// There is not enough now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// When there will be, in milliseconds from now, at least 1.
    pub ms: u64,
}

impl Bucket {
    /// Takes so many units. More than the bucket ever holds are taken when it is full, and it owes the rest.
    ///
    /// # Errors
    /// There are not enough; then nothing is taken.
    pub fn take(&mut self, now: Now, rate: Rate, units: u64) -> Result<(), Wait> {
        match self.wait(now, rate, units) {
            Some(wait) => Err(wait),
            None => {
                self.full_ns = self.full_ns.max(ns(now)).saturating_add(rate.ns(units));
                Ok(())
            }
        }
    }

    /// Returns how long it takes until so many units can be taken; `None` if they can be now.
    pub fn wait(&self, now: Now, rate: Rate, units: u64) -> Option<Wait> {
        let needed_ns = rate.ns(units).min(rate.burst_ns());
        let missing_ns = self.full_ns.saturating_add(needed_ns).saturating_sub(ns(now).saturating_add(rate.burst_ns()));
        (missing_ns > 0).then(|| Wait { ms: missing_ns.div_ceil(NS_PER_MS) })
    }

    /// Takes so many units, or all that there are: what is never refused empties the bucket, and never makes it owe.
    pub fn drain(&mut self, now: Now, rate: Rate, units: u64) {
        let now_ns = ns(now);
        let drained_ns = self.full_ns.max(now_ns).saturating_add(rate.ns(units));
        self.full_ns = self.full_ns.max(drained_ns.min(now_ns.saturating_add(rate.burst_ns())));
    }
}

/// The time in nanoseconds: 584 years fit.
fn ns(now: Now) -> u64 {
    now.mono_us.saturating_mul(1000)
}

#[cfg(test)]
mod tests;
