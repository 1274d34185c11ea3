//! The proof that nothing was missed silently: the protocol's promise of continuity for one topic, as a state machine
//! without I/O.
//!
//! From its start, per topic and epoch, what comes must connect: an `update` or `patch` follows by exactly one (or its
//! `from` does), an `image` jumps ahead and replaces everything up to its `seq`, a `gap` names exactly what is lost. A
//! [`Track`] holds what may come next, and says of each message whether it may. After a [`Violation`] it goes on from what
//! came, so that one fault is reported once.
//!
//! A track also knows where to resume from: the last `image`, `update`, `patch` or `gap.to` that came, or, before anything
//! came, what the start promised to connect to.

mod violation;

use std::sync::Arc;

use crate::Kind;
use crate::event::{Start, TopicStart};
pub use violation::Violation;

/// A point up to which a topic is known: "I have everything up to `seq` of `epoch`".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: Arc<str>,
    pub(crate) seq: u64,
}

/// What may come next on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Only a start: the name waits for its first publish, or the topic ended.
    Start,
    /// The number after `last`, or an image beyond it.
    After { last: u64 },
    /// First of all an image of this number or later.
    Image { at_least: u64 },
    /// First of all something retained whose first number is at most this: how much is retained only shows then.
    Retained { newest: u64 },
}

/// One topic's stream, and what may come next on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    kind: Option<Kind>,
    epoch: Option<Arc<str>>,
    next: Next,
    /// Where the client stood before this start; it stays the point to resume from until something came.
    had: Option<Position>,
}

impl Track {
    /// The stream that `start` begins. `asked` is the position the entry resumed from, `before` the track that it
    /// replaces, where there is one.
    pub(crate) fn begin(
        start: &TopicStart,
        asked: Option<&Position>,
        before: Option<&Track>,
    ) -> (Track, Option<Violation>) {
        let epoch = start.epoch.clone();
        let same = |position: &&Position| Some(&position.epoch) == epoch.as_ref();
        let had = asked.cloned().or_else(|| before.and_then(Track::position));
        let mut violation = before
            .filter(|before| before.ended_in(start))
            .map(|before| Violation::SameEpoch { epoch: before.epoch.clone().unwrap_or_default() });
        let next = match start.start {
            _ if epoch.is_none() => Next::Start,
            Start::Live => Next::After { last: start.seq },
            Start::Image => Next::Image { at_least: start.seq },
            Start::History => Next::Retained { newest: start.seq },
            Start::Resumed => match had.as_ref().filter(same).filter(|position| position.seq <= start.seq) {
                Some(position) => Next::After { last: position.seq },
                None => {
                    violation = Some(Violation::NotAsked { epoch: epoch.clone(), seq: start.seq });
                    Next::Retained { newest: start.seq.saturating_add(1) }
                }
            },
            // The first lacking update of the present epoch comes next: itself, or in a gap.
            Start::Reset if start.kind == Some(Kind::Event) => match had.as_ref().filter(same) {
                None => Next::After { last: 0 },
                Some(position) if position.seq <= start.seq => Next::After { last: position.seq },
                // We claim to be ahead of the topic. What we lack is the broker's to say.
                Some(_) => Next::Retained { newest: start.seq.saturating_add(1) },
            },
            Start::Reset => Next::Image { at_least: start.seq },
        };
        (Track { kind: start.kind, epoch, next, had }, violation)
    }

    fn ended_in(&self, start: &TopicStart) -> bool {
        self.next == Next::Start && self.epoch.is_some() && self.epoch == start.epoch
    }

    /// The kind, once it is known.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The epoch, once there is one.
    pub(crate) fn epoch(&self) -> Option<&Arc<str>> {
        self.epoch.as_ref()
    }

    /// The name waits for its first publish, or for the next one after the topic ended.
    pub(crate) fn waits(&self) -> bool {
        self.next == Next::Start
    }

    /// The point to resume from: `None` where the stream had not got as far as having one.
    pub(crate) fn position(&self) -> Option<Position> {
        match (&self.next, &self.epoch) {
            (Next::After { last }, Some(epoch)) => Some(Position { epoch: epoch.clone(), seq: *last }),
            _ => self.had.clone(),
        }
    }

    /// How the stream looks to somebody who joins it here.
    pub(crate) fn joined(&self) -> (Start, u64) {
        match self.next {
            Next::Start => (Start::Live, 0),
            Next::After { last } => (Start::Live, last),
            Next::Image { at_least } => (Start::Image, at_least),
            Next::Retained { newest } => (Start::History, newest),
        }
    }

    /// An `update`; `from` where it stands for several.
    pub(crate) fn update(&mut self, from: Option<u64>, seq: u64) -> Result<(), Violation> {
        self.range(from.unwrap_or(seq), seq)
    }

    /// A `patch`; `from` where it stands for several.
    pub(crate) fn patch(&mut self, from: Option<u64>, seq: u64) -> Result<(), Violation> {
        let kind = self.not_an_event();
        self.range(from.unwrap_or(seq), seq).and(kind)
    }

    /// A `gap`.
    pub(crate) fn gap(&mut self, from: u64, to: u64) -> Result<(), Violation> {
        self.range(from, to)
    }

    /// An `image`.
    pub(crate) fn image(&mut self, epoch: &str, seq: u64) -> Result<(), Violation> {
        let verdict = match self.next {
            Next::Start => Err(Violation::NotStarted { from: seq, to: seq }),
            Next::After { last } if seq <= last => Err(Violation::OldImage { at_least: last + 1, seq }),
            Next::Image { at_least } if seq < at_least => Err(Violation::OldImage { at_least, seq }),
            // A history of patches starts with the image that they lie on, at whatever number that is.
            _ => self.not_an_event(),
        };
        let epoch_verdict = match &self.epoch {
            Some(expected) if **expected != *epoch => {
                Err(Violation::OtherEpoch { expected: expected.clone(), came: Arc::from(epoch) })
            }
            _ => Ok(()),
        };
        if epoch_verdict.is_err() || self.epoch.is_none() {
            self.epoch = Some(Arc::from(epoch));
        }
        self.next = Next::After { last: seq };
        epoch_verdict.and(verdict)
    }

    /// `closed`: the topic ended.
    pub(crate) fn closed(&mut self) -> Result<(), Violation> {
        let verdict = match self.next {
            Next::After { .. } => Ok(()),
            Next::Start => Err(Violation::NotStarted { from: 0, to: 0 }),
            Next::Image { .. } | Next::Retained { .. } => Err(Violation::ClosedEarly),
        };
        self.had = self.position();
        self.next = Next::Start;
        verdict
    }

    fn not_an_event(&self) -> Result<(), Violation> {
        match self.kind {
            Some(Kind::Event) => Err(Violation::OtherKind { kind: Kind::Event }),
            _ => Ok(()),
        }
    }

    /// Updates `from` to `to` came, or were named as lost.
    fn range(&mut self, from: u64, to: u64) -> Result<(), Violation> {
        if from > to {
            return Err(Violation::Backwards { from, to });
        }
        let verdict = match self.next {
            Next::After { last } if from == last + 1 => Ok(()),
            Next::After { last } => Err(Violation::NotNext { expected: last + 1, from, to }),
            Next::Retained { newest } if from <= newest && from > 0 => Ok(()),
            Next::Retained { newest } => Err(Violation::NotRetained { newest, from, to }),
            Next::Image { at_least } => Err(Violation::NoImage { at_least, from, to }),
            Next::Start => Err(Violation::NotStarted { from, to }),
        };
        self.next = Next::After { last: to };
        verdict
    }
}

#[cfg(test)]
mod tests;
