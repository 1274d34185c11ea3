//! Opening a store to read it. Nothing in the directory is changed: what a start would cut off, mark or remove stays.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::Store;
use super::error::{StoreError, io};
use super::meta::Meta;
use super::open::{Lock, end_of, older};
use super::segment::{self, Segment, Tail};

/// A store that is open to be read. Others can read it at the same time, and no broker can open it meanwhile.
#[derive(Debug)]
pub struct ReadOnly {
    /// Only lent, so that nobody can append to it, close it, or begin a generation.
    store: Store,
    tail: Tail,
    unfinished_bytes: u64,
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// The position of its first record.
    pub first: u64,
    /// The position after its last record, at which the next segment begins.
    pub next: u64,
    /// The bytes of the file, up to the end of its last whole record.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in `dir` to read it. `boot_id` is that of [`Store::open`]: by it the end of the last run is
    /// judged, as a start would.
    ///
    /// # Errors
    /// There is no store, a broker has it open, another version of the program wrote it, a file is damaged so that a
    /// start would refuse it, or the system refuses.
    pub fn open_to_read(dir: &Path, boot_id: &str) -> Result<ReadOnly, StoreError> {
        let lock = lock_shared(dir)?;
        let found = segment::named(dir)?;
        let meta = match Meta::open_to_read(dir)? {
            Some(meta) => meta,
            None => {
                return Err(match found.into_iter().next() {
                    Some((_, path)) => StoreError::Damaged { path, what: "there is no file `meta` beside it" },
                    None => StoreError::Absent { dir: dir.to_owned() },
                });
            }
        };
        let mut found = found;
        let Some((first, path)) = found.pop() else {
            return Err(StoreError::Damaged { path: dir.to_owned(), what: "its files `log.*` are gone" });
        };
        let mut segments = older(found, first)?;
        let (newest, tail) = Segment::scan(path, first)?;
        let unfinished_bytes = segment::bytes_of(&newest.path)?.saturating_sub(newest.end);
        let last_end = end_of(&meta.state, xxh3_64(boot_id.as_bytes()), newest.next, tail);
        let file = File::open(&newest.path).map_err(io("open", &newest.path))?;
        let synced = newest.end;
        segments.push(newest);
        let store = Store {
            dir: dir.to_owned(),
            meta,
            last_end,
            segments,
            file,
            synced,
            // Nobody can write; if somebody could, it would be refused.
            has_failed: true,
            buffer: Vec::new(),
            _lock: lock,
        };
        Ok(ReadOnly { store, tail, unfinished_bytes })
    }
}

impl ReadOnly {
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The bytes at the end that are not a whole record, and that a start cuts off.
    pub fn unfinished_bytes(&self) -> u64 {
        self.unfinished_bytes
    }

    /// Whether those bytes are the beginning of a record, as a crash leaves it.
    pub fn is_torn(&self) -> bool {
        self.tail == Tail::Torn
    }

    /// The segments in the order of their positions.
    pub fn segments(&self) -> impl Iterator<Item = SegmentFile> {
        let file = |segment: &Segment| SegmentFile {
            path: segment.path.clone(),
            first: segment.first,
            next: segment.next,
            bytes: segment.end,
        };
        self.store.segments.iter().map(file)
    }
}

/// Takes the lock beside others that read. Where a copy of the directory has no file for it, nobody has it open; then
/// the directory itself is locked, so that none has to be made.
fn lock_shared(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join("lock");
    let file = match File::open(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => match File::open(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::Absent { dir: dir.to_owned() });
            }
            dir_file => dir_file.map_err(io("open", dir))?,
        },
        file => file.map_err(io("open", &path))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}
