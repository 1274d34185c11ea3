//! What a store knows about itself, in a file of its own: the generation, and how the last run ended.
//!
//! The file has two slots that are written in turn, in place. So it needs no further space, and can be written on a full
//! disk; a slot that was half written when the power failed is not valid, and the other one counts. The first bytes of a
//! slot are the same in all formats, and so are its length and the checksum at its end, so that each version of the
//! program can say which one is needed.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::error::{StoreError, io};
use super::{FORMAT, Generation, sync_dir};

const MAGIC: &[u8; 8] = b"TICKLOG\n";
const SLOT_BYTES: usize = 512;
/// The slots lie in different blocks of the disk: a write of one cannot damage the other.
const SLOTS_AT: [u64; 2] = [0, 4_096];
const FILE_BYTES: u64 = 8_192;
const PROGRAM_BYTES_MAX: usize = 64;

/// What a slot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) generation: Generation,
    /// Under which boot of the machine it was opened last: a digest of its id.
    pub(super) boot: u64,
    /// Whether the run that opened it last syncs before it delivers.
    pub(super) sync_before: bool,
    /// The position of the next record, if it was closed.
    pub(super) closed_at: Option<u64>,
    /// What was delivered may be missing, and the generation has not been changed since.
    pub(super) suspect: Option<Suspect>,
}

/// Why what was delivered may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspect {
    PowerLost,
    Damaged,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Meta {
    file: File,
    path: PathBuf,
    /// Of the newest slot; its lowest bit says which one that is.
    number: u64,
    pub(super) state: State,
}

impl Meta {
    /// Opens the file; `None` if there is none.
    pub(super) fn open(dir: &Path) -> Result<Option<Meta>, StoreError> {
        Meta::open_as(dir, OpenOptions::new().read(true).write(true))
    }

    /// Opens the file without the right to write it; `None` if there is none.
    pub(super) fn open_to_read(dir: &Path) -> Result<Option<Meta>, StoreError> {
        Meta::open_as(dir, OpenOptions::new().read(true))
    }

    fn open_as(dir: &Path, options: &OpenOptions) -> Result<Option<Meta>, StoreError> {
        let path = dir.join("meta");
        let file = match options.open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io("open", &path))?,
        };
        let mut newest: Option<(u64, [u8; SLOT_BYTES])> = None;
        for at in SLOTS_AT {
            let mut slot = [0; SLOT_BYTES];
            match file.read_exact_at(&mut slot, at) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
                read => read.map_err(io("read", &path))?,
            }
            if let Some(number) = number_of(&slot)
                && newest.is_none_or(|(newest, _)| newest < number)
            {
                newest = Some((number, slot));
            }
        }
        let damaged = |what| StoreError::Damaged { path: path.clone(), what };
        let (number, slot) = newest.ok_or_else(|| damaged("neither of its copies has a valid checksum"))?;
        let mut fields = Fields(&slot[MAGIC.len()..]);
        let head = (fields.u32(), fields.text(), fields.u64());
        let (Some(format), Some(program), Some(_)) = head else { return Err(damaged("it has no valid head")) };
        if format != FORMAT {
            return Err(StoreError::Format { dir: dir.to_owned(), format, program });
        }
        let state = fields.state().ok_or_else(|| damaged("its fields are not valid"))?;
        Ok(Some(Meta { file, path, number, state }))
    }

    /// Makes the file; it is there as a whole or not at all.
    pub(super) fn create(dir: &Path, state: State) -> Result<Meta, StoreError> {
        let (path, temporary) = (dir.join("meta"), dir.join("meta.new"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let file = file.map_err(io("create", &temporary))?;
        // Zeros that are written, not a hole: they have their space from now on.
        file.write_all_at(&[0; FILE_BYTES as usize], 0).map_err(io("write", &temporary))?;
        file.write_all_at(&encoded(0, &state), SLOTS_AT[0]).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("sync", &temporary))?;
        fs::rename(&temporary, &path).map_err(io("rename", &temporary))?;
        sync_dir(dir)?;
        Ok(Meta { file, path, number: 0, state })
    }

    /// Replaces what it says, durably.
    pub(super) fn write(&mut self, state: State) -> Result<(), StoreError> {
        let number = self.number + 1;
        let at = SLOTS_AT[(number % 2) as usize];
        self.file.write_all_at(&encoded(number, &state), at).map_err(io("write", &self.path))?;
        self.file.sync_data().map_err(io("sync", &self.path))?;
        (self.number, self.state) = (number, state);
        Ok(())
    }
}

/// Returns a slot's number, if the slot is valid.
fn number_of(slot: &[u8; SLOT_BYTES]) -> Option<u64> {
    let (said, check) = slot.split_last_chunk()?;
    let valid = said.starts_with(MAGIC) && xxh3_64(said) == u64::from_le_bytes(*check);
    let mut fields = Fields(said.get(MAGIC.len()..)?);
    valid.then(|| fields.u32().and(fields.text()).and(fields.u64())).flatten()
}

fn encoded(number: u64, state: &State) -> [u8; SLOT_BYTES] {
    let State { generation, boot, sync_before, closed_at, suspect } = state;
    let mut slot = [0; SLOT_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        slot[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(MAGIC);
    put(&FORMAT.to_le_bytes());
    let program = env!("CARGO_PKG_VERSION").as_bytes();
    let program = &program[..program.len().min(PROGRAM_BYTES_MAX)];
    put(&[program.len() as u8]);
    put(program);
    put(&number.to_le_bytes());
    put(&generation.nonce.to_le_bytes());
    put(&generation.start_us.to_le_bytes());
    put(&generation.first_ordinal.to_le_bytes());
    put(&boot.to_le_bytes());
    let suspect = match suspect {
        None => 0,
        Some(Suspect::PowerLost) => 1,
        Some(Suspect::Damaged) => 2,
    };
    put(&[u8::from(*sync_before), suspect]);
    // Positions begin at 1.
    put(&closed_at.unwrap_or(0).to_le_bytes());
    let check_at = SLOT_BYTES - 8;
    let check = xxh3_64(&slot[..check_at]);
    slot[check_at..].copy_from_slice(&check.to_le_bytes());
    slot
}

/// What is left of a slot.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let [length] = self.fixed()?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    fn state(&mut self) -> Option<State> {
        let generation = Generation { nonce: self.u64()?, start_us: self.u64()?, first_ordinal: self.u64()? };
        let boot = self.u64()?;
        let [sync_before, suspect] = self.fixed()?;
        let suspect = match suspect {
            0 => None,
            1 => Some(Suspect::PowerLost),
            2 => Some(Suspect::Damaged),
            _ => return None,
        };
        let closed_at = Some(self.u64()?).filter(|next| *next > 0);
        Some(State { generation, boot, sync_before: sync_before == 1, closed_at, suspect })
    }
}
