//! Writing all topics of an engine that nobody publishes to, and backups, which are that: one checkpoint in a file of
//! its own.

use std::path::Path;

use broker_engine::{Engine, Now, SavedTopic, carry_epoch};

use super::error::JournalError;
use super::reading::{Reading, Start};
use crate::checkpoint::{self, CheckpointError, CheckpointFile, CheckpointWriter, Head, Summary, Tail};
use crate::store::Generation;

/// Bytes of topics that are copied at once.
const PORTION_BYTES: usize = 1 << 20;

/// Writes all topics, and with them the number of commands at which they are complete.
pub(super) fn write_topics(
    engine: &Engine,
    mut writer: CheckpointWriter,
    now: Now,
    commands: u64,
    change: impl Fn(SavedTopic) -> SavedTopic,
) -> Result<CheckpointFile, CheckpointError> {
    let mut after = None;
    loop {
        let (topics, next) = engine.save_topics(now, after.as_deref(), PORTION_BYTES);
        for topic in topics {
            writer.topic(&change(topic))?;
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    writer.finish(&Tail { ended: Vec::new(), complete_at: commands })
}

/// A topic with the epoch that another generation has in place of its own.
pub(super) fn carried(from: u64, to: u64, topic: SavedTopic) -> SavedTopic {
    let epoch = carry_epoch(from, to, &topic.epoch).unwrap_or_else(|| topic.epoch.clone());
    SavedTopic { epoch, ..topic }
}

/// The generation that follows one whose last ordinal is this: ids of positions that were given out must be below its
/// own, also if the clock was set back.
pub(super) fn generation_after(old: Generation, nonce: u64, last_ordinal: u64, now: Now) -> Generation {
    let given = last_ordinal.saturating_sub(old.first_ordinal);
    let after_old = old.start_us.saturating_add(given).saturating_add(1);
    Generation { nonce, start_us: now.wall_us.max(after_old), first_ordinal: last_ordinal }
}

impl Reading {
    /// Writes everything that a start would serve into a file that must not be there yet, and reads it again.
    ///
    /// # Errors
    /// There is such a file, the system refuses, or the file is not what was written: then it is removed again.
    pub fn backup(&self, start: &Start, file: &Path) -> Result<Summary, JournalError> {
        let (store, now) = (self.found().store(), self.now());
        let position = store.next_position() - 1;
        let head = Head {
            generation: store.generation(),
            position,
            commands: start.applied.commands(),
            sessions: start.applied.sessions().list(),
            settings: start.settings(),
            record_check: checkpoint::check_of(store, position)?,
            saved_us: now.wall_us,
        };
        let writer = CheckpointWriter::create_file(file, &head)?;
        write_topics(&start.engine, writer, now, head.commands, |topic| topic)?;
        checkpoint::verify(file).map_err(|error| {
            // If that fails, the error says all the same that the file is of no use.
            drop(std::fs::remove_file(file));
            error.into()
        })
    }
}
