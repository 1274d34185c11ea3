//! The messages that overtake data: answers, heartbeats, pings, pongs and the close frame.

use broker_protocol::frame;

use crate::sink::Encoding;

/// Whole messages that overtake data, as the transport gets them. Their first `written` bytes are sent.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
}

impl Control {
    /// Adds an answer.
    pub(crate) fn text(&mut self, encoding: Option<&Encoding>, payload: &[u8]) {
        match encoding {
            Some(encoding) => encoding.push(&mut self.bytes, payload),
            None => frame::push_text(&mut self.bytes, payload),
        }
    }

    /// Adds a heartbeat, whose message is `payload` on a transport without a mark for heartbeats.
    pub(crate) fn heartbeat(&mut self, encoding: Option<&Encoding>, payload: &[u8]) {
        match encoding {
            Some(encoding) => self.bytes.extend_from_slice(encoding.heartbeat),
            None => frame::push_text(&mut self.bytes, payload),
        }
    }

    /// Adds a ping.
    pub(crate) fn ping(&mut self) {
        frame::push_ping(&mut self.bytes, b"");
    }

    /// Adds a pong, its payload cut at 125 bytes.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        frame::push_pong(&mut self.bytes, payload);
    }

    /// Adds the close frame, without a body if the code is 0.
    pub(crate) fn close(&mut self, encoding: Option<&Encoding>, code: u16, reason: &str) {
        match encoding {
            Some(encoding) => (encoding.close)(&mut self.bytes, code, reason),
            None if code == 0 => frame::push_empty_close(&mut self.bytes),
            None => frame::push_close(&mut self.bytes, code, reason),
        }
    }

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
