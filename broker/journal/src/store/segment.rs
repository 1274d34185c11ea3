//! A segment: a file with the records from one position on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::error::{StoreError, io};
use super::row::{self, Found};
use super::sync_dir;

const MAGIC: &[u8; 8] = b"TICKSEG\x01";
/// The bytes before the first row: the magic, the first position, and the checksum of both.
pub(super) const HEAD_BYTES: u64 = 24;
/// How much is read, or written again, at once.
const BUFFER_BYTES: usize = 64 * 1_024;

/// A segment that no longer grows, or the newest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The position of its first record.
    pub(super) first: u64,
    /// The position after its last record.
    pub(super) next: u64,
    /// The bytes of the file.
    pub(super) end: u64,
}

/// Why a scan ended before the file did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// It did not: every byte belongs to a valid row.
    Whole,
    /// The last row was not written to its end.
    Torn,
    /// Something else than a row stands there.
    Invalid,
}

impl Segment {
    /// The bytes of its records.
    pub(super) fn record_bytes(&self) -> u64 {
        let heads = (self.next - self.first).saturating_mul(row::HEAD_BYTES as u64);
        self.end.saturating_sub(heads.saturating_add(HEAD_BYTES))
    }

    /// Makes an empty segment and opens it; it is there as a whole or not at all.
    pub(super) fn create(dir: &Path, first: u64) -> Result<(Segment, File), StoreError> {
        let (path, temporary) = (path(dir, first), dir.join("log.new"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let file = file.map_err(io("create", &temporary))?;
        file.write_all_at(&head(first), 0).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("sync", &temporary))?;
        fs::rename(&temporary, &path).map_err(io("rename", &temporary))?;
        sync_dir(dir)?;
        Ok((Segment { path, first, next: first, end: HEAD_BYTES }, file))
    }

    /// Opens the file for appending.
    pub(super) fn open(&self) -> Result<File, StoreError> {
        OpenOptions::new().read(true).write(true).open(&self.path).map_err(io("open", &self.path))
    }

    /// Finds the last valid record, by reading all of them.
    pub(super) fn scan(path: PathBuf, first: u64) -> Result<(Segment, Tail), StoreError> {
        let mut segment = Segment { end: bytes_of(&path)?, path, first, next: first };
        let mut rows = Rows::new(&segment)?;
        let tail = loop {
            match rows.read().map_err(io("read", &segment.path))? {
                Found::Row(_) => {}
                Found::End => break Tail::Whole,
                Found::Torn => break Tail::Torn,
                Found::Invalid => break Tail::Invalid,
            }
        };
        (segment.next, segment.end) = (rows.position, rows.at);
        Ok((segment, tail))
    }

    /// Writes the bytes from this place on again. When a sync fails, the system may take what it could not write for
    /// written; the next sync would then succeed without it.
    pub(super) fn rewrite(&self, file: &File, from: u64) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut at = from;
        while at < self.end {
            let bytes = (self.end - at).min(BUFFER_BYTES as u64);
            let part = &mut buffer[..bytes as usize];
            file.read_exact_at(part, at)?;
            file.write_all_at(part, at)?;
            at += bytes;
        }
        Ok(())
    }
}

/// Reads a segment's rows from the first one on.
#[derive(Debug)]
pub(super) struct Rows {
    from: BufReader<File>,
    /// The position of the next row.
    pub(super) position: u64,
    /// Where it begins.
    at: u64,
    end: u64,
}

impl Rows {
    pub(super) fn new(segment: &Segment) -> Result<Rows, StoreError> {
        let damaged = |what| StoreError::Damaged { path: segment.path.clone(), what };
        let mut file = File::open(&segment.path).map_err(io("open", &segment.path))?;
        if segment.end < HEAD_BYTES {
            return Err(damaged("it ends within its head"));
        }
        let mut found = [0; HEAD_BYTES as usize];
        file.read_exact(&mut found).map_err(io("read", &segment.path))?;
        if found != head(segment.first) {
            return Err(damaged("its head is not that of a segment of this name"));
        }
        file.seek(SeekFrom::Start(HEAD_BYTES)).map_err(io("read", &segment.path))?;
        let from = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Rows { from, position: segment.first, at: HEAD_BYTES, end: segment.end })
    }

    /// Reads the next row. After anything else than a row it must not be called again.
    pub(super) fn read(&mut self) -> io::Result<Found> {
        let found = row::read(&mut self.from, self.position, self.end - self.at)?;
        if let Found::Row(stored) = &found {
            self.position += 1;
            self.at += (row::HEAD_BYTES + stored.bytes.len()) as u64;
        }
        Ok(found)
    }
}

/// Lists the segments as [`named`] does, and removes one that was not finished.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let unfinished = dir.join("log.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(io("remove", &unfinished))?,
    }
    named(dir)
}

/// Lists the segments in the order of their positions. Each ends where the next one begins; how the last one ends is not
/// known yet.
pub(super) fn named(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io("list", dir))? {
        let path = entry.map_err(io("list", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("log."));
        match name {
            Some(first) if first.len() == 20 && first.bytes().all(|byte| byte.is_ascii_digit()) => {
                let first = first.parse().ok().filter(|first| (1..u64::MAX / 2).contains(first));
                let what = "its name has no possible position";
                found.push((first.ok_or_else(|| StoreError::Damaged { path: path.clone(), what })?, path));
            }
            _ => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) fn bytes_of(path: &Path) -> Result<u64, StoreError> {
    Ok(fs::metadata(path).map_err(io("read", path))?.len())
}

fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("log.{first:020}"))
}

fn head(first: u64) -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&first.to_le_bytes());
    let check = xxh3_64(&head[..16]);
    head[16..].copy_from_slice(&check.to_le_bytes());
    head
}
