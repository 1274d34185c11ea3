//! `journal = "local"`: the log of one broker in a directory.
//!
//! ```text
//! open      the store, and another generation if the last run may have lost what it delivered
//! recover   the newest checkpoint that fits, then the records after it
//! drive     writes what is gathered, applies it, answers; syncs; begins and completes checkpoints
//! ```
//!
//! An update is delivered when its record is written, and synced soon after.
//!
//! While no broker has it open, a journal can be looked at, copied and exported ([`Reading`]), and one can be made of a
//! copy ([`restore()`]).

mod backup;
mod checkpointing;
mod copy;
mod drive;
mod error;
mod export;
mod generation;
mod reading;
mod recover;
mod restore;
mod survey;

use std::path::PathBuf;
use std::sync::Arc;

use broker_engine::journal::JournalOptions;
use broker_engine::{Engine, Limits};

pub use self::drive::{Drive, Pause};
pub use self::error::JournalError;
pub use self::export::{ExportError, Exported, Update};
pub use self::reading::{Checked, Reading, Served, Start, check_checkpoints};
pub use self::restore::{Restored, restore, verify_backup};
pub use self::survey::{COMMANDS, Damage, Mark, SESSIONS_MAX, Session, Survey};
use crate::checkpoint;
use crate::status::{Status, set};
use crate::store::{Generation, LastEnd, Store, boot_id};
use crate::{Clock, Order};

/// The name of the one broker of a local log.
pub const NODE: &str = "local";

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory; made if it is missing.
    pub dir: PathBuf,
    /// How long after it was written a record may not be synced, in milliseconds; 0: it is synced before it is applied.
    pub sync_ms: u64,
    /// Maximum bytes of the log.
    pub bytes_max: u64,
    /// A checkpoint is begun when the log has grown by this much since the last one, or by twice the size of that if it
    /// is more, in bytes.
    pub checkpoint_bytes: u64,
}

/// A journal that is open and not read yet.
pub struct Opened {
    store: Store,
    options: Options,
    clock: Clock,
    status: Arc<Status>,
}

impl Opened {
    /// Opens the journal's directory. If the last run may have lost what it delivered, a new generation is begun: that
    /// reads the whole log, with these limits.
    ///
    /// # Errors
    /// Another process has the directory open, its files are damaged, or the system refuses.
    pub fn open(options: Options, limits: &Limits, clock: Clock) -> Result<Self, JournalError> {
        let new = || Generation { nonce: generation::nonce(), start_us: clock().wall_us, first_ordinal: 0 };
        let mut store = Store::open(&options.dir, &this_boot(), options.sync_ms == 0, new)?;
        let leftovers = checkpoint::remove_leftovers(&options.dir);
        leftovers.map_err(|error| JournalError::Io { path: options.dir.clone(), error })?;
        if matches!(store.last_end(), LastEnd::PowerLost | LastEnd::Damaged) {
            generation::renew(&mut store, &options.dir, limits, clock)?;
        }
        let status = Arc::<Status>::default();
        set(&status.log_bytes_max, options.bytes_max);
        Ok(Self { store, options, clock, status })
    }

    /// What was found.
    pub fn last_end(&self) -> LastEnd {
        self.store.last_end()
    }

    /// What the epochs of its topics are made from.
    pub fn nonce(&self) -> u64 {
        self.store.generation().nonce
    }

    /// How ids begin.
    pub fn order(&self) -> Order {
        Order::of(self.store.generation())
    }

    /// What it tells of itself.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Reads the log into an engine that was made for it. Then publishes are taken in.
    ///
    /// # Errors
    /// No checkpoint fits the log, a file is damaged, or another version of the program wrote it.
    pub fn read(self, engine: Arc<Engine>) -> Result<Drive, JournalError> {
        let Opened { store, options, clock, status } = self;
        let applied = recover::recover(&engine, &store, &options.dir, clock, &status)?;
        Drive::start(engine, store, applied, options, clock, status)
    }
}

/// The id of this boot of the machine. Without one nobody knows whether the machine was restarted: then each crash counts
/// as one of the machine.
pub(crate) fn this_boot() -> String {
    boot_id().unwrap_or_else(|error| {
        tracing::warn!(%error, "this boot of the machine has no id (/proc/sys/kernel/random/boot_id)");
        generation::nonce().to_string()
    })
}

/// An engine that only reads a log: it has no shards, and nobody publishes.
pub(crate) fn reading_engine(limits: &Limits, nonce: u64) -> Arc<Engine> {
    let options = JournalOptions {
        nonce,
        record_bytes: 1 << 18,
        queue_bytes: 1 << 20,
        unavailable_ms: 1,
        shared: false,
        stale_ms: 0,
        wake: Box::new(|| {}),
    };
    Engine::with_journal(limits.clone(), 0, Vec::new(), options)
}
