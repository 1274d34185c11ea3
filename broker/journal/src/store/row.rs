//! A record's bytes in a segment: its length, its time and a checksum, then what it says.
//!
//! ```text
//! length   four bytes, the lowest first
//! ts_us    eight bytes, the lowest first
//! check    eight bytes: XXH3 of the bytes, with the XXH3 of position, length and ts_us as its seed
//! bytes
//! ```
//!
//! The position is not written, but counts for the checksum: a row at another place than its own is not valid.

use std::io::{self, Read};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::RECORD_BYTES_MAX;

/// The bytes before those of the record.
pub(super) const HEAD_BYTES: usize = 20;

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its position, from 1.
    pub position: u64,
    /// When it was appended, in µs since the UNIX epoch.
    pub ts_us: u64,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// What was found where a row was expected.
pub(super) enum Found {
    /// The record.
    Row(Stored),
    /// The segment's end.
    End,
    /// A row that was not written to its end.
    Torn,
    /// Something else.
    Invalid,
}

/// Appends a row. The record must not be longer than [`RECORD_BYTES_MAX`].
pub(super) fn push(out: &mut Vec<u8>, position: u64, ts_us: u64, bytes: &[u8]) {
    let length = bytes.len() as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&ts_us.to_le_bytes());
    out.extend_from_slice(&check(position, length, ts_us, bytes).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads the row of this position; `left` bytes are left of the segment.
pub(super) fn read(from: &mut impl Read, position: u64, left: u64) -> io::Result<Found> {
    if left < HEAD_BYTES as u64 {
        return Ok(if left == 0 { Found::End } else { Found::Torn });
    }
    let (mut length, mut ts_us, mut written) = ([0; 4], [0; 8], [0; 8]);
    from.read_exact(&mut length)?;
    from.read_exact(&mut ts_us)?;
    from.read_exact(&mut written)?;
    let (length, ts_us) = (u32::from_le_bytes(length), u64::from_le_bytes(ts_us));
    if length as usize > RECORD_BYTES_MAX {
        return Ok(Found::Invalid);
    }
    if u64::from(length) > left - HEAD_BYTES as u64 {
        return Ok(Found::Torn);
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    let valid = check(position, length, ts_us, &bytes) == u64::from_le_bytes(written);
    Ok(if valid { Found::Row(Stored { position, ts_us, bytes }) } else { Found::Invalid })
}

fn check(position: u64, length: u32, ts_us: u64, bytes: &[u8]) -> u64 {
    let mut head = [0; 20];
    head[..8].copy_from_slice(&position.to_le_bytes());
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[12..].copy_from_slice(&ts_us.to_le_bytes());
    xxh3_64_with_seed(bytes, xxh3_64(&head))
}
