//! A connection's socket, as the engine writes to it and the shard reads from it.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use broker_engine::{Encoding, Origin, Sink, Wrote};

use super::layers::Layers;
use super::sse::ENCODING;
use crate::address::ClientAddress;
use crate::admission::Admitted;
use crate::stall::{later_by_kernel, more_patience};
use crate::tls::{Flushed, RECORD_BYTES_MAX};
use crate::websocket::Input;

/// One connection.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// Input that could not be used yet. `None` for most connections.
    pub(super) held: Option<Box<Held>>,
    pub(super) read_state: ReadState,
    /// Whether the connection has sent more than a round's work, and has not been read to its end since.
    pub(super) heavy: bool,
    /// After so many turns that take little work, the connection has its turns before the others.
    pub(super) turns_until_light: u8,
    /// Whether its turn ended in the middle of what was read.
    pub(super) has_rest: bool,
    /// Server-Sent Events and TLS; `None` for a plain WebSocket.
    pub(super) layers: Option<Box<Layers>>,
    /// Whether the socket took less than it was given, and has not been reported as writable since.
    pub(super) full: bool,
    /// Whether the stream ends after what has not been read yet. The end will not be reported again.
    pub(super) ended: bool,
    /// Whether a client of Server-Sent Events has closed both directions.
    pub(super) gone: bool,
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

/// The ciphertext of one read, at most: as 700 of the smallest records it takes 0.3 ms to decrypt.
const TLS_READ_BYTES: usize = 16 * 1024;
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

    pub(super) fn remote(&self) -> ClientAddress {
        self.admitted.address()
    }

    /// Whether it is a stream of Server-Sent Events.
    pub(super) fn follows_events(&self) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.sse.is_some())
    }

    /// Reads once. With TLS the bytes in `read` are what was decrypted, which may be none although something was read.
    /// After the connection was closed nothing is decrypted: what still comes is ignored.
    pub(super) fn read(&mut self, read: &mut Buffers, is_closing: bool) -> io::Result<Read> {
        let tls = self.layers.as_mut().and_then(|layers| layers.tls.as_deref_mut()).filter(|_| !is_closing);
        let Some(tls) = tls else {
            return Ok(match read_some(&mut self.stream, &mut read.raw)? {
                None => Read::Nothing,
                Some(0) => Read::End,
                Some(len) => Read::Plain { len, drained: len < read.raw.len() },
            });
        };
        if tls.peer_has_closed() {
            return Ok(Read::End);
        }
        let part = tls.part_len();
        let room = &mut read.raw[part..RECORD_BYTES_MAX + TLS_READ_BYTES];
        let Some(len) = read_some(&mut self.stream, room)? else { return Ok(Read::Nothing) };
        if len == 0 {
            return Ok(Read::End);
        }
        let drained = len < room.len();
        read.decrypted.clear();
        let result = tls.take_in(&mut read.raw[..part + len], &mut read.decrypted);
        // The end will not be reported by epoll.
        self.ended |= tls.peer_has_closed();
        // Answers of TLS itself, or the alert before the end. The next write returns the error, if there is one.
        let _ = tls.flush(&mut self.stream);
        Ok(Read::Decrypted { len, drained, records: result? })
    }
}

/// The shard's buffers for what it reads.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) raw: Box<[u8]>,
    /// The plaintext of a read. Empty until a connection with TLS is read.
    pub(super) decrypted: Vec<u8>,
}

/// The result of a read.
pub(super) enum Read {
    /// Nothing has arrived.
    Nothing,
    /// The peer has closed its direction.
    End,
    /// So many bytes, and whether the kernel has no more.
    Plain { len: usize, drained: bool },
    /// So many bytes of ciphertext, and the number of their records.
    Decrypted { len: usize, drained: bool, records: usize },
}

fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.read(buffer) {
            Ok(len) => return Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Socket {
    /// Writes something to a client of Server-Sent Events, to find out whether it is still there. Returns false for a
    /// WebSocket.
    pub(super) fn probe(&mut self) -> bool {
        let Some(writer) = self.layers.as_mut().and_then(|layers| layers.sse.as_mut()) else { return false };
        writer.probe();
        self.flush();
        true
    }

    /// Writes what the layers hold.
    pub(super) fn flush(&mut self) -> Flushed {
        let Some(layers) = &mut self.layers else { return Flushed::All };
        match layers.flush(&mut self.stream) {
            Ok(flushed) => {
                self.full = flushed != Flushed::All;
                flushed
            }
            // The next write returns the error.
            Err(_) => Flushed::All,
        }
    }

    /// Tells a peer with TLS that nothing follows, as far as the socket takes that: it has closed its own direction.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(layers) = &mut self.layers {
            layers.finish();
            self.flush();
        }
    }
}

impl Sink for Socket {
    fn encoding(&self) -> Option<&'static Encoding> {
        self.follows_events().then_some(&ENCODING)
    }

    fn holds_output(&self) -> bool {
        self.layers.is_some()
    }

    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if let Some(layers) = &mut self.layers {
            let wrote = layers.write(&mut self.stream, bytes);
            self.full = match wrote {
                Wrote::Bytes(len) => len < bytes.len() || layers.has_rest(),
                Wrote::Full => true,
                Wrote::Gone => self.full,
            };
            return wrote;
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
        if let Some(layers) = &mut self.layers {
            layers.finish();
            self.flush();
            return;
        }
        // Fails if the peer is gone already, and then there is nothing to do.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    fn origin(&self) -> Origin {
        let address = match self.remote().ip {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Origin { sub: self.admitted.sub().cloned(), address: address.octets() }
    }

    fn end_turn(&mut self, position: Option<u64>) {
        if let Some(writer) = self.layers.as_mut().and_then(|layers| layers.sse.as_mut()) {
            position.into_iter().for_each(|id| writer.in_step(id));
            self.flush();
        }
    }

    fn held_bytes(&self) -> usize {
        let layers = self.layers.as_ref().map_or(0, |layers| layers.held_bytes());
        let held = self.held.as_ref().map_or(0, |held| {
            held.unread.capacity() + held.input.as_ref().map_or(0, |input| input.bytes()) + HELD_BYTES
        });
        layers + held
    }

    fn stop_listening(&mut self) {
        self.held = None;
    }

    fn more_patience_ms(&self, stall_ms: u32) -> u32 {
        let stall = Duration::from_millis(stall_ms.into());
        let more = more_patience(self.stream.local_addr(), self.stream.peer_addr(), stall);
        if !more.is_zero() && self.follows_events() {
            later_by_kernel(&self.stream, stall);
        }
        more.as_millis().try_into().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_connection_is_small() {
        // One is a part of every connection; what TLS or Server-Sent Events need is elsewhere.
        assert_eq!(size_of::<Socket>(), 56);
    }
}
