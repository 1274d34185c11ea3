//! The quotas of publishing, which count together: an update is taken if both its number and its bytes fit.

use std::fmt;

use super::{Bucket, Rate, Rates, Wait};
use crate::clock::Now;
use crate::sync::{Mutex, lock};

/// What is left of the two rates of publishing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publishes {
    updates: Bucket,
    bytes: Bucket,
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// `publishes_per_s`
    Updates(Wait),
    /// `publish_bytes_per_s`
    Bytes(Wait),
}

impl Publishes {
    /// Takes updates with so many bytes of data.
    ///
    /// # Errors
    /// One of the two is used up; then nothing is taken. If both are, it is the one that takes longer.
    pub fn take(&mut self, now: Now, rates: &Rates, updates: u64, bytes: u64) -> Result<(), Over> {
        if let Some(over) = self.over(now, rates, updates, bytes) {
            return Err(over);
        }
        for (bucket, rate, units) in self.both(rates, updates, bytes) {
            // Both fit, as was just seen.
            let _ = rate.map(|rate| bucket.take(now, rate, units));
        }
        Ok(())
    }
}
