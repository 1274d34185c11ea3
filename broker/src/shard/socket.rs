//! A connection's socket, as the engine writes to it and the shard reads from it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use broker_engine::{Encoding, Sink, Wrote};

use super::sse::{ENCODING, Writer};
use crate::admission::Admitted;
use crate::stall::{later_by_kernel, more_patience};
use crate::websocket::Input;

/// One connection.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// What is held of its input. `None` for most.
    pub(super) held: Option<Box<Held>>,
    pub(super) read_state: ReadState,
    /// It has said more than a round's work holds, and was not read to its end since.
    pub(super) heavy: bool,
    /// Its turn ended in the middle of what was read.
    pub(super) has_rest: bool,
    /// How it is told in Server-Sent Events; `None` for WebSocket.
    pub(super) sse: Option<Box<Writer>>,
    /// The socket took less than it was given, and has not said since that it takes more.
    pub(super) full: bool,
    /// The end of the stream is there, behind what was not read yet: it will not be told again.
    pub(super) ended: bool,
    /// Gives the connection's place back when dropped.
    pub(super) admitted: Admitted,
}

/// Whether a connection has input that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadState {
    /// It has none: it is read when there is something.
    Idle,
    /// It waits for its turn.
    Deferred,
    /// It may not be read before it has read its answers, and its socket is full: nothing changes before that is writable.
    Blocked,
}

/// What holding input costs beside the bytes.
const HELD_BYTES: usize = 128;

/// Input that could not be used yet.
#[derive(Default)]
pub(super) struct Held {
    /// An incomplete message.
    pub(super) input: Option<Box<Input>>,
    /// Bytes that were read and not yet used: an incomplete frame, or what waits because the connection may not be read.
    pub(super) unread: Vec<u8>,
}

impl Socket {
    /// Whether there are bytes that were read and not used.
    pub(super) fn has_unread(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.unread.is_empty())
    }

    /// Takes out what is held.
    pub(super) fn take_held(&mut self) -> Held {
        self.held.take().map_or_else(Held::default, |held| *held)
    }

    /// Holds what is worth it.
    pub(super) fn hold(&mut self, input: Option<Box<Input>>, unread: Vec<u8>) {
        if input.is_some() || !unread.is_empty() {
            self.held = Some(Box::new(Held { input, unread }));
        }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.admitted.remote()
    }

    /// Reads once; `None` where nothing has arrived.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Socket {
    /// Writes something to a client of Server-Sent Events, so that it is known whether it is there. Returns whether it is one.
    pub(super) fn ask(&mut self) -> bool {
        let Some(writer) = &mut self.sse else { return false };
        writer.ask();
        self.flush();
        true
    }

    /// Writes what is held back of Server-Sent Events. Returns whether nothing is any more.
    pub(super) fn flush(&mut self) -> bool {
        let Some(writer) = &mut self.sse else { return true };
        match writer.flush(&mut self.stream) {
            Ok(all) => {
                self.full = !all;
                all
            }
            // The next write finds it out.
            Err(_) => true,
        }
    }
}

impl Sink for Socket {
    fn encoding(&self) -> Option<&'static Encoding> {
        self.sse.as_ref().map(|_| &ENCODING)
    }

    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if let Some(writer) = &mut self.sse {
            return match writer.flush(&mut self.stream) {
                Ok(true) => {
                    writer.take(bytes);
                    Wrote::Bytes(bytes.len())
                }
                Ok(false) => {
                    self.full = true;
                    Wrote::Full
                }
                Err(_) => Wrote::Gone,
            };
        }
        loop {
            match self.stream.write(bytes) {
                Ok(len) if len > 0 => {
                    self.full = len < bytes.len();
                    return Wrote::Bytes(len);
                }
                Ok(_) => {
                    self.full = true;
                    return Wrote::Full;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.full = true;
                    return Wrote::Full;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Wrote::Gone,
            }
        }
    }

    fn finish(&mut self) {
        if let Some(writer) = &mut self.sse {
            writer.finish();
            self.flush();
            return;
        }
        // Fails where the peer is gone already: then there is nobody to tell.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    fn end_turn(&mut self, position: Option<u64>) {
        if let Some(writer) = &mut self.sse {
            position.into_iter().for_each(|id| writer.in_step(id));
            self.flush();
        }
    }

    fn held_bytes(&self) -> usize {
        let writer = self.sse.as_ref().map_or(0, |writer| writer.held_bytes());
        let held = self.held.as_ref().map_or(0, |held| {
            held.unread.capacity() + held.input.as_ref().map_or(0, |input| input.bytes()) + HELD_BYTES
        });
        writer + held
    }

    fn stop_listening(&mut self) {
        self.held = None;
    }

    fn more_patience_ms(&self, stall_ms: u32) -> u32 {
        let stall = Duration::from_millis(stall_ms.into());
        let more = more_patience(self.stream.local_addr(), self.stream.peer_addr(), stall);
        if !more.is_zero() && self.sse.is_some() {
            later_by_kernel(&self.stream, stall);
        }
        more.as_millis().try_into().unwrap_or(u32::MAX)
    }
}
