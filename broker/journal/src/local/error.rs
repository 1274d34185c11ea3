//! Why a journal cannot be used.

use std::io;
use std::path::PathBuf;

use broker_engine::log::{Dropped, Flaw, RecordError};

use crate::checkpoint::{CheckpointError, RestoringError};
use crate::store::StoreError;

/// Why a journal cannot be opened, read or driven.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The log's files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The directory.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// A record that stands in the log cannot be read.
    #[error(
        "record {position} of the log cannot be applied: {error}. Another version of tickcast may have written it; \
         `tickcast journal verify` tells more"
    )]
    Record {
        /// Its position.
        position: u64,
        /// What is wrong with it.
        #[source]
        error: RecordError,
    },
    /// A record that this broker has just written does not count.
    #[error("record {position}, which was just written, does not count: {dropped}. This is a bug")]
    Dropped {
        /// Its position.
        position: u64,
        /// Why.
        dropped: Dropped,
    },
    /// A checkpoint cannot be restored.
    #[error(transparent)]
    Restoring(#[from] RestoringError),
    /// The log begins later than any checkpoint that can be used.
    #[error(
        "the log begins with record {first}, and there is no checkpoint that it continues: {checkpoints} of them cannot \
         be used. Restore a backup with `tickcast journal restore`, or move the directory away to begin anew"
    )]
    Incomplete {
        /// The first record that is there.
        first: u64,
        /// Checkpoints that were looked at.
        checkpoints: usize,
    },
    /// The log ends before what a checkpoint has.
    #[error(
        "the log ends with record {last}, and the checkpoint at {position} goes on: records are missing. Restore a backup \
         with `tickcast journal restore`"
    )]
    TooShort {
        /// The last record.
        last: u64,
        /// The checkpoint's position.
        position: u64,
    },
    /// A directory that a journal was to be made in has something in it.
    #[error("{} is not empty: it has {name}. Move it away, or name another directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// A name in it.
        name: Box<str>,
    },
    /// A checkpoint was taken for a backup.
    #[error(
        "{} is a checkpoint that a running broker wrote, and is not complete without the log beside it: make a backup with \
         `tickcast journal backup`", path.display()
    )]
    NoBackup {
        /// The file.
        path: PathBuf,
    },
    /// An export was to begin with a record that is superfluous by now.
    #[error(
        "record {from} is no longer in the log, whose updates begin with record {begin}: begin there, or without a position \
         to have what was published before from a checkpoint"
    )]
    NotInLog {
        /// The position that was asked for.
        from: u64,
        /// The first that can be exported.
        begin: u64,
    },
    /// What this broker says of itself does not fit into a record.
    #[error("the journal's own record: {0}")]
    Own(#[from] Flaw),
}
