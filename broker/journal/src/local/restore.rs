//! Making a journal of a backup. What was published after it is gone, and clients have seen it: so the journal begins a
//! new generation, with the same topics under other epochs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use broker_engine::Meanwhile;
use broker_engine::log::Sessions;

use super::copy::generation_after;
use super::error::JournalError;
use super::{generation, this_boot};
use crate::Clock;
use crate::checkpoint::{self, CheckpointReader, CheckpointWriter, Head, RestoringError, Summary, Tail, carried};
use crate::store::{Generation, Store};

/// Names that an empty directory may have: those of a file system, and of a journal that never was.
const NAMES_OF_NOTHING: [&str; 2] = ["lost+found", "lock"];

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What the backup has.
    pub backup: Summary,
    /// The generation that begins.
    pub generation: Generation,
}

/// Reads a backup to its end, and says what it has.
///
/// # Errors
/// It cannot be read, is damaged, or is the checkpoint of a running broker, which needs the log beside it.
pub fn verify_backup(file: &Path) -> Result<Summary, JournalError> {
    let summary = checkpoint::verify(file)?;
    let mut reader = CheckpointReader::open(file)?;
    while reader.next_topic()?.is_some() {}
    if reader
        .tail()
        .is_none_or(|tail| tail.complete_at > summary.head.commands || tail.meanwhile != Meanwhile::default())
    {
        return Err(JournalError::NoBackup { path: file.to_owned() });
    }
    let sessions = Sessions::restore(summary.head.sessions.clone());
    sessions.map_err(|error| RestoringError::Sessions { position: summary.head.position, error })?;
    Ok(summary)
}

/// Makes a journal in `dir`, which must be missing or empty, of the backup in `file`. It is durable when this returns.
///
/// # Errors
/// The directory is not empty, the backup is not whole, or the system refuses. Then the directory is empty again.
pub fn restore(file: &Path, dir: &Path, clock: Clock) -> Result<Restored, JournalError> {
    check_empty(dir)?;
    let backup = verify_backup(file)?;
    let old = backup.head.generation;
    // An engine that applied as many commands has this ordinal.
    let last_ordinal = match backup.head.commands {
        0 => 0,
        commands => commands * 2 + 1,
    };
    let generation = generation_after(old, generation::nonce(), last_ordinal, clock());
    // Position 0 would be that of a checkpoint before all records: a log that begins with the first needs none.
    let position = backup.head.position.max(1);
    let store = Store::make_after(dir, &this_boot(), position, generation)?;
    let head = Head { generation, position, record_check: 0, ..backup.head.clone() };
    if let Err(error) = copy(file, dir, old.nonce, &head) {
        drop(store);
        // If that fails, what is left is refused by a start, because it has no checkpoint.
        drop(empty(dir));
        return Err(error);
    }
    Ok(Restored { backup, generation })
}

/// Copies the topics, one at a time.
fn copy(file: &Path, dir: &Path, old_nonce: u64, head: &Head) -> Result<(), JournalError> {
    let mut reader = CheckpointReader::open(file)?;
    let mut writer = CheckpointWriter::create(dir, head)?;
    while let Some(topic) = reader.next_topic()? {
        writer.topic(&carried(old_nonce, head.generation.nonce, topic))?;
    }
    let written = writer.finish(&Tail { meanwhile: Meanwhile::default(), complete_at: head.commands })?;
    checkpoint::verify(&written.path)?;
    Ok(())
}

fn check_empty(dir: &Path) -> Result<(), JournalError> {
    let failed = |error| JournalError::Io { path: dir.to_owned(), error };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if !NAMES_OF_NOTHING.iter().any(|nothing| name == *nothing) {
            return Err(JournalError::NotEmpty { dir: dir.to_owned(), name: name.to_string_lossy().into() });
        }
    }
    Ok(())
}

/// Removes what [`restore`] has made in a directory that was empty.
fn empty(dir: &Path) -> io::Result<()> {
    fs::remove_file(dir.join("meta"))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("log.") || name.starts_with("checkpoint.") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
