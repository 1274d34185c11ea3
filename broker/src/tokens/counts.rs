//! How many tokens were taken and refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker_identity::{BadToken, Identity};

/// Counters since the start, which any thread adds to.
#[derive(Debug, Default)]
pub struct Counts {
    taken: AtomicU64,
    unknown_roles: AtomicU64,
    refused: [AtomicU64; BadToken::LABELS.len()],
    fetched: AtomicU64,
    fetch_failed: AtomicU64,
}

impl Counts {
    pub(super) fn count(&self, result: &Result<Arc<Identity>, BadToken>) {
        match result {
            Ok(identity) => {
                self.taken.fetch_add(1, Ordering::Relaxed);
                self.unknown_roles.fetch_add(identity.unknown_roles as u64, Ordering::Relaxed);
            }
            Err(bad) => {
                let label = BadToken::LABELS.iter().position(|label| *label == bad.label());
                label.map(|index| self.refused[index].fetch_add(1, Ordering::Relaxed));
            }
        }
    }

    pub(super) fn count_fetch(&self, good: bool) {
        if good { &self.fetched } else { &self.fetch_failed }.fetch_add(1, Ordering::Relaxed);
    }

    /// Tokens that were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Roles that tokens named and that do not exist.
    pub fn unknown_roles(&self) -> u64 {
        self.unknown_roles.load(Ordering::Relaxed)
    }

    /// Tokens that were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        BadToken::LABELS.into_iter().zip(&self.refused).map(|(label, count)| (label, count.load(Ordering::Relaxed)))
    }

    /// Fetches of keys, by their result.
    pub fn fetches(&self) -> [(&'static str, u64); 2] {
        [("ok", self.fetched.load(Ordering::Relaxed)), ("failed", self.fetch_failed.load(Ordering::Relaxed))]
    }
}
