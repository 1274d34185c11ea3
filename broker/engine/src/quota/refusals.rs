//! How often quotas refused something, and whether they only count.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Quota;

/// The counts, and the mode. Counted only when something is refused, so any thread may.
#[derive(Debug, Default)]
pub struct Refusals {
    dry_run: AtomicBool,
    refused: [[AtomicU64; Quota::ALL.len()]; 2],
}

impl Refusals {
    /// Counts only, and refuses nothing, if this is a `dry_run`.
    pub fn new(dry_run: bool) -> Refusals {
        Refusals { dry_run: dry_run.into(), ..Refusals::default() }
    }

    /// Says whether from now on this is a dry run.
    pub fn change(&self, dry_run: bool) {
        self.dry_run.store(dry_run, Ordering::Relaxed);
    }

    /// Counts something that exceeds a quota. Returns whether it is refused.
    pub fn refuses(&self, quota: Quota) -> bool {
        let dry_run = self.dry_run.load(Ordering::Relaxed);
        self.refused[usize::from(dry_run)][quota as usize].fetch_add(1, Ordering::Relaxed);
        !dry_run
    }

    /// Returns how much a quota refused since the start, or would have in dry runs.
    pub fn count(&self, quota: Quota, dry_run: bool) -> u64 {
        self.refused[usize::from(dry_run)][quota as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_has_a_count_of_its_own() {
        let (real, dry) = (Refusals::new(false), Refusals::new(true));
        for (index, quota) in Quota::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                assert!(real.refuses(quota) && !dry.refuses(quota));
            }
        }
        for (index, quota) in Quota::ALL.into_iter().enumerate() {
            let count = index as u64 + 1;
            assert_eq!([real.count(quota, false), real.count(quota, true)], [count, 0], "{quota:?}");
            assert_eq!([dry.count(quota, false), dry.count(quota, true)], [0, count], "{quota:?}");
        }
    }
}
