//! Faults as real feeds have them, laid over any feed: what a consumer has to cope with, on demand and counted.
//!
//! An adapter over a [`Feed`](crate::publication::Feed), simulated or replayed. Each kind of fault draws from a stream of
//! its own of one seed, so that the same seed injects the same faults, and one kind more does not move the others.
//!
//! ```text
//! feed ─▶ silence, gap ─▶ reorder ─▶ duplicate, malformed, correction ─▶ burst, clock ─▶ schedule
//!          left out        held back   added behind the update            when it is due, and what the source's clock says
//! ```
//!
//! Invariants worth naming:
//! - `due_us` never goes back, whatever is injected.
//! - [`FaultCounts::made`] is exactly what comes out in the end, and [`FaultCounts::waiting`] what has not come out yet.
//! - Nothing is held without a bound: what is held back for reordering is bounded by the distance, and corrections that
//!   wait by [`CORRECTIONS_WAITING_MAX`](injector::CORRECTIONS_WAITING_MAX).

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
    /// Injects `faults` into the topics that `topics` matches (`None`: all). The error says what cannot be together.
    pub fn new(faults: Vec<Fault>, topics: Option<Pattern>, seed: u64) -> Result<Plan, String> {
        for (index, fault) in faults.iter().enumerate() {
            if faults[..index].iter().any(|earlier| earlier.name() == fault.name()) {
                return Err(format!("the fault \"{}\" is there twice", fault.name()));
            }
        }
        if faults.is_empty() && topics.is_some() {
            return Err("there are topics for faults, but no fault (`feed-sim faults` lists them)".to_owned());
        }
        Ok(Plan { faults, topics, seed })
    }

    /// No fault at all.
    pub fn none() -> Plan {
        Plan { faults: Vec::new(), topics: None, seed: 0 }
    }
}
