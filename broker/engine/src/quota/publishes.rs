//! The two quotas of publishing count together: an update is taken if both its number and its bytes fit.

use super::{Bucket, Quota, Rate, Rates, Wait};
use crate::clock::Now;
use crate::sync::{Mutex, lock};

/// What is left of the two rates of publishing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Publishes {
    updates: Bucket,
    bytes: Bucket,
}

/// What does not fit, and when it will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// The quota.
    pub quota: Quota,
    /// When it will fit.
    pub wait: Wait,
}

impl Publishes {
    /// Takes updates with so many bytes of data together.
    ///
    /// # Errors
    /// One of the two quotas is used up, or both; then the one that takes longer is named, and nothing is taken.
    pub fn take(&mut self, now: Now, rates: &Rates, updates: u64, bytes: u64) -> Result<(), Unfit> {
        if let Some(unfit) = self.wait(now, rates, updates, bytes) {
            return Err(unfit);
        }
        // Both fit, as was just seen.
        let _ = Rate::of(rates.publishes.into()).map(|rate| self.updates.take(now, rate, updates));
        let _ = Rate::of(rates.publish_bytes).map(|rate| self.bytes.take(now, rate, bytes));
        Ok(())
    }

    /// Returns what keeps them from being taken now.
    pub fn wait(&self, now: Now, rates: &Rates, updates: u64, bytes: u64) -> Option<Unfit> {
        let updates = Rate::of(rates.publishes.into()).and_then(|rate| self.updates.wait(now, rate, updates));
        let bytes = Rate::of(rates.publish_bytes).and_then(|rate| self.bytes.wait(now, rate, bytes));
        let updates = updates.map(|wait| Unfit { quota: Quota::Publishes, wait });
        let bytes = bytes.map(|wait| Unfit { quota: Quota::PublishBytes, wait });
        updates.into_iter().chain(bytes).max_by_key(|unfit| unfit.wait)
    }
}

/// What a user has left, for all of the user's connections, whichever threads they are on.
#[derive(Debug, Default)]
pub struct SharedPublishes(Mutex<Publishes>);

impl SharedPublishes {
    /// Takes updates with so many bytes of data together.
    ///
    /// # Errors
    /// As [`Publishes::take`].
    pub fn take(&self, now: Now, rates: &Rates, updates: u64, bytes: u64) -> Result<(), Unfit> {
        lock(&self.0).take(now, rates, updates, bytes)
    }

    /// Returns what keeps them from being taken now.
    pub fn wait(&self, now: Now, rates: &Rates, updates: u64, bytes: u64) -> Option<Unfit> {
        lock(&self.0).wait(now, rates, updates, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono_us: 1_000_000, wall_us: 0 };

    #[test]
    fn both_have_to_fit() {
        let rates = Rates { publishes: 1, publish_bytes: 100, ..Rates::default() };
        let shared = SharedPublishes::default();
        shared.take(NOW, &rates, 1, 390).unwrap();
        // Too many bytes take nothing of the updates.
        for _ in 0..10 {
            let unfit = shared.take(NOW, &rates, 1, 20).unwrap_err();
            assert_eq!(unfit, Unfit { quota: Quota::PublishBytes, wait: Wait { ms: 100 } });
        }
        (0..3).for_each(|_| shared.take(NOW, &rates, 1, 3).unwrap());
        assert_eq!(shared.wait(NOW, &rates, 1, 1), Some(Unfit { quota: Quota::Publishes, wait: Wait { ms: 1000 } }));
        // Of two that do not fit, the one that takes longer counts.
        assert_eq!(shared.take(NOW, &rates, 1, 400).unwrap_err().quota, Quota::PublishBytes);
        // No rate is no bound.
        shared.take(NOW, &Rates::default(), 1_000_000, u64::MAX).unwrap();
    }
}
