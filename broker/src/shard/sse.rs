//! Server-Sent Events (WHATWG HTML, §9.2) for networks that block WebSocket: the same frames, told in another way.
//!
//! ```text
//! text frame      data: {"op":"update",…}        the last of a turn in step with  id: PLACE  before it
//! heartbeat       : heartbeat                    a comment, which no client has to understand
//! close frame     : closed 1001 going away       and the end of the stream
//! ping, pong      nothing
//! ```
//!
//! The engine writes frames to it as to any socket. One turn's worth is held until the socket has taken it: nothing more
//! is accepted before that, so that a slow reader is slow to the engine too.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::TcpStream;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// How a heartbeat begins: nothing else a client gets does.
const HEARTBEAT: &[u8] = b"{\"op\":\"heartbeat\"";
/// How it is told.
const HEARTBEAT_COMMENT: &[u8] = b": heartbeat\n\n";
/// The longest head of a frame from the broker.
const HEAD_BYTES_MAX: usize = 10;
/// The line that tells the longest id.
const ID_BYTES_MAX: usize = "id: ".len() + 20 + "\n".len();
/// Memory that a large image grew is given back above this.
const BYTES_KEPT: usize = 64 * 1024;

thread_local! {
    /// The memory for a turn's bytes, of one stream after the other: none holds any at rest, and none is allocated as long
    /// as sockets take their turns whole.
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

/// Where in a frame the engine's bytes have come to.
enum Part {
    /// In its head, so much of which was read.
    Head([u8; HEAD_BYTES_MAX], usize),
    /// In its payload.
    Payload { opcode: u8, left: usize },
}

/// The way out of a connection that gets events.
pub(super) struct Writer {
    part: Part,
    out: Vec<u8>,
    sent: usize,
    /// Where in `out` the turn's last event begins.
    event: Option<usize>,
    /// The payload of a close frame.
    close: Vec<u8>,
    /// The id that was told last.
    told: u64,
    /// Nothing follows what is in `out`.
    finished: bool,
}

impl Writer {
    /// One that has told nothing yet.
    pub(super) fn new() -> Self {
        let (part, out, close) = (Part::Head([0; HEAD_BYTES_MAX], 0), Vec::new(), Vec::new());
        Self { part, out, sent: 0, event: None, close, told: 0, finished: false }
    }

    /// Takes whole frames and parts of them, to be told with the next [`Writer::flush`].
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        if self.out.capacity() == 0 {
            self.out = SPARE.take();
        }
        while !bytes.is_empty() {
            match &mut self.part {
                Part::Head(head, len) => {
                    head[*len] = bytes[0];
                    *len += 1;
                    bytes = &bytes[1..];
                    if let Some((opcode, left)) = payload(&head[..*len]) {
                        self.begin(opcode, left, bytes);
                    }
                }
                Part::Payload { opcode, left } => {
                    let (now, rest) = bytes.split_at(bytes.len().min(*left));
                    match *opcode {
                        TEXT => self.out.extend_from_slice(now),
                        CLOSE => self.close.extend_from_slice(now),
                        _ => {}
                    }
                    *left -= now.len();
                    bytes = rest;
                    if *left == 0 {
                        let opcode = *opcode;
                        self.end(opcode);
                    }
                }
            }
        }
    }

    fn begin(&mut self, opcode: u8, left: usize, payload: &[u8]) {
        if opcode == TEXT {
            if payload.starts_with(HEARTBEAT) {
                self.out.extend_from_slice(HEARTBEAT_COMMENT);
                self.part = Part::Payload { opcode: 0, left };
                return;
            }
            self.event = Some(self.out.len());
            self.out.extend_from_slice(b"data: ");
        }
        self.part = Part::Payload { opcode, left };
        if left == 0 {
            self.end(opcode);
        }
    }

    fn end(&mut self, opcode: u8) {
        self.part = Part::Head([0; HEAD_BYTES_MAX], 0);
        match opcode {
            TEXT => self.out.extend_from_slice(b"\n\n"),
            CLOSE => {
                let close = std::mem::take(&mut self.close);
                let code = close.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                let reason = String::from_utf8_lossy(close.get(2..).unwrap_or_default()).replace(['\r', '\n'], " ");
                // Writing to memory does not fail.
                let _ = write!(self.out, ": closed {code} {reason}\n\n");
            }
            _ => {}
        }
    }

    /// Tells the position up to which the client has everything, with the turn's last event.
    pub(super) fn in_step(&mut self, id: u64) {
        if id <= self.told {
            return;
        }
        self.told = id;
        let mut line = [0; ID_BYTES_MAX];
        let mut rest = &mut line[..];
        // It is long enough for any number.
        let _ = writeln!(rest, "id: {id}");
        let len = ID_BYTES_MAX - rest.len();
        match self.event.take().filter(|at| *at >= self.sent) {
            Some(at) => drop(self.out.splice(at..at, line[..len].iter().copied())),
            // Alone, an id is no event, but the client remembers it.
            None if self.event_is_over() => {
                self.out.extend_from_slice(&line[..len]);
                self.out.push(b'\n');
            }
            None => {}
        }
    }

    /// Says what means nothing. In the middle of an event there is something to be written anyway.
    pub(super) fn ask(&mut self) {
        if self.event_is_over() {
            self.out.extend_from_slice(HEARTBEAT_COMMENT);
        }
    }

    fn event_is_over(&self) -> bool {
        matches!(self.part, Part::Head(_, 0))
    }

    /// Writes what is held. Returns whether all of it went out.
    pub(super) fn flush(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        self.event = None;
        while self.sent < self.out.len() {
            match stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        give_back(&mut self.out);
        if self.finished {
            // Fails where the peer is gone already: then there is nobody to tell.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        Ok(true)
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.out.capacity() + self.close.capacity()
    }

    /// Nothing more will be taken.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

/// What a frame's head says, once it is whole: opcode and length of the payload.
fn payload(head: &[u8]) -> Option<(u8, usize)> {
    let (first, rest) = head.split_first_chunk::<2>()?;
    let len = match first[1] {
        126 => u16::from_be_bytes(*rest.first_chunk()?).into(),
        127 => usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).unwrap_or(usize::MAX),
        len => len.into(),
    };
    Some((first[0] & 0x0f, len))
}

#[cfg(test)]
mod tests {
    use broker_protocol::frame;

    use super::*;

    fn frames(each: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        each(&mut bytes);
        bytes
    }

    fn told(events: &Writer) -> &str {
        str::from_utf8(&events.out).expect("text")
    }

    #[test]
    fn frames_cut_anywhere_are_told_the_same() {
        let long = format!("{{\"op\":\"image\",\"data\":\"{}\"}}", "x".repeat(70_000));
        let bytes = frames(|out| {
            frame::push_text(out, b"{\"op\":\"hello\"}");
            frame::push_ping(out, b"ping");
            frame::push_text(out, b"{\"op\":\"heartbeat\",\"ts\":1}");
            frame::push_text(out, &[b'y'; 300]);
            frame::push_text(out, long.as_bytes());
            frame::push_close(out, 4008, "took no byte\nfor stall_ms");
        });
        let expected = format!(
            "data: {{\"op\":\"hello\"}}\n\n: heartbeat\n\ndata: {}\n\ndata: {long}\n\n: closed 4008 took no byte for stall_ms\n\n",
            "y".repeat(300)
        );
        for step in [bytes.len(), 3, 1000, 4096] {
            let mut events = Writer::new();
            for part in bytes.chunks(step) {
                events.take(part);
            }
            // A heartbeat is never cut by the engine; cut, it would be an event like others.
            let said = told(&events).replace("data: {\"op\":\"heartbeat\",\"ts\":1}", ": heartbeat");
            assert_eq!(said, expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn the_last_event_of_a_turn_has_the_id() {
        let mut events = Writer::new();
        events.take(&frames(|out| frame::push_text(out, b"1")));
        events.take(&frames(|out| {
            frame::push_text(out, b"2");
            frame::push_ping(out, b"");
        }));
        events.in_step(1007);
        assert_eq!(told(&events), "data: 1\n\nid: 1007\ndata: 2\n\n");
        // Nothing new.
        events.in_step(1007);
        assert_eq!(told(&events), "data: 1\n\nid: 1007\ndata: 2\n\n");
        events.in_step(1009);
        assert!(told(&events).ends_with("\n\nid: 1009\n\n"));
    }
}
