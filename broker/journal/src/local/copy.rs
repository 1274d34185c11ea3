//! What all checkpoints have in common, whoever writes them.

use broker_engine::{Applied, Engine, Meanwhile, Now, SavedTopic};

use crate::checkpoint::{self, CheckpointError, CheckpointFile, CheckpointWriter, Head, Tail};
use crate::store::{Generation, Store, StoreError};
use crate::walk::portions;

/// Bytes of topics that are copied at once from an engine that nobody publishes to.
const PORTION_BYTES: usize = 1 << 20;

/// What the log has come to with the last of its records, if all are applied.
///
/// # Errors
/// The last record cannot be read.
pub(super) fn head(
    engine: &Engine,
    applied: &Applied,
    store: &Store,
    generation: Generation,
    saved_us: u64,
) -> Result<Head, StoreError> {
    let position = store.next_position() - 1;
    Ok(Head {
        generation,
        position,
        commands: applied.commands(),
        sessions: applied.sessions().list(),
        settings: engine.journal().and_then(|journal| journal.settings()),
        record_check: checkpoint::check_of(store, position)?.unwrap_or(0),
        saved_us,
    })
}

/// All topics of an engine that nobody publishes to, as they are now.
pub(super) fn topics(engine: &Engine, now: Now) -> impl Iterator<Item = SavedTopic> {
    portions(engine, move || now, PORTION_BYTES).flatten()
}

/// Writes all topics, and with them the number of commands at which they are complete.
pub(super) fn write_topics(
    engine: &Engine,
    mut writer: CheckpointWriter,
    now: Now,
    commands: u64,
    change: impl Fn(SavedTopic) -> SavedTopic,
) -> Result<CheckpointFile, CheckpointError> {
    for topic in topics(engine, now) {
        writer.topic(&change(topic))?;
    }
    writer.finish(&Tail { meanwhile: Meanwhile::default(), complete_at: commands })
}

/// The generation that follows one whose last ordinal is this: ids of positions that were given out must be below its
/// own, also if the clock was set back.
pub(super) fn generation_after(old: Generation, nonce: u64, last_ordinal: u64, now: Now) -> Generation {
    let given = last_ordinal.saturating_sub(old.first_ordinal);
    let after_old = old.start_us.saturating_add(given).saturating_add(1);
    Generation { nonce, start_us: now.wall_us.max(after_old), first_ordinal: last_ordinal }
}
