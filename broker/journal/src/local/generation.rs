//! Another generation: the same topics with other epochs, so that clients are told to begin anew instead of meeting a
//! `seq` that is given twice. It is needed when the last run may have delivered what is no longer in the log, and when a
//! backup is restored.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use broker_engine::Limits;

use super::copy::{generation_after, head, write_topics};
use super::error::JournalError;
use super::recover::{list, recover_shortened};
use crate::Clock;
use crate::checkpoint::{CheckpointWriter, carried};
use crate::store::Store;

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
    let (engine, applied) = recover_shortened(limits, store, dir, clock)?;
    let now = clock();
    let generation = generation_after(old, nonce(), engine.feed().ordinal(), now);
    let head = head(&engine, &applied, store, generation, now.wall_us)?;
    let writer = CheckpointWriter::create(dir, &head)?;
    write_topics(&engine, writer, now, head.commands, |topic| carried(old.nonce, generation.nonce, topic))?;
    store.begin_segment()?;
    store.begin_generation(generation)?;
    for (other, path) in list(dir)? {
        if other != head.position {
            std::fs::remove_file(&path).map_err(|error| JournalError::Io { path, error })?;
        }
    }
    store.cut(head.position + 1)?;
    Ok(())
}
