//! Everything that was published, as far as the journal still has it, in the order of the log.
//!
//! What the log no longer has comes first, from the oldest checkpoint that it continues: of a topic with an image the
//! image, of others their retained updates. Then come the updates of the log. Each is applied as a start would, because
//! only so it is known which updates were taken, and which are in the checkpoint already.

use std::path::PathBuf;

use broker_engine::log::Entry;
use broker_engine::{Applied, Limits, Logged, Outcome, Retain, SavedTopic};
use broker_protocol::{Data, Kind};

use super::error::JournalError;
use super::reading::Reading;
use super::recover::{fits, list, restore};
use super::{NODE, reading_engine};
use crate::checkpoint::{self, CheckpointReader};
use crate::mono_at;
use crate::status::Status;

/// Something that was published.
pub enum Exported<'a> {
    /// A topic of the checkpoint.
    Topic(&'a SavedTopic),
    /// An update of the log.
    Update(Update<'a>),
    /// A topic ends.
    End {
        /// The topic.
        topic: &'a str,
    },
}

/// An update of the log that was taken.
pub struct Update<'a> {
    /// When, in µs since the UNIX epoch.
    pub ts_us: u64,
    /// The topic.
    pub topic: &'a str,
    /// Its kind; if the publish named none, the topic's.
    pub kind: Kind,
    /// The source and its `source_seq`.
    pub source: Option<(&'a str, u64)>,
    /// The producer's own time.
    pub source_ts: Option<u64>,
    /// The value.
    pub data: Data<'a>,
}

/// Why an export ended early.
pub enum ExportError<E> {
    /// The journal.
    Journal(JournalError),
    /// Whoever takes it does not go on.
    Taker(E),
}

impl<E> From<JournalError> for ExportError<E> {
    fn from(error: JournalError) -> Self {
        ExportError::Journal(error)
    }
}

impl Reading {
    /// Hands out everything that was published. With `from`, only the updates from the record of this position on.
    /// In memory there are the images, and of each topic its newest update.
    ///
    /// # Errors
    /// The record is not there any more, or a start would refuse the journal; what comes before the damage was handed
    /// out. Or `take` fails.
    pub fn export<E>(
        &self,
        limits: &Limits,
        from: Option<u64>,
        mut take: impl FnMut(Exported<'_>) -> Result<(), E>,
    ) -> Result<(), ExportError<E>> {
        let store = self.found().store();
        let base = self.base()?;
        let begin = base.as_ref().map_or(1, |(position, _)| position + 1);
        let last = store.next_position() - 1;
        if let Some(from) = from.filter(|from| *from < begin) {
            return Err(JournalError::NotInLog { from, begin }.into());
        }
        if store.first().map_or(begin <= last, |first| first > begin) {
            let checkpoints = list(self.dir())?.len();
            return Err(JournalError::Incomplete { first: store.first().unwrap_or(last + 1), checkpoints }.into());
        }
        let engine = reading_engine(&least(limits), store.generation().nonce);
        let (now, mut applied) = (self.now(), Applied::default());
        if let Some((_, path)) = &base {
            if from.is_none() {
                let mut reader = CheckpointReader::open(path).map_err(JournalError::from)?;
                while let Some(topic) = reader.next_topic().map_err(JournalError::from)? {
                    take(Exported::Topic(&topic)).map_err(ExportError::Taker)?;
                }
            }
            applied = restore(&engine, path, store.generation(), now, &Status::default())?;
        }
        for stored in store.read_from(begin) {
            let stored = stored.map_err(JournalError::from)?;
            let logged = Logged { node: NODE, position: stored.position, ts_us: stored.ts_us, bytes: &stored.bytes };
            let is_wanted = from.is_none_or(|from| stored.position >= from);
            let mut taken = Ok(());
            let verdict = applied.apply(&engine, mono_at(now, stored.ts_us), logged, |entry, result| {
                if is_wanted
                    && taken.is_ok()
                    && let Some(Ok(outcome)) = result
                    && let Some(exported) = exported(stored.ts_us, entry, &outcome)
                {
                    taken = take(exported);
                }
            });
            verdict.map_err(|error| JournalError::Record { position: stored.position, error })?;
            taken.map_err(ExportError::Taker)?;
        }
        if !applied.is_complete() {
            let position = base.map_or(0, |(position, _)| position);
            return Err(JournalError::TooShort { last, position }.into());
        }
        Ok(())
    }

    /// The oldest checkpoint that is whole and that the log continues; `None` if the log begins with the first record.
    fn base(&self) -> Result<Option<(u64, PathBuf)>, JournalError> {
        let store = self.found().store();
        if store.first() == Some(1) || store.next_position() == 1 {
            return Ok(None);
        }
        let oldest_first = list(self.dir())?.into_iter().rev();
        let is_usable = |(position, path): &(u64, PathBuf)| {
            fits(store, *position, path).unwrap_or(false) && checkpoint::verify(path).is_ok()
        };
        Ok(oldest_first.into_iter().find(is_usable))
    }
}

/// The same limits, with as little history as there can be.
fn least(limits: &Limits) -> Limits {
    Limits { retain: Retain { updates: 1, bytes: 1, ms: 0 }, topics: Vec::new(), ..limits.clone() }
}

fn exported<'a>(ts_us: u64, entry: &Entry<'a>, outcome: &'a Outcome) -> Option<Exported<'a>> {
    match (entry, outcome) {
        (Entry::Publish { topic, kind, source, source_ts, data }, Outcome::Published(published)) => {
            let kind = kind.unwrap_or_else(|| published.topic.kind());
            let update = Update { ts_us, topic, kind, source: *source, source_ts: *source_ts, data: *data };
            (!published.duplicate).then_some(Exported::Update(update))
        }
        (Entry::End { topic, .. }, Outcome::Ended(_)) => Some(Exported::End { topic }),
        _ => None,
    }
}
