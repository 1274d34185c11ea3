//! The proof that nothing was missed silently: the protocol's promise of continuity for one topic, as a state machine
//! without I/O.
//!
//! From its start, per topic and epoch, a stream must connect. The number of an `update` or `patch` (or its `from`) is
//! exactly one above the last, an `image` jumps ahead and replaces everything up to its `seq`, and a `gap` names
//! exactly what is lost. A [`Track`] holds what may come next, and checks each message against that. After a
//! [`Violation`] it continues from what came, so that one fault is reported once.
//!
//! A stream that resumes from a position of the connection repeats what the client received after that position. These
//! updates are recognized by their numbers, and are not delivered again.
//!
//! A track also knows where to resume from: the last `image`, `update`, `patch` or `gap.to` that came or, before
//! anything came, what the start promised to connect to.

use std::sync::Arc;

use crate::Kind;
use crate::event::{Start, TopicStart};
use crate::violation::Violation;

/// A point in a topic's stream: the client has everything up to `seq` of `epoch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: Arc<str>,
    pub(crate) seq: u64,
}

/// What the request asked for, of the topic whose start answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// No position: the stream begins as the subscription's options say.
    Nothing,
    /// The last update that the client has.
    Position(&'a Position),
    /// The id of a position: the client has everything up to there, and perhaps more.
    Id,
}

/// How much of a message is new to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// All of it.
    All,
    /// The part from this number on.
    From(u64),
    /// Nothing: the client already had it.
    Nothing,
}

/// What may come next on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// A start and nothing else: the name waits for its first publish, or the topic ended.
    Start,
    /// The number after `last`, or an image beyond it.
    After { last: u64 },
    /// An image of this number or later, before anything else.
    Image { at_least: u64 },
    /// A retained update whose first number is at most this. How much is retained is not known before it comes.
    Retained { newest: u64 },
    /// What the client has up to `had`, repeated from wherever the stream begins, and then what follows. `last` is the
    /// newest update repeated so far.
    Again { last: Option<u64>, had: u64 },
}

/// One topic's stream, and what may come next on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    kind: Option<Kind>,
    epoch: Option<Arc<str>>,
    next: Next,
    /// What the client had before this start. It stays the point to resume from until something comes.
    had: Option<Position>,
}

impl Track {
    /// Begins the stream of `start`; `before` is the track that it replaces, if there is one.
    pub(crate) fn begin(start: &TopicStart, asked: Asked<'_>, before: Option<&Track>) -> (Track, Option<Violation>) {
        let epoch = start.epoch.clone();
        let same = |position: &&Position| Some(&position.epoch) == epoch.as_ref();
        let had = match asked {
            Asked::Position(position) => Some(position.clone()),
            Asked::Nothing | Asked::Id => before.and_then(Track::position),
        };
        // From the topic's own position the stream continues exactly; from an id it may begin before what the client
        // has.
        let after = |seq: u64| match asked {
            Asked::Id => Next::Again { last: None, had: seq },
            Asked::Nothing | Asked::Position(_) => Next::After { last: seq },
        };
        let mut violation = before
            .filter(|before| before.ended_in(start))
            .map(|before| Violation::SameEpoch { epoch: before.epoch.clone().unwrap_or_default() });
        let next = match start.start {
            _ if epoch.is_none() => Next::Start,
            Start::Live => Next::After { last: start.seq },
            Start::Image => Next::Image { at_least: start.seq },
            Start::History => Next::Retained { newest: start.seq },
            Start::Resumed => match had.as_ref().filter(same).filter(|position| position.seq <= start.seq) {
                Some(position) => after(position.seq),
                None => {
                    violation = Some(Violation::NotAsked { epoch: epoch.clone(), seq: start.seq });
                    Next::Retained { newest: start.seq.saturating_add(1) }
                }
            },
            // The first missing update of the present epoch comes next, itself or in a gap.
            Start::Reset if start.kind == Some(Kind::Event) => match had.as_ref().filter(same) {
                None => Next::After { last: 0 },
                Some(position) if position.seq <= start.seq => after(position.seq),
                // This client claims to be ahead of the topic. Only the broker can say what is missing.
                Some(_) => Next::Retained { newest: start.seq.saturating_add(1) },
            },
            Start::Reset => Next::Image { at_least: start.seq },
        };
        (Track { kind: start.kind, epoch, next, had }, violation)
    }

    fn ended_in(&self, start: &TopicStart) -> bool {
        self.next == Next::Start && self.epoch.is_some() && self.epoch == start.epoch
    }

    /// The kind, if it is known yet.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The epoch, if there is one yet.
    pub(crate) fn epoch(&self) -> Option<&Arc<str>> {
        self.epoch.as_ref()
    }

    /// Whether the name waits for its first publish, or for the next one after the topic ended.
    pub(crate) fn waits(&self) -> bool {
        self.next == Next::Start
    }

    /// The point to resume from, if the stream has come far enough to have one.
    pub(crate) fn position(&self) -> Option<Position> {
        match (&self.next, &self.epoch) {
            (Next::After { last: seq } | Next::Again { had: seq, .. }, Some(epoch)) => {
                Some(Position { epoch: epoch.clone(), seq: *seq })
            }
            _ => self.had.clone(),
        }
    }

    /// The start of the stream for a subscription that joins it now.
    pub(crate) fn joined(&self) -> (Start, u64) {
        match self.next {
            Next::Start => (Start::Live, 0),
            Next::After { last } | Next::Again { had: last, .. } => (Start::Live, last),
            Next::Image { at_least } => (Start::Image, at_least),
            Next::Retained { newest } => (Start::History, newest),
        }
    }

    /// Checks an `update`; with `from` if it replaces several.
    pub(crate) fn update(&mut self, from: Option<u64>, seq: u64) -> Result<Added, Violation> {
        self.range(from.unwrap_or(seq), seq)
    }

    /// Checks a `patch`; with `from` if it replaces several.
    pub(crate) fn patch(&mut self, from: Option<u64>, seq: u64) -> Result<Added, Violation> {
        let kind = self.not_an_event();
        let first = from.unwrap_or(seq);
        match self.range(first, seq)? {
            // A patch to an older state than the client's cannot be applied to the client's.
            Added::From(expected) => Err(Violation::NotNext { expected, from: first, to: seq }),
            added => kind.map(|()| added),
        }
    }

    /// Checks a `gap`.
    pub(crate) fn gap(&mut self, from: u64, to: u64) -> Result<Added, Violation> {
        self.range(from, to)
    }

    /// Checks an `image`.
    pub(crate) fn image(&mut self, epoch: &str, seq: u64) -> Result<Added, Violation> {
        let verdict = match self.next {
            Next::Start => Err(Violation::NotStarted { from: seq, to: seq }),
            Next::After { last } if seq <= last => Err(Violation::OldImage { at_least: last + 1, seq }),
            Next::Image { at_least } | Next::Again { had: at_least, .. } if seq < at_least => {
                Err(Violation::OldImage { at_least, seq })
            }
            // A history of patches starts with the image that they apply to, at whatever number that is.
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
        epoch_verdict.and(verdict).map(|()| Added::All)
    }

    /// Checks a `closed`: the topic ended.
    pub(crate) fn closed(&mut self) -> Result<Added, Violation> {
        let verdict = match self.next {
            // A stream that resumes from an id may have had nothing to repeat.
            Next::After { .. } | Next::Again { .. } => Ok(Added::All),
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

    /// Checks that the updates `from` to `to` may come or be named as lost.
    fn range(&mut self, from: u64, to: u64) -> Result<Added, Violation> {
        if from > to {
            return Err(Violation::Backwards { from, to });
        }
        let (verdict, next) = match self.next {
            Next::After { last } if from == last + 1 => (Ok(Added::All), None),
            Next::After { last } => (Err(Violation::NotNext { expected: last + 1, from, to }), None),
            Next::Retained { newest } if from <= newest && from > 0 => (Ok(Added::All), None),
            Next::Retained { newest } => (Err(Violation::NotRetained { newest, from, to }), None),
            Next::Image { at_least } => (Err(Violation::NoImage { at_least, from, to }), None),
            Next::Start => (Err(Violation::NotStarted { from, to }), None),
            Next::Again { last, had } => again(last, had, from, to),
        };
        self.next = next.unwrap_or(Next::After { last: to });
        verdict
    }
}

/// Checks the updates `from` to `to` while those up to `had` may be repeated. Returns what comes next only if more of
/// them may be.
fn again(last: Option<u64>, had: u64, from: u64, to: u64) -> (Result<Added, Violation>, Option<Next>) {
    let connects = match last {
        Some(last) => from == last + 1,
        None => from > 0 && from <= had + 1,
    };
    if !connects {
        return (Err(Violation::NotNext { expected: last.unwrap_or(had) + 1, from, to }), None);
    }
    let added = match (from, to) {
        (_, to) if to <= had => Added::Nothing,
        (from, _) if from <= had => Added::From(had + 1),
        _ => Added::All,
    };
    (Ok(added), (to < had).then_some(Next::Again { last: Some(to), had }))
}

#[cfg(test)]
mod tests;
