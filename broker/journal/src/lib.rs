//! The journal of a broker on disk: the log of its commands, and checkpoints of its topics.
//!
//! Every publish is a command in a record of the log, see [`broker_engine::log`]. With `journal = "local"` a broker
//! writes a record before it applies it. Now and then it writes a checkpoint; then the older part of the log is
//! superfluous. After a restart it restores the newest checkpoint that is valid, and applies the log from there.
//!
//! | module | what it has |
//! |---|---|
//! | [`store`] | the log: records under consecutive positions, in segments that can be deleted |
//! | [`checkpoint`] | files with all topics, written and read one topic at a time |
//! | [`local`] | how a broker uses both: the start, writing and applying, when checkpoints are due |
//!
//! Time and the randomness of a generation are passed in, except that a checkpoint is written by a thread of its own.
//!
//! # The order on disk
//!
//! Whoever writes a checkpoint must sync the store before [`checkpoint::CheckpointWriter::finish`], and cut it only
//! afterwards. Then no checkpoint is ahead of the log, and the log always has what the checkpoint does not.

pub mod checkpoint;
mod error;
pub mod local;
#[cfg(feature = "nats")]
pub mod nats;
mod status;
pub mod store;
mod walk;

use broker_engine::Now;
pub use local::{Drive, JournalError, Opened, Options, Pause};
pub use status::{Status, get};
pub use store::LastEnd;

use crate::store::Generation;

/// The clocks.
pub type Clock = fn() -> Now;

/// How the ids of positions begin with a generation.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The id of ordinal 0.
    pub base: u64,
    /// The ordinal at which the generation began; ordinals before it have no ids.
    pub first: u64,
    /// When that was, in µs since the UNIX epoch.
    pub start_us: u64,
}

impl Order {
    fn of(generation: Generation) -> Self {
        let Generation { start_us, first_ordinal, .. } = generation;
        Self { base: start_us.saturating_sub(first_ordinal), first: first_ordinal, start_us }
    }
}

/// The moment of this run's monotonic clock at which the wall clock said this. What happened before the machine was
/// started counts as that old.
pub(crate) fn mono_at(now: Now, ts_us: u64) -> u64 {
    now.mono_us.saturating_sub(now.wall_us.saturating_sub(ts_us))
}

#[cfg(test)]
mod test_dir {
    //! Directories for tests.

    use std::path::Path;

    use tempfile::TempDir;

    /// Makes one in memory if it can: the tests sync thousands of times, and a disk that others use makes each of them
    /// slow.
    pub(crate) fn test_dir() -> TempDir {
        let memory = Path::new("/dev/shm");
        let in_memory = memory.is_dir().then(|| tempfile::tempdir_in(memory)).and_then(Result::ok);
        in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
    }
}
