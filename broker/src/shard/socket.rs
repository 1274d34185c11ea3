//! A connection's socket, as the engine writes to it and the shard reads from it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use broker_engine::{Encoding, Origin, Sink, Wrote};

use super::sse::{ENCODING, Writer};
use crate::admission::Admitted;
use crate::stall::{later_by_kernel, more_patience};
use crate::websocket::Input;

/// One connection.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// Input that could not be used yet. `None` for most connections.
    pub(super) held: Option<Box<Held>>,
    pub(super) read_state: ReadState,
    /// Whether the connection has sent more than a round's work, and has not been read to its end since.
    pub(super) heavy: bool,
    /// Whether its turn ended in the middle of what was read.
    pub(super) has_rest: bool,
    /// The writer of Server-Sent Events; `None` for WebSocket.
    pub(super) sse: Option<Box<Writer>>,
    /// Whether the socket took less than it was given, and has not been reported as writable since.
    pub(super) full: bool,
    /// Whether the stream ends after what has not been read yet. The end will not be reported again.
    pub(super) ended: bool,
    /// Counts the connection as admitted until it is dropped.
    pub(super) admitted: Admitted,
}

/// Whether a connection's input has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadState {
    /// It has none, and is read as soon as some arrives.
    Idle,
    /// It waits for its turn.
    Deferred,
    /// It waits until the socket is writable: the client has to read its answers first, and the socket is full.
    Blocked,
}

/// The bytes that holding input costs besides the input.
const HELD_BYTES: usize = 128;

/// Input that could not be used yet.
#[derive(Default)]
pub(super) struct Held {
    /// An incomplete message.
    pub(super) input: Option<Box<Input>>,
    /// Bytes that were read and not used yet: an incomplete frame, or input that waits because the connection is not
    /// read for now.
    pub(super) unread: Vec<u8>,
}

impl Socket {
    /// Returns whether there are bytes that were read and not used.
    pub(super) fn has_unread(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.unread.is_empty())
    }

    /// Takes out the input that is held.
    pub(super) fn take_held(&mut self) -> Held {
        self.held.take().map_or_else(Held::default, |held| *held)
    }

    /// Holds input, if there is any.
    pub(super) fn hold(&mut self, input: Option<Box<Input>>, unread: Vec<u8>) {
        if input.is_some() || !unread.is_empty() {
            self.held = Some(Box::new(Held { input, unread }));
        }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.admitted.remote()
    }

    /// Reads once. Returns the number of bytes, 0 at the end; `None` if nothing has arrived.
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
    /// Writes something to a client of Server-Sent Events, to find out whether it is still there. Returns false for a
    /// WebSocket.
    pub(super) fn probe(&mut self) -> bool {
        let Some(writer) = &mut self.sse else { return false };
        writer.probe();
        self.flush();
        true
    }

    /// Writes the Server-Sent Events that are held. Returns whether none are left.
    pub(super) fn flush(&mut self) -> bool {
        let Some(writer) = &mut self.sse else { return true };
        match writer.flush(&mut self.stream) {
            Ok(all) => {
                self.full = !all;
                all
            }
            // The next write returns the error.
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
        // Fails if the peer is gone already, and then there is nothing to do.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    fn origin(&self) -> Origin {
        let address = match self.remote().ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Origin { sub: self.admitted.sub().cloned(), address: address.octets() }
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
