//! A journal that is only read, while no broker has it open: what is in it, and what a start would make of it. Nothing in
//! its directory is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_engine::log::Settings;
use broker_engine::{Applied, Engine, Limits, Now};

use super::copy::topics;
use super::error::JournalError;
use super::recover::{fits, list, recover_shortened};
use super::this_boot;
use crate::Clock;
use crate::checkpoint::{self, Summary};
use crate::store::{ReadOnly, Store};

/// A journal that is open to be read.
pub struct Reading {
    found: ReadOnly,
    dir: PathBuf,
    clock: Clock,
}

/// A checkpoint of a journal.
pub struct Checked {
    /// The position in its name.
    pub position: u64,
    /// Its file.
    pub path: PathBuf,
    /// What it has, if it is whole, and otherwise what is wrong with it.
    pub summary: Result<Summary, JournalError>,
    /// Whether the log continues it. A start uses the newest one that is whole and fits.
    pub fits: bool,
}

/// What a start would serve.
pub struct Start {
    pub(super) engine: Arc<Engine>,
    pub(super) applied: Applied,
}

/// How much a start would serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Topics.
    pub topics: u64,
    /// Their retained updates.
    pub updates: u64,
}

impl Reading {
    /// Opens the journal in this directory.
    ///
    /// # Errors
    /// There is none, a broker has it open, or a start would refuse its files.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, JournalError> {
        let found = Store::open_to_read(dir, &this_boot())?;
        Ok(Self { found, dir: dir.to_owned(), clock })
    }

    /// The log.
    pub fn found(&self) -> &ReadOnly {
        &self.found
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The present time.
    pub(super) fn now(&self) -> Now {
        (self.clock)()
    }

    /// Reads all checkpoints, the newest first, and says of each whether a start could use it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checked>, JournalError> {
        let mut checked = check_checkpoints(&self.dir)?;
        for checkpoint in checked.iter_mut().filter(|checkpoint| checkpoint.summary.is_ok()) {
            let fits = fits(self.found.store(), checkpoint.position, &checkpoint.path);
            // What cannot be read of the log beside it is said where the log is read.
            checkpoint.fits = fits.unwrap_or(false);
        }
        Ok(checked)
    }

    /// Reads the topics as a start would, with these limits.
    ///
    /// # Errors
    /// A start would refuse the journal, for this reason.
    pub fn start(&self, limits: &Limits) -> Result<Start, JournalError> {
        let store = self.found.store();
        let (engine, applied) = recover_shortened(limits, store, &self.dir, self.clock)?;
        Ok(Start { engine, applied })
    }
}

/// Reads all checkpoints of a directory, the newest first, also of one whose log is damaged: none counts as fitting it.
///
/// # Errors
/// The directory cannot be read.
pub fn check_checkpoints(dir: &Path) -> Result<Vec<Checked>, JournalError> {
    let checked = |(position, path): (u64, PathBuf)| {
        let summary = checkpoint::verify(&path).map_err(JournalError::from);
        Checked { position, path, summary, fits: false }
    };
    Ok(list(dir)?.into_iter().map(checked).collect())
}

impl Start {
    /// The settings that the log says, if it does.
    pub fn settings(&self) -> Option<Settings> {
        self.engine.journal().and_then(|journal| journal.settings())
    }

    /// The settings that a broker with these limits writes into the log when it starts, if they differ.
    pub fn own_settings(&self) -> Settings {
        self.engine.own_settings()
    }

    /// Counts what a start would serve.
    pub fn served(&self, now: Now) -> Served {
        let mut served = Served { topics: 0, updates: 0 };
        for topic in topics(&self.engine, now) {
            served.topics += 1;
            served.updates += topic.updates.len() as u64;
        }
        served
    }
}
