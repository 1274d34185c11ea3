//! What was injected, to the last update.

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
    /// Updates that came once more.
    pub duplicates: u64,
    /// Events that take an earlier one back.
    pub corrections: u64,
    /// Messages that a broker has to refuse, behind the update that they were made from.
    pub malformed: u64,
    /// Updates that came after later ones.
    pub reordered: u64,
    /// Silences that began.
    pub silences: u64,
    /// Times that everything was held up, to come at once.
    pub bursts: u64,
    /// Updates that were held up so.
    pub held: u64,
    /// Times that the source's clock was set wrong.
    pub clock_steps: u64,
    /// Made, and not come out of the injector yet.
    pub waiting: u64,
}

impl FaultCounts {
    /// How many updates there are in all: the feed's own, less those left out, and those added.
    pub fn made(&self) -> u64 {
        self.from_feed + self.duplicates + self.corrections + self.malformed - self.left_out - self.silenced
    }

    /// As the summary tells it, of a run that published so many.
    pub(crate) fn tell(&self, published: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
