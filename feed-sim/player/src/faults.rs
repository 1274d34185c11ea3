//! Injects the faults of real feeds into any feed, on demand and counted, to test how a consumer copes with them.
//!
//! An adapter over a [`Feed`](crate::publication::Feed), simulated or replayed. Each kind of fault draws from a random
//! stream of its own of one seed, so that the same seed injects the same faults, and adding a kind does not move the
//! others.
//!
//! ```text
//! feed ─▶ silence, gap ─▶ reorder ─▶ duplicate, malformed, correction ─▶ burst, clock ─▶ schedule
//!          dropped         held back   added behind the update            change when it is due, and its `source_ts`
//! ```
//!
//! Invariants worth naming:
//! - `due_us` never goes back, whatever is injected.
//! - [`FaultCounts::made`] is exactly the number of updates that come out in the end, and [`FaultCounts::waiting`] the
//!   number that has not come out yet.
//! - Nothing is held without a bound: updates held back for reordering are bounded by the distance, and waiting
//!   corrections by [`CORRECTIONS_WAITING_MAX`](injector::CORRECTIONS_WAITING_MAX).

mod corrections;
mod counts;
mod fault;
mod injector;
mod malformed;
mod timing;

pub use counts::FaultCounts;
pub use fault::{Fault, KINDS, KindOfFault};
pub use injector::{CORRECTIONS_WAITING_MAX, Faulty, SILENT_TOPICS_MAX};

use broker_protocol::Pattern;

/// Which faults are injected, where, and from what seed.
#[derive(Debug, Clone)]
pub struct Plan {
    faults: Vec<Fault>,
    topics: Option<Pattern>,
    seed: u64,
}

impl Plan {
    /// Makes a plan that injects `faults` into the topics that `topics` matches (`None`: all). The error says which
    /// options cannot be combined.
    pub fn new(faults: Vec<Fault>, topics: Option<Pattern>, seed: u64) -> Result<Plan, String> {
        for (index, fault) in faults.iter().enumerate() {
            if faults[..index].iter().any(|earlier| earlier.name() == fault.name()) {
                return Err(format!("the fault \"{}\" is given twice", fault.name()));
            }
        }
        if faults.is_empty() && topics.is_some() {
            return Err("topics for faults are given, but no fault (`feed-sim faults` lists them)".to_owned());
        }
        Ok(Plan { faults, topics, seed })
    }

    /// Makes a plan that injects nothing.
    pub fn none() -> Plan {
        Plan { faults: Vec::new(), topics: None, seed: 0 }
    }
}
