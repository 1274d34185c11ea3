//! Server-Sent Events (WHATWG HTML, §9.2) for networks that block WebSocket: the same messages with other marks around
//! them.
//!
//! ```text
//! message         data: {"op":"update",…}        the last one of a turn, if the client is in step, with  id: POSITION
//! heartbeat       : heartbeat                    a comment, which clients ignore
//! close frame     : closed 1001 going away       and the end of the stream
//! ping, pong      nothing
//! ```
//!
//! The engine writes the payloads of frames with these marks. One turn's bytes are held until the socket has taken
//! them. Nothing more is accepted before that, so the engine notices that a reader is slow.

use std::cell::RefCell;
use std::io::{self, Write};

use broker_engine::Encoding;

/// The marks around messages. JSON as the broker writes it has no line breaks, so one `data` line holds any message.
pub(super) const ENCODING: Encoding =
    Encoding { before: b"data: ", after: END, heartbeat: HEARTBEAT_COMMENT, close: push_closed };

/// An empty line ends an event.
const END: &[u8] = b"\n\n";
const HEARTBEAT_COMMENT: &[u8] = b": heartbeat\n\n";
/// The bytes of the line with the longest id.
const ID_BYTES_MAX: usize = "id: ".len() + 20 + "\n".len();
/// A buffer that a large image made larger than this is freed.
const BYTES_KEPT: usize = 64 * 1024;

thread_local! {
    /// The memory for a turn's bytes, used by one stream after the other. A stream at rest holds none, and none is
    /// allocated as long as sockets take whole turns.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Empties a buffer, and keeps its memory for the next stream.
fn give_back(buffer: &mut Vec<u8>) {
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if buffer.capacity() > spare.capacity() && buffer.capacity() <= BYTES_KEPT {
            *spare = buffer;
        }
    });
}

/// Appends the comment that replaces a close frame.
fn push_closed(out: &mut Vec<u8>, code: u16, reason: &str) {
    // Writing to memory does not fail.
    let _ = write!(out, ": closed {code} {}", reason.replace(['\r', '\n'], " "));
    out.extend_from_slice(END);
}

/// The writer of one stream.
#[derive(Default)]
pub(super) struct Writer {
    /// One turn's bytes, the first `sent` of which the socket has taken.
    out: Vec<u8>,
    sent: usize,
    /// Whether `out` begins in the middle of a message.
    begins_cut: bool,
    /// Whether the bytes so far end in the middle of a message.
    is_cut: bool,
    /// The newest id that was sent.
    id: u64,
}

impl Writer {
    /// Takes a turn's bytes, to be sent with the next [`Writer::flush`]. Everything before them must have been sent.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.out.capacity() == 0 {
            self.out = SPARE.take();
        }
        if self.out.is_empty() {
            self.begins_cut = self.is_cut;
        }
        self.out.extend_from_slice(bytes);
        self.is_cut = !bytes.ends_with(END);
    }

    /// Adds the position up to which the client has everything, to the turn's last event if there is one.
    pub(super) fn in_step(&mut self, id: u64) {
        if id <= self.id || self.is_cut {
            return;
        }
        self.id = id;
        let mut line = [0; ID_BYTES_MAX];
        let mut rest = &mut line[..];
        // The line is long enough for any number.
        let _ = writeln!(rest, "id: {id}");
        let len = ID_BYTES_MAX - rest.len();
        let line = line[..len].iter().copied();
        match self.last_event().filter(|at| *at >= self.sent) {
            Some(at) => drop(self.out.splice(at..at, line)),
            // An id alone is not an event, but the client remembers it.
            None => self.out.extend(line.chain([b'\n'])),
        }
    }

    /// Returns the offset of the event with which `out` ends: it begins after an empty line, or at the beginning of `out`,
    /// unless that is in the middle of a message. `None` if `out` ends with a comment.
    fn last_event(&self) -> Option<usize> {
        let before = self.out.strip_suffix(END)?;
        let begin = match before.windows(END.len()).rposition(|two| two == END) {
            Some(at) => at + END.len(),
            None if self.begins_cut => return None,
            None => 0,
        };
        self.out[begin..].starts_with(ENCODING.before).then_some(begin)
    }

    /// Adds a comment, unless the stream is in the middle of a message, whose rest will be sent anyway.
    pub(super) fn probe(&mut self) {
        if !self.is_cut {
            self.out.extend_from_slice(HEARTBEAT_COMMENT);
        }
    }

    /// Writes what is held. Returns whether the socket, or the layer before it, took all of it.
    pub(super) fn flush(&mut self, way: &mut impl Write) -> io::Result<bool> {
        while self.sent < self.out.len() {
            match way.write(&self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.sent, self.begins_cut) = (0, false);
        give_back(&mut self.out);
        Ok(true)
    }

    /// Returns the bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.out.capacity()
    }

    /// Returns the number of bytes that are still to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(writer: &Writer) -> &str {
        str::from_utf8(&writer.out).expect("text")
    }

    #[test]
    fn the_last_event_of_a_turn_has_the_id() {
        let mut writer = Writer::default();
        writer.take(b"data: 1\n\ndata: 2\n\n");
        writer.in_step(1007);
        assert_eq!(text(&writer), "data: 1\n\nid: 1007\ndata: 2\n\n");
        // An id is added once.
        writer.in_step(1007);
        assert_eq!(text(&writer), "data: 1\n\nid: 1007\ndata: 2\n\n");
        writer.out.clear();
        writer.in_step(1009);
        assert_eq!(text(&writer), "id: 1009\n\n");
        // The beginning of what is held has been sent already.
        writer.sent = 3;
        writer.in_step(1010);
        assert_eq!(text(&writer), "id: 1009\n\nid: 1010\n\n");
    }

    #[test]
    fn nothing_comes_between_the_parts_of_a_message() {
        let mut writer = Writer::default();
        writer.take(b"data: {\"op\":\"image\",");
        writer.probe();
        writer.in_step(1);
        writer.take(b"\"data\":1}\n\n");
        writer.probe();
        assert_eq!(text(&writer), "data: {\"op\":\"image\",\"data\":1}\n\n: heartbeat\n\n");
    }

    #[test]
    fn an_id_is_never_in_the_middle_of_a_message() {
        let mut writer = Writer::default();
        writer.take(b"data: {\"op\":\"image\",");
        writer.out.clear();
        writer.take(b"\"data\":1}\n\n");
        writer.in_step(7);
        assert_eq!(text(&writer), "\"data\":1}\n\nid: 7\n\n");
        // Nor does a comment get it.
        let mut writer = Writer::default();
        writer.take(b"data: 1\n\n: heartbeat\n\n");
        writer.in_step(8);
        assert_eq!(text(&writer), "data: 1\n\n: heartbeat\n\nid: 8\n\n");
    }

    #[test]
    fn a_reason_is_one_line() {
        let mut out = Vec::new();
        (ENCODING.close)(&mut out, 4008, "took no byte\nfor stall_ms");
        assert_eq!(out, b": closed 4008 took no byte for stall_ms\n\n");
    }
}
