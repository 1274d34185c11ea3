//! The log on disk: the records of one broker, in the order of their positions.
//!
//! # The files
//!
//! | file | what it has |
//! |---|---|
//! | `lock` | nothing; whoever has the store open holds a lock on it |
//! | `meta` | the generation, and how the last run ended |
//! | `log.N` | a *segment*: the records from position N on, N in 20 digits |
//!
//! Records are appended to the newest segment only, each with a checksum. Segments are made, and `meta` is created, under
//! another name first: they are there as a whole or not at all.
//!
//! # What a crash leaves
//!
//! Bytes at the end of the newest segment that are not a whole valid record are cut off when the store is opened, so that
//! the log is always what was appended up to some record. If the process was killed, that is every record that was
//! appended (of one `append` that was under way, perhaps some of its records). If the power failed, it is every record
//! that was synced. Within an older segment nothing can be unfinished: it was synced before the next one was made, and a
//! damage there is an error when it is read.
//!
//! # Why not a store from a crate
//!
//! A log needs only the end of a file. fjall, which was tried, does not open when a byte of the last record is another
//! one, writes every record twice, and needs space on the disk to delete.

mod error;
mod meta;
mod open;
mod read;
mod read_only;
mod restored;
mod row;
mod segment;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use self::error::StoreError;
pub use self::read::Records;
pub use self::read_only::{ReadOnly, SegmentFile};
pub use self::row::Stored;

use self::error::io as failed_to;
use self::meta::{Meta, State};
use self::open::Lock;
use self::segment::Segment;

/// Maximum bytes of a record: the longest message and a full record before it, with room.
pub const RECORD_BYTES_MAX: usize = 128 * 1_024 * 1_024;

/// The number of the format that this program writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// How much of the buffer for appending is kept for the next time.
const BUFFER_BYTES_KEPT: usize = 1_024 * 1_024;

/// What sets the epochs of this log apart, and when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// A random number, part of every epoch.
    pub nonce: u64,
    /// When it began, in µs since the UNIX epoch.
    pub start_us: u64,
    /// The last ordinal of the generation before it, to which those of this one are added; 0 for the first.
    pub first_ordinal: u64,
}

/// What was found when the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastEnd {
    /// Nothing: the store was made.
    New,
    /// It was closed.
    Clean,
    /// It was not closed, but all that was written is there: the machine still runs, or everything was synced before it
    /// was delivered.
    Killed,
    /// It was not closed, and the machine was restarted: records that were delivered may be missing. Stays so until
    /// [`Store::begin_generation`].
    PowerLost,
    /// Records at the end are missing or damaged that no crash explains. Stays so until [`Store::begin_generation`].
    Damaged,
}

/// The log of one broker on disk. It has no threads; whoever owns it decides when it syncs.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    meta: Meta,
    last_end: LastEnd,
    /// In the order of their positions, without holes; at least one, the newest.
    segments: Vec<Segment>,
    /// The newest segment.
    file: File,
    /// The bytes of the newest segment that are on the disk.
    synced: u64,
    /// Whether a write failed; what it left behind is not known.
    has_failed: bool,
    buffer: Vec<u8>,
    _lock: Lock,
}

impl Store {
    /// Returns the generation.
    pub fn generation(&self) -> Generation {
        self.meta.state.generation
    }

    /// Begins another generation, with the same records. It is durable when this returns.
    ///
    /// # Errors
    /// The system refuses; the old generation then counts.
    pub fn begin_generation(&mut self, generation: Generation) -> Result<(), StoreError> {
        let state = State { generation, suspect: None, ..self.meta.state.clone() };
        self.meta.write(state)
    }

    /// Returns how the last run ended, as it was found when the store was opened.
    pub fn last_end(&self) -> LastEnd {
        self.last_end
    }

    /// Returns the position of the first record that is there.
    pub fn first(&self) -> Option<u64> {
        let first = self.begin();
        (first < self.next_position()).then_some(first)
    }

    /// Returns the position of the last record that is there.
    pub fn last(&self) -> Option<u64> {
        let next = self.next_position();
        (self.begin() < next).then(|| next - 1)
    }

    /// Returns the position that the next record must have. It counts on when all records were deleted.
    pub fn next_position(&self) -> u64 {
        self.segments.last().map_or(1, |newest| newest.next)
    }

    /// Returns the bytes of all records that are there, without what the store adds.
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::record_bytes).sum()
    }

    /// Appends records: position, time in µs since the UNIX epoch, bytes. Afterwards they outlive the process, but not a
    /// loss of power before the next [`Store::sync`]. Either all are appended or, after an error, none.
    ///
    /// # Errors
    /// A record does not continue the log or is too long: nothing has changed. The system refuses, above all because the
    /// disk is full: [`Store::reopen`] has to follow.
    pub fn append<'a>(&mut self, records: impl IntoIterator<Item = (u64, u64, &'a [u8])>) -> Result<(), StoreError> {
        self.check()?;
        let Some(newest) = self.segments.last_mut() else { return Err(StoreError::Failed) };
        self.buffer.clear();
        let mut next = newest.next;
        for (position, ts_us, bytes) in records {
            if position != next {
                return Err(StoreError::Position { position, next });
            }
            if bytes.len() > RECORD_BYTES_MAX {
                return Err(StoreError::TooLong { position, bytes: bytes.len() });
            }
            row::push(&mut self.buffer, position, ts_us, bytes);
            next += 1;
        }
        if let Err(source) = self.file.write_all_at(&self.buffer, newest.end) {
            self.has_failed = true;
            return Err(failed_to("write", &newest.path)(source));
        }
        newest.end += self.buffer.len() as u64;
        newest.next = next;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Returns once all that was appended is on the disk.
    ///
    /// # Errors
    /// The system refuses: [`Store::reopen`] has to follow.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.check()?;
        let Some(newest) = self.segments.last() else { return Err(StoreError::Failed) };
        if let Err(source) = self.file.sync_data() {
            self.has_failed = true;
            return Err(failed_to("sync", &newest.path)(source));
        }
        self.synced = newest.end;
        Ok(())
    }

    /// Begins another segment with the next record, unless the newest has none yet. What was appended is synced first.
    ///
    /// # Errors
    /// The system refuses: [`Store::reopen`] has to follow.
    pub fn begin_segment(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        if self.segments.last().is_none_or(|newest| newest.first == newest.next) {
            return Ok(());
        }
        match Segment::create(&self.dir, self.next_position()) {
            Ok((segment, file)) => {
                (self.file, self.synced) = (file, segment.end);
                self.segments.push(segment);
                Ok(())
            }
            Err(error) => {
                // Its file may be there: it must not stay while records are appended to the one before.
                self.has_failed = true;
                Err(error)
            }
        }
    }

    /// Deletes the segments that have only records below this position, the oldest first, but never the newest segment.
    /// Needs no space on the disk, and works also while the store waits to be reopened.
    ///
    /// # Errors
    /// The system refuses; segments that remain can be deleted the next time.
    pub fn cut(&mut self, below: u64) -> Result<(), StoreError> {
        while let [oldest, _, ..] = &self.segments[..]
            && oldest.next <= below
        {
            fs::remove_file(&oldest.path).map_err(failed_to("remove", &oldest.path))?;
            self.segments.remove(0);
            // One by one: after a loss of power, none is gone that lies behind one that is still there.
            sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Opens the newest segment again after an error. What was appended before is there, and nothing of what failed.
    /// Can be called again and again; on a full disk it may succeed, and the next append then fails.
    ///
    /// # Errors
    /// The system still refuses, or the segment has lost what was appended before.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.has_failed = true;
        let Some(newest) = self.segments.last() else { return Err(StoreError::Failed) };
        for (first, path) in segment::list(&self.dir)? {
            if first > newest.first {
                fs::remove_file(&path).map_err(failed_to("remove", &path))?;
                sync_dir(&self.dir)?;
            }
        }
        let file = newest.open()?;
        if segment::bytes_of(&newest.path)? < newest.end {
            return Err(StoreError::Damaged { path: newest.path.clone(), what: "it is shorter than what was written" });
        }
        file.set_len(newest.end).map_err(failed_to("shorten", &newest.path))?;
        newest.rewrite(&file, self.synced).map_err(failed_to("write", &newest.path))?;
        file.sync_all().map_err(failed_to("sync", &newest.path))?;
        (self.file, self.synced, self.has_failed) = (file, newest.end, false);
        Ok(())
    }

    /// Syncs what was appended, and marks the store as closed, durably.
    ///
    /// # Errors
    /// The system refuses, or the store waits to be reopened: when it is opened the next time, the process counts as
    /// killed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.sync()?;
        let state = State { closed_at: Some(self.next_position()), ..self.meta.state.clone() };
        self.meta.write(state)
    }

    fn begin(&self) -> u64 {
        self.segments.first().map_or(1, |oldest| oldest.first)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.has_failed { Err(StoreError::Failed) } else { Ok(()) }
    }
}

/// Returns the id of this boot of the machine, for [`Store::open`].
///
/// # Errors
/// `/proc` is not there, or says something else.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Makes what was created, renamed or removed in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed_to("sync", dir))
}
