//! Opening a store: what the last run left, and whether anything that was delivered may be missing.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::error::{StoreError, io};
use super::meta::{Meta, State, Suspect};
use super::segment::{self, HEAD_BYTES, Segment, Tail};
use super::{Generation, LastEnd, Store, sync_dir};

impl Store {
    /// Opens the store in `dir`, or makes it there, with the generation that `new` returns. The directory is made if it
    /// is missing; its parent must be there. `boot_id` identifies this boot of the machine, see [`super::boot_id`].
    /// `sync_before`: this run syncs before it delivers, so that a loss of power loses nothing that was delivered.
    ///
    /// The newest segment is read as a whole, at most one record at a time in memory.
    ///
    /// # Errors
    /// Another process has it open; another version of the program wrote it; a file is damaged in a way that no crash
    /// explains; the system refuses.
    pub fn open(
        dir: &Path,
        boot_id: &str,
        sync_before: bool,
        new: impl FnOnce() -> Generation,
    ) -> Result<Store, StoreError> {
        let boot = xxh3_64(boot_id.as_bytes());
        make_dir(dir)?;
        let lock = Lock::take(dir)?;
        let mut found = segment::list(dir)?;
        let Some(mut meta) = Meta::open(dir)? else {
            // Nothing is appended before `meta` is there.
            if let Some((_, path)) = found.iter().find(|(_, path)| bytes_above_head(path)) {
                return Err(StoreError::Damaged { path: path.clone(), what: "there is no file `meta` beside it" });
            }
            for (_, path) in found {
                fs::remove_file(&path).map_err(io("remove", &path))?;
            }
            let state = State { generation: new(), boot, sync_before, closed_at: None, suspect: None };
            return Store::make(dir, lock, 1, state);
        };
        let Some((first, path)) = found.pop() else {
            return Err(StoreError::Damaged { path: dir.to_owned(), what: "its files `log.*` are gone" });
        };
        let mut segments = older(found, first)?;
        let (newest, tail) = Segment::scan(path, first)?;
        let last_end = end_of(&meta.state, boot, newest.next, tail);
        let suspect = match last_end {
            LastEnd::PowerLost => Some(Suspect::PowerLost),
            LastEnd::Damaged => Some(Suspect::Damaged),
            LastEnd::New | LastEnd::Clean | LastEnd::Killed => None,
        };
        let file = newest.open()?;
        // All that is there becomes durable before this run promises anything of it.
        file.sync_all().map_err(io("sync", &newest.path))?;
        // Before the tail is cut off, which is what tells that something is missing.
        let generation = meta.state.generation;
        meta.write(State { generation, boot, sync_before, closed_at: None, suspect })?;
        file.set_len(newest.end).map_err(io("shorten", &newest.path))?;
        file.sync_all().map_err(io("sync", &newest.path))?;
        sync_dir(dir)?;
        let synced = newest.end;
        segments.push(newest);
        Ok(Store {
            dir: dir.to_owned(),
            meta,
            last_end,
            segments,
            file,
            synced,
            has_failed: false,
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    /// Makes a store whose first record will have the position `first`.
    pub(super) fn make(dir: &Path, lock: Lock, first: u64, state: State) -> Result<Store, StoreError> {
        let (segment, file) = Segment::create(dir, first)?;
        let meta = Meta::create(dir, state)?;
        Ok(Store {
            dir: dir.to_owned(),
            meta,
            last_end: LastEnd::New,
            synced: segment.end,
            segments: vec![segment],
            file,
            has_failed: false,
            buffer: Vec::new(),
            _lock: lock,
        })
    }
}

/// Judges how the last run ended. `next` is the position after the last record that is there.
pub(super) fn end_of(state: &State, boot: u64, next: u64, tail: Tail) -> LastEnd {
    let is_same_boot = state.boot == boot;
    match (state.suspect, state.closed_at) {
        // A run that ended before it began another generation may have said nothing of it.
        (Some(Suspect::PowerLost), _) => LastEnd::PowerLost,
        (Some(Suspect::Damaged), _) => LastEnd::Damaged,
        (None, Some(closed_at)) if closed_at == next && tail == Tail::Whole => LastEnd::Clean,
        (None, Some(_)) => LastEnd::Damaged,
        // A process that is killed can leave the beginning of a record, but no other bytes than it wrote.
        (None, None) if is_same_boot && tail == Tail::Invalid => LastEnd::Damaged,
        (None, None) if is_same_boot || state.sync_before => LastEnd::Killed,
        (None, None) => LastEnd::PowerLost,
    }
}

/// Returns the segments before the one that begins at `newest`: each ends where the next one begins.
pub(super) fn older(found: Vec<(u64, PathBuf)>, newest: u64) -> Result<Vec<Segment>, StoreError> {
    let nexts: Vec<u64> = found.iter().skip(1).map(|(first, _)| *first).chain([newest]).collect();
    let segments = found.into_iter().zip(nexts);
    segments.map(|((first, path), next)| Ok(Segment { end: segment::bytes_of(&path)?, path, first, next })).collect()
}

fn bytes_above_head(segment: &Path) -> bool {
    fs::metadata(segment).is_ok_and(|file| file.len() > HEAD_BYTES)
}

pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_dir),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io("create the directory", dir)(error)),
    }
}

/// The lock of a store that is open.
#[derive(Debug)]
pub(super) struct Lock(pub(super) File);

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Lock, StoreError> {
        let path = dir.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that this one is just starting has a copy of the file for a moment.
        drop(self.0.unlock());
    }
}
