//! The figures of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::load::Ledger;

/// What happened, and how long nobody could publish then.
pub(crate) struct Report {
    version: String,
    begin: Instant,
    pauses: Vec<(String, Duration)>,
}

impl Report {
    pub(crate) fn new(version: &str) -> Self {
        Self { version: version.to_owned(), begin: Instant::now(), pauses: Vec::new() }
    }

    /// Something happened, and for so long nobody got an answer.
    pub(crate) fn add(&mut self, what: String, pause: Duration) {
        self.pauses.push((what, pause));
    }

    /// Prints all of it. The test has not failed, so nothing was lost, doubled, reordered or begun anew.
    pub(crate) fn print(&self, ledger: &Ledger, updates: u64, further: &str) {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        println!(
            "nats-server {}: {} blows in {:.1?}; {updates} updates, {} answers, {} of them duplicates, {} unavailable, {} \
             connections lost; lost, doubled, reordered or reset: 0; {further}",
            self.version,
            self.pauses.len(),
            self.begin.elapsed(),
            count(&ledger.answered),
            count(&ledger.duplicates),
            count(&ledger.unavailable),
            count(&ledger.reconnects),
        );
        for (what, times) in [("subscribers", &ledger.resumed), ("producers", &ledger.published)] {
            let mut times = times.lock().unwrap().clone();
            times.sort();
            if let (Some(median), Some(most)) = (times.get(times.len() / 2), times.last()) {
                println!(
                    "  {what} were served again {} times, after {median:.1?} in the median, {most:.1?} at most",
                    times.len()
                );
            }
        }
        for (what, pause) in &self.pauses {
            println!("  {what}: nobody was answered for {pause:.1?}");
        }
    }
}
