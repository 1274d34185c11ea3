//! Exact counts of the injected faults.

use std::fmt;

/// How many faults there were of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct FaultCounts {
    /// Updates that the feed itself yielded.
    pub from_feed: u64,
    /// Of these, left out by `gap`.
    pub left_out: u64,
    /// Of these, left out because their topic or the feed was silent.
    pub silenced: u64,
    /// Updates that were sent once more.
    pub duplicates: u64,
    /// Events that withdraw an earlier one.
    pub corrections: u64,
    /// Updates that a broker has to refuse, each behind the update that it was made from.
    pub malformed: u64,
    /// Updates that were overtaken by later ones.
    pub reordered: u64,
    /// Silences that began.
    pub silences: u64,
    /// Times that everything was held up and then sent at once.
    pub bursts: u64,
    /// Updates that were held up by bursts.
    pub held: u64,
    /// Times that the source's clock was set wrong.
    pub clock_steps: u64,
    /// Updates that were made and have not come out of the injector yet.
    pub waiting: u64,
}

impl FaultCounts {
    /// How many updates there are in all: the feed's own and those added, less those left out.
    pub fn made(&self) -> u64 {
        self.from_feed + self.duplicates + self.corrections + self.malformed - self.left_out - self.silenced
    }

    /// Writes the summary's lines about faults, for a run that published `published` updates.
    pub(crate) fn write_summary(&self, published: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultCounts { from_feed, left_out, silenced, duplicates, corrections, malformed, .. } = self;
        write!(f, "faults        {from_feed} from the feed, - {left_out} left out, - {silenced} silenced")?;
        write!(f, ", + {duplicates} duplicates, + {corrections} corrections, + {malformed} malformed")?;
        let not_due = self.made().saturating_sub(published);
        if not_due > 0 {
            write!(f, ", - {not_due} not due yet at the end")?;
        }
        let FaultCounts { reordered, silences, bursts, held, clock_steps, .. } = self;
        writeln!(f)?;
        write!(
            f,
            "              {reordered} out of order, {silences} silences, {bursts} bursts of {held} updates held up"
        )?;
        writeln!(f, ", {clock_steps} steps of the source's clock")
    }
}
