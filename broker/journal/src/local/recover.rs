//! Reading a journal at the start: the newest checkpoint that fits the log, then the records after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_engine::{Applied, Engine, Limits, Logged, Now};

use super::error::JournalError;
use super::{NODE, reading_engine};
use crate::checkpoint::{self, CheckpointReader};
use crate::status::{Status, add, set};
use crate::store::{Generation, Store};
use crate::{Clock, mono_at};

/// Restores the topics and applies the log.
pub(super) fn recover(
    engine: &Engine,
    store: &Store,
    dir: &Path,
    clock: Clock,
    status: &Status,
) -> Result<Applied, JournalError> {
    recover_below(engine, store, dir, clock, status, u64::MAX)
}

/// Does the same for a log that may have lost records at its end, with an engine that only reads. A checkpoint that was
/// completed after such a record cannot be used; then an older one is.
pub(super) fn recover_shortened(
    limits: &Limits,
    store: &Store,
    dir: &Path,
    clock: Clock,
) -> Result<(Arc<Engine>, Applied), JournalError> {
    let mut below = u64::MAX;
    loop {
        let engine = reading_engine(limits, store.generation().nonce);
        match recover_below(&engine, store, dir, clock, &Status::default(), below) {
            Err(JournalError::TooShort { position, .. }) if position < below => {
                tracing::warn!(position, "a checkpoint goes on where the log has lost records, and is not used");
                below = position;
            }
            recovered => return Ok((engine, recovered?)),
        }
    }
}

/// Uses only checkpoints below this position.
fn recover_below(
    engine: &Engine,
    store: &Store,
    dir: &Path,
    clock: Clock,
    status: &Status,
    below: u64,
) -> Result<Applied, JournalError> {
    let last = store.next_position() - 1;
    set(&status.read_end, last);
    set(&status.log_bytes, store.log_bytes());
    let now = clock();
    let checkpoints = list(dir)?;
    let mut applied = Applied::default();
    let mut from = None;
    for (position, path) in checkpoints.iter().filter(|(position, _)| *position < below) {
        match usable(store, *position, path) {
            Ok(true) => {
                applied = restore(engine, path, store.generation(), now, status)?;
                from = Some(*position);
                break;
            }
            Ok(false) => tracing::warn!(position, "a checkpoint does not fit the log, and is not used"),
            Err(error) => tracing::error!(position, %error, "a checkpoint is damaged, and is not used"),
        }
    }
    let next = from.map_or(1, |from| from + 1);
    if let Some(first) = store.first().filter(|first| *first > next) {
        return Err(JournalError::Incomplete { first, checkpoints: checkpoints.len() });
    }
    if store.first().is_none() && last >= next {
        return Err(JournalError::Incomplete { first: last + 1, checkpoints: checkpoints.len() });
    }
    set(&status.read_from, next - 1);
    set(&status.read_to, next - 1);
    for stored in store.read_from(next) {
        let stored = stored?;
        let mono_us = mono_at(now, stored.ts_us);
        let logged = Logged { node: NODE, position: stored.position, ts_us: stored.ts_us, bytes: &stored.bytes };
        applied
            .apply(engine, mono_us, logged, |_, _| {})
            .map_err(|error| JournalError::Record { position: stored.position, error })?;
        set(&status.read_to, stored.position);
    }
    if !applied.is_complete() {
        return Err(JournalError::TooShort { last, position: from.unwrap_or_default() });
    }
    set(&status.position, last);
    set(&status.commands, applied.commands());
    Ok(applied)
}

/// Whether the log continues a checkpoint, which is whole.
fn usable(store: &Store, position: u64, path: &Path) -> Result<bool, JournalError> {
    if !fits(store, position, path)? {
        return Ok(false);
    }
    checkpoint::verify(path)?;
    Ok(true)
}

/// Whether the log continues a checkpoint, by its head.
pub(super) fn fits(store: &Store, position: u64, path: &Path) -> Result<bool, JournalError> {
    let next = store.next_position();
    if position >= next || store.first().map_or(next, |first| first) > position + 1 {
        return Ok(false);
    }
    let head = CheckpointReader::open(path)?.head().clone();
    if head.position != position {
        return Ok(false);
    }
    Ok(checkpoint::check_of(store, position)?.is_none_or(|check| check == head.record_check))
}

/// Lists the checkpoints of a directory, the newest first, each with its position.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    checkpoint::list(dir).map_err(|error| JournalError::Io { path: dir.into(), error })
}

/// Restores all topics of a checkpoint.
pub(super) fn restore(
    engine: &Engine,
    path: &Path,
    generation: Generation,
    now: Now,
    status: &Status,
) -> Result<Applied, JournalError> {
    let (applied, head) = checkpoint::restore(engine, path, generation.nonce, now, || add(&status.topics_restored, 1))?;
    set(&status.checkpoint_us, head.saved_us);
    if let Ok(file) = std::fs::metadata(path) {
        set(&status.checkpoint_bytes, file.len());
    }
    Ok(applied)
}
