//! Measurements: schedules, histograms, counts, and the resources of processes.

mod histogram;
pub(crate) mod process;
mod schedule;
pub(crate) mod tally;
pub(crate) mod timing;

pub(crate) use histogram::{coarse, latencies};
pub(crate) use schedule::Schedule;
