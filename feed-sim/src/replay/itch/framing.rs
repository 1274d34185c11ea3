//! Where a message begins and ends.

use std::io::{self, Read};

use super::message::length_of;
use crate::publication::BadRecord;
use crate::replay::Reader;

/// So many unusable records one after the other are no coincidence: what we take for lengths are none.
const UNUSABLE_IN_A_ROW_MAX: u32 = 1_000;

/// The messages of a recording.
pub(super) struct Frames {
    reader: Reader,
    /// The message that was read last. A length has two bytes, so it is never longer than 64 KiB.
    record: Vec<u8>,
    /// Where that message began.
    start: u64,
    offset: u64,
    unusable_in_a_row: u32,
}

impl Frames {
    pub(super) fn new(reader: Reader) -> Self {
        Frames { reader, record: Vec::new(), start: 0, offset: 0, unusable_in_a_row: 0 }
    }

    /// The next message; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<&[u8], BadRecord>> {
        self.start = self.offset;
        match self.read() {
            Ok(true) => Some(Ok(&self.record)),
            Ok(false) => None,
            Err(reason) => {
                let position = self.position();
                Some(Err(BadRecord { position, reason, ends_recording: true }))
            }
        }
    }

    /// The message that was read last was a good one.
    pub(super) fn usable(&mut self) {
        self.unusable_in_a_row = 0;
    }

    /// A report about the message that was read last.
    pub(super) fn bad(&mut self, mut reason: String) -> BadRecord {
        self.unusable_in_a_row += 1;
        let ends_recording = self.unusable_in_a_row == UNUSABLE_IN_A_ROW_MAX;
        if ends_recording {
            reason.push_str(&format!(
                "; {UNUSABLE_IN_A_ROW_MAX} records one after the other cannot be used: this is no ITCH 5.0, or part of it is missing"
            ));
        }
        BadRecord { position: self.position(), reason, ends_recording }
    }

    fn position(&self) -> String {
        format!("byte {}", self.start)
    }

    /// Whether there was a message. An error is the end of the recording.
    fn read(&mut self) -> Result<bool, String> {
        if !self.take(2)? {
            return Ok(false);
        }
        let length = usize::from(u16::from_be_bytes([self.record[0], self.record[1]]));
        if length > 0 {
            return if self.take(length)? { Ok(true) } else { Err(cut()) };
        }
        // A length of 0 at the end of a file says that the session is over; elsewhere the type says the length.
        if !self.take(1)? {
            return Ok(false);
        }
        let kind = self.record[0];
        let length = length_of(kind).ok_or_else(|| {
            format!(
                "the length is 0 and there is no message type {:?}: where the next record begins is unknown",
                char::from(kind)
            )
        })?;
        if !self.take(length - 1)? {
            return Err(cut());
        }
        self.record.insert(0, kind);
        Ok(true)
    }

    /// Reads exactly so many bytes. `false`: there are none at all.
    fn take(&mut self, count: usize) -> Result<bool, String> {
        self.record.resize(count, 0);
        let mut read = 0;
        while read < count {
            match self.reader.read(&mut self.record[read..]) {
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
}

fn cut() -> String {
    "the recording ends in the middle of a record".to_owned()
}
