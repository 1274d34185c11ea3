//! Another generation: the same topics with other epochs, so that clients are told to begin anew instead of meeting a
//! `seq` that is given twice. It is needed when the last run may have delivered what is no longer in the log, and when a
//! backup is restored.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use broker_engine::{Limits, SavedTopic, carry_epoch};

use super::error::JournalError;
use super::recover::recover;
use super::status::Status;
use super::{Clock, reading_engine};
use crate::checkpoint::{self, CheckpointWriter, Head, Tail};
use crate::store::{Generation, Store};

/// Bytes of topics that are copied at once.
const PORTION_BYTES: usize = 1 << 20;

/// A number that no other generation has, as far as the system's random numbers are random.
pub(crate) fn nonce() -> u64 {
    // The keys of a `RandomState` are the system's, for a process; and each has others.
    RandomState::new().hash_one(std::process::id())
}

/// Begins a new generation: everything is read, and written as a checkpoint with new epochs, after which nothing of the
/// old log is read any more.
///
/// A crash in the middle leaves the store as it was, or with a checkpoint that already has the new epochs and that the
/// whole log belongs to: the next start makes yet another generation from that.
pub(crate) fn renew(store: &mut Store, dir: &Path, limits: &Limits, clock: Clock) -> Result<(), JournalError> {
    let old = store.generation();
    let engine = reading_engine(limits, old.nonce);
    let applied = recover(&engine, store, dir, clock, &Status::default())?;
    let position = store.next_position() - 1;
    let now = clock();
    let first_ordinal = engine.feed().ordinal();
    // Ids of positions that were given out must be below those of this generation, also if the clock was set back.
    let after_old = old.start_us.saturating_add(first_ordinal.saturating_sub(old.first_ordinal)) + 1;
    let generation = Generation { nonce: nonce(), start_us: now.wall_us.max(after_old), first_ordinal };
    let head = Head {
        generation,
        position,
        commands: applied.commands(),
        sessions: applied.sessions().list(),
        settings: engine.journal().and_then(|journal| journal.settings()),
        record_check: checkpoint::check_of(store, position)?,
        saved_us: now.wall_us,
    };
    let mut writer = CheckpointWriter::create(dir, &head)?;
    let mut after = None;
    loop {
        let (topics, next) = engine.save_topics(now, after.as_deref(), PORTION_BYTES);
        for topic in topics {
            let epoch = carry_epoch(old.nonce, generation.nonce, &topic.epoch).unwrap_or_else(|| topic.epoch.clone());
            writer.topic(&SavedTopic { epoch, ..topic })?;
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    writer.finish(&Tail { ended: Vec::new(), complete_at: applied.commands() })?;
    store.begin_segment()?;
    store.begin_generation(generation)?;
    for (other, path) in checkpoint::list(dir).map_err(|error| JournalError::Io { path: dir.into(), error })? {
        if other != position {
            std::fs::remove_file(&path).map_err(|error| JournalError::Io { path, error })?;
        }
    }
    store.cut(position + 1)?;
    Ok(())
}
