//! The boundaries of messages.

use super::message::length_of;
use crate::Reader;
use crate::exact::Exact;
use feed_player::publication::BadRecord;

/// How many consecutive records may be unusable. More are no coincidence: the bytes read as lengths are not lengths.
const UNUSABLE_IN_A_ROW_MAX: u32 = 1_000;

/// The messages of a recording.
pub(super) struct Frames {
    input: Exact,
    /// The message that was read last. A length has two bytes, so the message is never longer than 64 KiB.
    record: Vec<u8>,
    unusable_in_a_row: u32,
}

impl Frames {
    pub(super) fn new(reader: Reader) -> Self {
        Frames { input: Exact::new(reader, 0), record: Vec::new(), unusable_in_a_row: 0 }
    }

    /// Reads the next message; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<&[u8], BadRecord>> {
        self.input.begin_record();
        match self.read() {
            Ok(true) => Some(Ok(&self.record)),
            Ok(false) => None,
            Err(reason) => {
                let position = self.input.position();
                Some(Err(BadRecord { position, reason, ends_recording: true }))
            }
        }
    }

    /// Notes that the message that was read last could be used.
    pub(super) fn usable(&mut self) {
        self.unusable_in_a_row = 0;
    }

    /// Makes a report about the message that was read last.
    pub(super) fn bad(&mut self, mut reason: String) -> BadRecord {
        self.unusable_in_a_row += 1;
        let ends_recording = self.unusable_in_a_row == UNUSABLE_IN_A_ROW_MAX;
        if ends_recording {
            reason.push_str(&format!(
                "; {UNUSABLE_IN_A_ROW_MAX} consecutive records cannot be used: this is not ITCH 5.0, or part of it is missing"
            ));
        }
        BadRecord { position: self.input.position(), reason, ends_recording }
    }

    /// Reads a message. Returns false if the recording is over. An error ends the recording.
    fn read(&mut self) -> Result<bool, String> {
        let mut length = [0; 2];
        if !self.input.fill(&mut length)? {
            return Ok(false);
        }
        let length = usize::from(u16::from_be_bytes(length));
        if length > 0 {
            self.record.resize(length, 0);
            self.input.fill_rest(&mut self.record)?;
            return Ok(true);
        }
        // A length of 0 at the end of a file means that the session is over; elsewhere the length follows from the
        // type.
        let mut kind = [0];
        if !self.input.fill(&mut kind)? {
            return Ok(false);
        }
        let [kind] = kind;
        let length = length_of(kind).ok_or_else(|| {
            format!(
                "the length is 0 and there is no message type {:?}: where the next record begins is unknown",
                char::from(kind)
            )
        })?;
        self.record.resize(length, 0);
        self.record[0] = kind;
        self.input.fill_rest(&mut self.record[1..])?;
        Ok(true)
    }
}
