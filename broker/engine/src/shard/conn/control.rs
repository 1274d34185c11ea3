//! What overtakes data: answers, pings and the close frame.

use broker_protocol::frame;

/// Answers, pings and the close frame: bytes of whole frames, the first `written` of which are gone.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
}

impl Control {
    /// Drops what was not written, except for the rest of a half-written frame.
    pub(crate) fn drop_unsent(&mut self) {
        let mut end = 0;
        while end < self.written {
            end += frame::first_len(&self.bytes[end..]);
        }
        self.bytes.truncate(end);
        self.bytes.drain(..self.written);
        self.bytes.shrink_to_fit();
        self.written = 0;
    }
}
