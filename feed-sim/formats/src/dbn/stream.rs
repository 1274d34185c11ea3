//! The boundaries of records.
//!
//! The crate's own reader does not suffice, for three reasons: it treats the end of a damaged compressed file as the
//! end of the recording, it does not report the position of a record, and a record of an odd length misaligns all
//! records after it, so that their fields cannot be read. So each record's length is checked here before the record is
//! handed to the crate.

use std::io::{self, Read};

use ::dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use ::dbn::{Metadata, RecordRef};

use super::UPGRADE;
use crate::Reader;
use crate::exact::Exact;
use feed_player::publication::BadRecord;

/// The length of the beginning: `DBN`, the version, and the length of the metadata.
const PRELUDE_BYTES: usize = 8;
/// The largest metadata. A mapping takes about a hundred bytes, and no venue has a hundred thousand instruments.
const METADATA_BYTES_MAX: u32 = 64 << 20;
/// The length of a record is one byte that counts words of four bytes.
const WORD_BYTES: usize = 4;
const RECORD_BYTES_MAX: usize = 255 * WORD_BYTES;
const HEADER_BYTES: usize = 16;
/// Fields have up to eight bytes, so the length of a record is a multiple of eight, which keeps the next one aligned.
const ALIGNMENT_BYTES: usize = 8;

/// The records of a recording.
pub(super) struct Stream {
    input: Exact,
    decoder: DbnFsm,
    records: u64,
}

impl Stream {
    /// Reads the metadata.
    pub(super) fn open(mut reader: Reader) -> io::Result<(Self, Metadata)> {
        let mut prelude = [0; PRELUDE_BYTES];
        reader
            .read_exact(&mut prelude)
            .map_err(|error| invalid(format!("not DBN: its beginning is missing: {error}")))?;
        if !prelude.starts_with(b"DBN") {
            return Err(invalid("not DBN: it does not begin with these three letters".to_owned()));
        }
        let length = u32::from_le_bytes([prelude[4], prelude[5], prelude[6], prelude[7]]);
        if length > METADATA_BYTES_MAX {
            return Err(invalid(format!(
                "the metadata says that it has {length} bytes, more than {METADATA_BYTES_MAX}"
            )));
        }
        let mut bytes = Vec::new();
        (&mut reader).take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(invalid("the recording ends in the middle of the metadata".to_owned()));
        }
        let crate_error = |error: ::dbn::Error| invalid(error.to_string());
        let mut decoder: DbnFsm = DbnFsm::builder().upgrade_policy(UPGRADE).build().map_err(crate_error)?;
        decoder.write_all(&prelude);
        decoder.write_all(&bytes);
        match decoder.process() {
            ProcessResult::Metadata(metadata) => {
                let offset = (PRELUDE_BYTES + bytes.len()) as u64;
                Ok((Stream { input: Exact::new(reader, offset), decoder, records: 0 }, metadata))
            }
            ProcessResult::Err(error) => Err(crate_error(error)),
            ProcessResult::ReadMore(_) | ProcessResult::Record(()) => Err(invalid("there is no metadata".to_owned())),
        }
    }

    /// Returns how many records were read.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Reads the next record; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<RecordRef<'_>, BadRecord>> {
        self.input.begin_record();
        self.records += 1;
        match self.read() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(reason) => return Some(Err(BadRecord { ends_recording: true, ..self.bad(reason) })),
        }
        match self.decoder.last_record() {
            Some(record) => Some(Ok(record)),
            None => Some(Err(self.bad("the decoder has no record".to_owned()))),
        }
    }

    /// Makes a report about the record that was read last.
    pub(super) fn bad(&self, reason: String) -> BadRecord {
        BadRecord { position: self.input.position(), reason, ends_recording: false }
    }

    /// Reads a record. Returns false if the recording is over. An error ends the recording.
    fn read(&mut self) -> Result<bool, String> {
        let mut record = [0; RECORD_BYTES_MAX];
        if !self.input.fill(&mut record[..1])? {
            return Ok(false);
        }
        let length = usize::from(record[0]) * WORD_BYTES;
        if length < HEADER_BYTES || !length.is_multiple_of(ALIGNMENT_BYTES) {
            return Err(format!("no record has {length} bytes: where the next one begins is unknown"));
        }
        self.input.fill_rest(&mut record[1..length])?;
        self.decoder.write_all(&record[..length]);
        match self.decoder.process() {
            ProcessResult::Record(()) => Ok(true),
            ProcessResult::Err(error) => Err(error.to_string()),
            ProcessResult::ReadMore(_) | ProcessResult::Metadata(_) => Err("the decoder wants more".to_owned()),
        }
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
