//! Reading all records of a log, also behind a damage: what they say, and which of them are not what was written.

use std::collections::VecDeque;
use std::path::PathBuf;

use broker_engine::log::{Dropped, Entry, NodeSession, Record, RecordError, Sessions};
use broker_protocol::Kind;

use super::NODE;
use super::reading::Reading;
use crate::store::{SegmentFile, StoreError, Stored};

/// How many sessions are listed, the newest; the others are only counted.
pub const SESSIONS_MAX: usize = 100;

/// What commands there are, in the order of [`Survey::commands`]. First updates by the kind that they name, if they do.
pub const COMMANDS: [&str; 12] = [
    "event",
    "state",
    "patch",
    "no_kind",
    "end",
    "open",
    "beat",
    "checkpoint_begins",
    "checkpoint",
    "generation",
    "settings",
    "barrier",
];

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The position of a record.
    pub position: u64,
    /// When it was appended, in µs since the UNIX epoch.
    pub ts_us: u64,
}

/// The records of one run of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub session: u64,
    /// Its records that are there.
    pub records: u64,
    /// The first of them.
    pub first: Mark,
    /// The last of them.
    pub last: Mark,
}

/// What is wrong with the log.
#[derive(Debug)]
pub enum Damage {
    /// A segment cannot be read to its end: the records behind this place are lost.
    Segment {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
    /// A record is as it was written, and nobody can read what it says.
    Record {
        /// Its position.
        position: u64,
        /// Why.
        error: RecordError,
    },
}

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The segments, each with the number of its records that could be read.
    pub segments: Vec<(SegmentFile, u64)>,
    /// The first record that could be read.
    pub first: Option<Mark>,
    /// The last one.
    pub last: Option<Mark>,
    /// How many could be read.
    pub records: u64,
    /// Commands of these by what they are, see [`COMMANDS`].
    pub commands: [u64; COMMANDS.len()],
    /// The newest sessions, the oldest of them first.
    pub sessions: VecDeque<Session>,
    /// The number of all sessions.
    pub sessions_count: u64,
    /// Records that do not count by the session rule, which a local log has none of; and the first of them.
    pub dropped: (u64, Option<(u64, Dropped)>),
    /// What is damaged, in the order of the log: at most one for each segment, and the first record of each that cannot
    /// be read.
    pub damage: Vec<Damage>,
}

impl Reading {
    /// Reads all records. One at a time is in memory.
    pub fn survey(&self) -> Survey {
        let (mut survey, mut sessions) = (Survey::default(), None);
        for segment in self.found().segments() {
            let (before, mut is_readable) = (survey.records, true);
            for stored in self.found().store().read_segment(segment.first) {
                let damage = match stored {
                    Ok(stored) => {
                        let error = survey.count(&stored, &mut sessions).err();
                        error.map(|error| Damage::Record { position: stored.position, error })
                    }
                    Err(error) => {
                        // It is not known which records are missing.
                        sessions = None;
                        Some(Damage::Segment { path: segment.path.clone(), error })
                    }
                };
                match damage {
                    Some(Damage::Record { .. }) if !is_readable => {}
                    Some(damage) => {
                        is_readable = false;
                        survey.damage.push(damage);
                    }
                    None => {}
                }
            }
            let records = survey.records - before;
            survey.segments.push((segment, records));
        }
        survey
    }
}

impl Survey {
    fn count(&mut self, stored: &Stored, sessions: &mut Option<Sessions>) -> Result<(), RecordError> {
        let mark = Mark { position: stored.position, ts_us: stored.ts_us };
        self.first = self.first.or(Some(mark));
        self.last = Some(mark);
        self.records += 1;
        let record = match Record::decode(&stored.bytes) {
            Ok(record) => record,
            Err(error) => {
                *sessions = None;
                return Err(error);
            }
        };
        for entry in &record.commands {
            self.commands[index(entry)] += 1;
        }
        // A log that was cut begins in the middle of a session, of which the checkpoint knows.
        let sessions = sessions.get_or_insert_with(|| begun(&record, stored.position));
        if let Err(dropped) = sessions.counts(NODE, stored.position, &record) {
            let (count, first) = &mut self.dropped;
            *count += 1;
            first.get_or_insert((stored.position, dropped));
        }
        match self.sessions.back_mut().filter(|newest| newest.session == record.session) {
            Some(newest) => {
                newest.records += 1;
                newest.last = mark;
            }
            None => {
                self.sessions_count += 1;
                if self.sessions.len() == SESSIONS_MAX {
                    self.sessions.pop_front();
                }
                self.sessions.push_back(Session { session: record.session, records: 1, first: mark, last: mark });
            }
        }
        Ok(())
    }
}

/// The sessions before the first record that is there, so that it counts.
fn begun(record: &Record<'_>, position: u64) -> Sessions {
    if record.number == 0 {
        return Sessions::default();
    }
    let session = NodeSession { node: NODE.into(), session: record.session, next: record.number, position };
    Sessions::restore(vec![session]).unwrap_or_default()
}

fn index(entry: &Entry<'_>) -> usize {
    match entry {
        Entry::Publish { kind: Some(Kind::Event), .. } => 0,
        Entry::Publish { kind: Some(Kind::State), .. } => 1,
        Entry::Publish { kind: Some(Kind::Patch), .. } => 2,
        Entry::Publish { kind: None, .. } => 3,
        Entry::End { .. } => 4,
        Entry::Open { .. } => 5,
        Entry::Beat { .. } => 6,
        Entry::CheckpointBegins { .. } => 7,
        Entry::Checkpoint { .. } => 8,
        Entry::Generation { .. } => 9,
        Entry::Settings(_) => 10,
        Entry::Barrier => 11,
    }
}
