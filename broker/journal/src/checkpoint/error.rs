//! What can go wrong with a checkpoint.

use std::io;
use std::path::{Path, PathBuf};

use broker_engine::log::varint::VarintError;
use broker_protocol::{DataError, NameError};

use super::BLOCK_BYTES_MAX;

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refuses.
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
    /// A version of the program with another format wrote it.
    #[error(
        "the checkpoint {} has format {format}, and this program ({}) knows only format {}: run version {program} or a newer one",
        path.display(), env!("CARGO_PKG_VERSION"), super::FORMAT
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format's number.
        format: u32,
        /// The version of the program that wrote it.
        program: String,
    },
    /// The file is not what was written.
    #[error("{} is damaged before byte {at}, or is neither a checkpoint nor a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How far it was read, in bytes.
        at: u64,
        /// What is wrong with it.
        #[source]
        flaw: Flaw,
    },
    /// A topic, or the names that ended, are too large. The checkpoint cannot be completed.
    #[error("block {block} of a checkpoint would have {bytes} bytes; it may have {BLOCK_BYTES_MAX}")]
    TooLong {
        /// Which block, from 0, the head.
        block: u64,
        /// Its length.
        bytes: u64,
    },
    /// A topic does not follow the one before it in byte order. The checkpoint cannot be completed.
    #[error("the topic {name} was saved after one that follows it")]
    Order {
        /// The topic.
        name: Box<str>,
    },
}

/// What is wrong with a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file, or a field's text, ends within it.
    #[error("it ends too early")]
    TooShort,
    /// There is more than there should be.
    #[error("{0} bytes follow its end")]
    Trailing(u64),
    /// A checksum is not that of the bytes.
    #[error("its checksum is not that of its bytes")]
    Check,
    /// Another kind of block was due.
    #[error("it is a block of kind {0}, which cannot stand here")]
    Kind(u8),
    /// An integer has not its shortest form.
    #[error(transparent)]
    Integer(VarintError),
    /// A field has a value that cannot be.
    #[error("{0} has an impossible value")]
    Value(&'static str),
    /// The name of a topic is not valid.
    #[error("the name of a topic is not valid")]
    Topic(#[source] NameError),
    /// A pattern of the settings is not valid.
    #[error("a pattern is not valid")]
    Pattern(#[source] NameError),
    /// An image is not JSON as it is kept.
    #[error("the image is not valid")]
    Image(#[source] DataError),
}

/// Says what was tried when the system refuses.
pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    move |source| CheckpointError::Io { doing, path: path.to_owned(), source }
}
