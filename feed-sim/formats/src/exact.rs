//! Binary recordings, whose records have a length that is known before they are read.

use std::io::{self, Read};

use super::Reader;

/// Reads pieces of exact length, and keeps the offset of the record that they belong to.
pub(super) struct Exact {
    reader: Reader,
    /// The offset of the record that is being read, or was read last.
    start: u64,
    offset: u64,
}

impl Exact {
    /// Reads on in a recording of which `offset` bytes have been read.
    pub(super) fn new(reader: Reader, offset: u64) -> Self {
        Exact { reader, start: offset, offset }
    }

    /// Marks the beginning of a record.
    pub(super) fn begin_record(&mut self) {
        self.start = self.offset;
    }

    /// Returns the record's offset, for a report about it.
    pub(super) fn position(&self) -> String {
        format!("byte {}", self.start)
    }

    /// Fills the buffer. Returns false if the recording is over. An error ends the recording.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, String> {
        let mut read = 0;
        while read < buffer.len() {
            match self.reader.read(&mut buffer[read..]) {
                Ok(0) if read == 0 => return Ok(false),
                Ok(0) => return Err(cut()),
                Ok(bytes) => {
                    read += bytes;
                    self.offset += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("the recording cannot be read from here on: {error}")),
            }
        }
        Ok(true)
    }

    /// Fills the buffer in the middle of a record. An error ends the recording.
    pub(super) fn fill_rest(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        if self.fill(buffer)? { Ok(()) } else { Err(cut()) }
    }
}

fn cut() -> String {
    "the recording ends in the middle of a record".to_owned()
}
