//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use super::RECORD_BYTES_MAX;

/// Why a store cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused: no space, no permission, a failing disk.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as in "cannot open".
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("another process has the journal in {} open: stop that one, or give this one a directory of its own", dir.display())]
    Locked {
        /// The store's directory.
        dir: PathBuf,
    },
    /// A broker, or another command, has it open, and it was to be read or made.
    #[error("a broker has the journal in {} open: stop it first", dir.display())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },
    /// There is no store to be read.
    #[error("there is no journal in {}", dir.display())]
    Absent {
        /// The directory that was looked at.
        dir: PathBuf,
    },
    /// A version of the program with another format wrote it.
    #[error(
        "the journal in {} has format {format}, and this program ({}) knows only format {}: run version {program} or a newer one",
        dir.display(), env!("CARGO_PKG_VERSION"), super::FORMAT
    )]
    Format {
        /// The store's directory.
        dir: PathBuf,
        /// The format's number.
        format: u32,
        /// The version of the program that wrote it.
        program: String,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {what}; restore a backup (`tickcast journal restore`), or move the directory away to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A record in the middle of the log is not what was written, or is missing.
    #[error("the log has no valid record {position} in {}", path.display())]
    Hole {
        /// The first position that cannot be read.
        position: u64,
        /// The file in which it was expected.
        path: PathBuf,
    },
    /// The record was deleted, because a checkpoint made it superfluous.
    #[error("the log begins at record {first}; record {position} was asked for")]
    Cut {
        /// The position that was asked for.
        position: u64,
        /// The first that is there, or would be.
        first: u64,
    },
    /// A record does not continue the log. Nothing was written.
    #[error("record {position} does not continue the log, whose next record is {next}")]
    Position {
        /// The record's position.
        position: u64,
        /// The position that was due.
        next: u64,
    },
    /// A record is too long. Nothing was written.
    #[error("record {position} has {bytes} bytes; a record may have {RECORD_BYTES_MAX}")]
    TooLong {
        /// The record's position.
        position: u64,
        /// Its length.
        bytes: usize,
    },
    /// The log takes what it may.
    #[error("the log would take more than {bytes_max} bytes (journal_bytes_max), and no checkpoint has made room")]
    LogFull {
        /// Its bound.
        bytes_max: u64,
    },
    /// An earlier write failed.
    #[error("the journal has to be reopened after an error")]
    Failed,
}

impl StoreError {
    /// Whether the disk, or what may be used of it, is full: worth trying again once there is room.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}

/// Says what was tried when the system refuses.
pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, path: path.to_owned(), source }
}
