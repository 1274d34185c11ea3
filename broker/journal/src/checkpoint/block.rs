//! The prelude and the heads of blocks.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::error::Flaw;
use super::{BLOCK_BYTES_MAX, FORMAT};

/// The bytes of the prelude.
pub(super) const PRELUDE_BYTES: usize = 64;
/// The bytes of a block before its payload.
pub(super) const HEAD_BYTES: usize = 25;

const MAGIC: &[u8; 8] = b"TICKCHK\n";
const PROGRAM_AT: usize = MAGIC.len() + 4;
const CHECK_AT: usize = PRELUDE_BYTES - 8;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Head = 1,
    Topic = 2,
    Tail = 3,
}

/// Returns the prelude of a file: magic, format, the version of this program, zeros, and the checksum of all that. It has
/// this form in all formats, so that each version of the program can say which one is needed.
pub(super) fn prelude() -> [u8; PRELUDE_BYTES] {
    let mut prelude = [0; PRELUDE_BYTES];
    prelude[..MAGIC.len()].copy_from_slice(MAGIC);
    prelude[MAGIC.len()..PROGRAM_AT].copy_from_slice(&FORMAT.to_le_bytes());
    for (to, from) in prelude[PROGRAM_AT..CHECK_AT].iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
        *to = from;
    }
    let check = xxh3_64(&prelude[..CHECK_AT]);
    prelude[CHECK_AT..].copy_from_slice(&check.to_le_bytes());
    prelude
}

/// Returns the format and the version of the program that wrote it.
pub(super) fn format_of(prelude: &[u8; PRELUDE_BYTES]) -> Result<(u32, String), Flaw> {
    let (said, check) = prelude.split_last_chunk().ok_or(Flaw::TooShort)?;
    let (format, program) =
        said.strip_prefix(MAGIC).and_then(|said| said.split_first_chunk()).ok_or(Flaw::Value("the file's magic"))?;
    if xxh3_64(said) != u64::from_le_bytes(*check) {
        return Err(Flaw::Check);
    }
    let program = program.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok((u32::from_le_bytes(*format), String::from_utf8_lossy(program).into_owned()))
}

/// Returns what stands before the payload of block `number`.
pub(super) fn head(number: u64, kind: Kind, payload: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[0] = kind as u8;
    head[1..9].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    head[9..17].copy_from_slice(&xxh3_64_with_seed(payload, number).to_le_bytes());
    let check = xxh3_64_with_seed(&head[..17], number);
    head[17..].copy_from_slice(&check.to_le_bytes());
    head
}

/// A block whose head was read.
pub(super) struct Announced {
    pub(super) kind: Kind,
    /// The bytes of the payload: no more than there are left of the file.
    pub(super) bytes: usize,
    check: u64,
}

impl Announced {
    /// Checks the head of block `number`, after which `left` bytes are left.
    pub(super) fn read(number: u64, head: &[u8; HEAD_BYTES], left: u64) -> Result<Announced, Flaw> {
        let (said, check) = head.split_last_chunk().ok_or(Flaw::TooShort)?;
        if xxh3_64_with_seed(said, number) != u64::from_le_bytes(*check) {
            return Err(Flaw::Check);
        }
        let (kind, said) = said.split_first().ok_or(Flaw::TooShort)?;
        let kind = match kind {
            1 => Kind::Head,
            2 => Kind::Topic,
            3 => Kind::Tail,
            other => return Err(Flaw::Kind(*other)),
        };
        let (bytes, check) = said.split_first_chunk().ok_or(Flaw::TooShort)?;
        let check = check.first_chunk().ok_or(Flaw::TooShort)?;
        let bytes = u64::from_le_bytes(*bytes);
        if bytes > BLOCK_BYTES_MAX {
            return Err(Flaw::Value("its length"));
        }
        if bytes > left {
            return Err(Flaw::TooShort);
        }
        let bytes = usize::try_from(bytes).map_err(|_| Flaw::Value("its length"))?;
        Ok(Announced { kind, bytes, check: u64::from_le_bytes(*check) })
    }

    pub(super) fn check(&self, number: u64, payload: &[u8]) -> Result<(), Flaw> {
        if xxh3_64_with_seed(payload, number) == self.check { Ok(()) } else { Err(Flaw::Check) }
    }
}
