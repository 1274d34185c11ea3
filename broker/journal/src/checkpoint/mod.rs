//! A checkpoint: all topics of a broker in one file, written and read one topic at a time.
//!
//! # The bytes
//!
//! ```text
//! prelude   magic, format, version of the program, checksum: 64 bytes
//! head      what the log had come to before the first topic was saved
//! topic     one block each, in the byte order of their names
//! tail      what ended and what was refused meanwhile, and how many topics there are
//! ```
//!
//! Head, topics and tail are *blocks*: kind, length and checksum of the payload, a checksum of these, then the payload.
//! Both checksums depend on the block's place. So the length is known to be right before anything is read or allocated,
//! and a byte that is missing, added, moved or another one is always found. Within a payload, integers are LEB128 in
//! their shortest form; a text is its length and its bytes; an option is a byte 0 or 1.
//!
//! A file is written under another name, synced, and renamed when it is complete. It is never changed.

mod block;
mod error;
mod fields;
mod files;
mod read;
mod restore;
mod topic;
mod write;

#[cfg(test)]
mod tests;

use broker_engine::Meanwhile;
use broker_engine::log::{NodeSession, Settings};
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Generation, Store, StoreError};

pub use self::error::{CheckpointError, Flaw};
pub use self::files::{complete as path, list, remove_leftovers};
pub use self::read::{CheckpointReader, Summary, verify};
pub use self::restore::RestoringError;
pub(crate) use self::restore::{carried, restore};
pub use self::write::{CheckpointFile, CheckpointWriter};

/// The number of the format that this program writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// Maximum bytes of a block: a topic with its image and its history, or all names that ended.
pub const BLOCK_BYTES_MAX: u64 = 4 * 1_024 * 1_024 * 1_024;
/// Maximum of a position, a place, an ordinal or a number of commands: far from where adding to it would overflow.
pub const COUNT_MAX: u64 = 1 << 62;

/// How much is read or written at once.
const BUFFER_BYTES: usize = 256 * 1_024;
/// How much of a buffer for blocks is kept for the next one.
const BUFFER_BYTES_KEPT: usize = 1_024 * 1_024;

/// What the log had come to before the first topic was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The generation of the log.
    pub generation: Generation,
    /// The position of the last record that was applied; 0 for none.
    pub position: u64,
    /// The number of commands up to there.
    pub commands: u64,
    /// The sessions of the brokers. Whoever restores them has to check them.
    pub sessions: Vec<NodeSession>,
    /// The settings that the log says, if it does.
    pub settings: Option<Settings>,
    /// XXH3 of the bytes of that record; 0 for none.
    pub record_check: u64,
    /// When this was, in µs since the UNIX epoch.
    pub saved_us: u64,
}

/// The check of the record at a position of a log, by which a checkpoint knows its log again; `None` if there is no such
/// record.
///
/// # Errors
/// It cannot be read.
pub(crate) fn check_of(store: &Store, position: u64) -> Result<Option<u64>, StoreError> {
    if store.first().is_none_or(|first| position < first) {
        return Ok(None);
    }
    store.read_from(position).next().map(|record| Ok(xxh3_64(&record?.bytes))).transpose()
}

/// What happened while the topics were saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// What ended, and what was refused.
    pub meanwhile: Meanwhile,
    /// The number of commands up to the last record that was applied before the walk ended.
    pub complete_at: u64,
}
