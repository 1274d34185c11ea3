//! What became of every update and every record.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::faults::FaultCounts;
use crate::publication::Counts;
use crate::schedule::{LATE_MS, Lag};

/// Exact counts of a run. `published` = `acknowledged` + `rejected` + `unanswered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The name of the target.
    pub target: String,
    /// Updates handed to the target.
    pub published: u64,
    /// Updates that the target took: the broker acknowledged them, or they were written.
    pub acknowledged: u64,
    /// Of the acknowledged, those that the broker already had (they were sent again after a reconnect).
    pub duplicates: u64,
    /// Updates that were refused, by code, each with the first reason that was given.
    pub rejected: BTreeMap<String, Rejected>,
    /// Updates whose fate is unknown: the run was stopped before their answer came, or the connection was lost before
    /// it and they are not sent again.
    pub unanswered: u64,
    /// Connections that replaced a lost one.
    pub reconnects: u64,
    /// Whole states that were sent again because the broker had lost them, or might have.
    pub states_again: StatesAgain,
    /// What was read.
    pub read: Counts,
    /// The faults that were injected, if some were requested.
    pub faults: Option<FaultCounts>,
    /// How late updates were.
    pub lag: Lag,
    /// From the first update to the last answer. In JSON `elapsed_ms`.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
}

/// How many updates were refused for a reason, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// How many.
    pub updates: u64,
    /// The topic of the first, and what the target said about it.
    pub first: String,
}

/// Whole states that were sent again, after a reconnect or a patch that the broker had no state for. They do not count
/// as updates of the feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StatesAgain {
    /// Topics, each as often as its state was sent again.
    pub sent: u64,
    /// Of them, those whose last update the broker had.
    pub known: u64,
    /// Of them, those that the broker refused.
    pub refused: u64,
    /// Of them, those whose answer was lost with a connection: they were sent again over the next one.
    pub unanswered: u64,
}

impl Summary {
    /// Counts one update that was refused.
    pub fn reject(&mut self, code: &str, topic: &str, message: &str) {
        self.rejected
            .entry(code.to_owned())
            .or_insert_with(|| Rejected { updates: 0, first: format!("{topic}: {message}") })
            .updates += 1;
    }

    /// How many updates were refused in all.
    pub fn rejected_updates(&self) -> u64 {
        self.rejected.values().map(|rejected| rejected.updates).sum()
    }
}

/// A duration as a whole number of milliseconds.
pub(crate) fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.published as f64 / seconds } else { 0.0 };
        writeln!(f, "published     {} to {} in {seconds:.2} s ({rate:.0}/s)", self.published, self.target)?;
        write!(f, "acknowledged  {}", self.acknowledged)?;
        if self.duplicates > 0 {
            write!(f, " ({} sent again and recognised)", self.duplicates)?;
        }
        writeln!(f)?;
        writeln!(f, "rejected      {}", self.rejected_updates())?;
        for (code, rejected) in &self.rejected {
            writeln!(f, "  {code}  {}, the first: {}", rejected.updates, rejected.first)?;
        }
        if self.unanswered > 0 {
            writeln!(f, "unanswered    {} (they may or may not have been taken)", self.unanswered)?;
        }
        if self.reconnects > 0 {
            writeln!(f, "reconnects    {}", self.reconnects)?;
        }
        let StatesAgain { sent, known, refused, unanswered } = self.states_again;
        if sent > 0 {
            writeln!(
                f,
                "states again  {sent}, in case the broker lost them: {known} it still had, {refused} refused, {unanswered} unanswered"
            )?;
        }
        let Counts { records, bad, superseded, venue_gaps, left_out, images } = self.read;
        if records > 0 {
            writeln!(
                f,
                "records       {records} read, {bad} bad, {superseded} superseded, {venue_gaps} gaps in the venue's sequence"
            )?;
        }
        if left_out + images > 0 {
            writeln!(
                f,
                "left out      {left_out} updates outside the requested part; {images} states added for topics to begin with"
            )?;
        }
        if let Some(faults) = &self.faults {
            faults.write_summary(self.published, f)?;
        }
        let lag_ms = self.lag.lag_max.as_secs_f64() * 1e3;
        write!(f, "lag           {lag_ms:.0} ms at most, {} updates later than {LATE_MS} ms", self.lag.late_updates)
    }
}
