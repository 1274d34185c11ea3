//! Backups: one checkpoint in a file of its own, which needs no log.

use std::path::Path;

use super::copy::{head, write_topics};
use super::error::JournalError;
use super::reading::{Reading, Start};
use crate::checkpoint::{self, CheckpointWriter, Summary};

impl Reading {
    /// Writes everything that a start would serve into a file that must not be there yet, and reads it again.
    ///
    /// # Errors
    /// There is such a file, the system refuses, or the file is not what was written: then it is removed again.
    pub fn backup(&self, start: &Start, file: &Path) -> Result<Summary, JournalError> {
        let (store, now) = (self.found().store(), self.now());
        let head = head(&start.engine, &start.applied, store, store.generation(), now.wall_us)?;
        let writer = CheckpointWriter::create_file(file, &head)?;
        write_topics(&start.engine, writer, now, head.commands, |topic| topic)?;
        checkpoint::verify(file).map_err(|error| {
            // If that fails, the error says all the same that the file is of no use.
            drop(std::fs::remove_file(file));
            error.into()
        })
    }
}
