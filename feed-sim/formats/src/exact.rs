//! Binary recordings, whose records are of a length that is known before they are read.

use std::io::{self, Read};

use super::Reader;

/// Reads pieces of exact length, and knows where in the recording the record is that they belong to.
pub(super) struct Exact {
    reader: Reader,
    /// Where the record that is being read, or was read last, began.
    start: u64,
    offset: u64,
}

impl Exact {
    /// `offset` bytes of the recording were read before.
    pub(super) fn new(reader: Reader, offset: u64) -> Self {
        Exact { reader, start: offset, offset }
    }

    /// Here a record begins.
    pub(super) fn begin_record(&mut self) {
        self.start = self.offset;
    }

    /// Where the record is, for a report about it.
    pub(super) fn position(&self) -> String {
        format!("byte {}", self.start)
    }

    /// Fills the buffer. `false`: there is nothing at all. An error is the end of the recording.
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

    /// Fills the buffer with what has to follow. An error is the end of the recording.
    pub(super) fn fill_rest(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        if self.fill(buffer)? { Ok(()) } else { Err(cut()) }
    }
}

fn cut() -> String {
    "the recording ends in the middle of a record".to_owned()
}
