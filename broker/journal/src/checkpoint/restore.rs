//! Restoring all topics of a checkpoint.

use std::path::Path;

use broker_engine::log::{RestoreError, Sessions};
use broker_engine::{Applied, Engine, Now, SavedTopic, carry_epoch};

use super::Head;
use super::error::CheckpointError;
use super::read::CheckpointReader;

/// Why a checkpoint cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoringError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// It has no tail, which its reader would have found.
    #[error("the checkpoint at {position} has no end")]
    NoTail {
        /// Its position.
        position: u64,
    },
    /// Its sessions are not valid.
    #[error("the checkpoint at {position}: {error}")]
    Sessions {
        /// Its position.
        position: u64,
        /// What is wrong.
        #[source]
        error: RestoreError,
    },
}

/// Restores the topics of a checkpoint into an engine that is made for the generation with this nonce. Calls `restored`
/// after each.
///
/// # Errors
/// The checkpoint cannot be read or is not valid: the engine has some of its topics then, and is of no use.
pub(crate) fn restore(
    engine: &Engine,
    path: &Path,
    nonce: u64,
    now: Now,
    mut restored: impl FnMut(),
) -> Result<(Applied, Head), RestoringError> {
    let mut reader = CheckpointReader::open(path)?;
    let head = reader.head().clone();
    let position = head.position;
    let since_us = now.wall_us.saturating_sub(head.saved_us);
    while let Some(topic) = reader.next_topic()? {
        engine.restore_topic(now, since_us, &carried(head.generation.nonce, nonce, topic));
        restored();
    }
    let Some(tail) = reader.tail().cloned() else { return Err(RestoringError::NoTail { position }) };
    engine.restore_meanwhile(tail.meanwhile);
    if let Some(settings) = &head.settings {
        engine.adopt_settings(settings);
    }
    let sessions = Sessions::restore(head.sessions.clone());
    let sessions = sessions.map_err(|error| RestoringError::Sessions { position, error })?;
    Ok((Applied::from_checkpoint(engine, sessions, head.commands, tail.complete_at), head))
}

/// A topic with the epoch that another generation has in place of its own.
pub(crate) fn carried(from: u64, to: u64, topic: SavedTopic) -> SavedTopic {
    if from == to {
        return topic;
    }
    let epoch = carry_epoch(from, to, &topic.epoch).unwrap_or_else(|| topic.epoch.clone());
    SavedTopic { epoch, ..topic }
}
