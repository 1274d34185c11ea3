//! Where a message begins and ends.

use super::message::length_of;
use crate::Reader;
use crate::exact::Exact;
use feed_player::publication::BadRecord;

/// So many unusable records one after the other are no coincidence: what we take for lengths are none.
const UNUSABLE_IN_A_ROW_MAX: u32 = 1_000;

/// The messages of a recording.
pub(super) struct Frames {
    input: Exact,
    /// The message that was read last. A length has two bytes, so it is never longer than 64 KiB.
    record: Vec<u8>,
    unusable_in_a_row: u32,
}

impl Frames {
    pub(super) fn new(reader: Reader) -> Self {
        Frames { input: Exact::new(reader, 0), record: Vec::new(), unusable_in_a_row: 0 }
    }

    /// The next message; `None` after the last.
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
        BadRecord { position: self.input.position(), reason, ends_recording }
    }

    /// Whether there was a message. An error is the end of the recording.
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
        // A length of 0 at the end of a file says that the session is over; elsewhere the type says the length.
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
