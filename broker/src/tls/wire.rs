//! TLS on one connection: ciphertext in, plaintext out, and the other way round. It knows no socket and no clock, so the
//! main thread uses it while a connection speaks HTTP, and a shard afterwards.
//!
//! ```text
//! socket ──▶ part ──▶ take_in ──▶ plaintext
//! socket ◀── rest ◀── encrypt ◀── plaintext, one record at a time
//! ```
//!
//! It is built on rustls' unbuffered API, in which the caller owns the buffers: a connection at rest has none, and takes
//! half of the memory (7.6 KB with rustls' own buffers). Answers of the protocol itself (the handshake, alerts, key updates) go to `rest` as well.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use super::bounds::{Flushed, HANDSHAKE_BYTES_MAX, RECORD_BYTES_MAX};
use super::certificate;
use super::counters::{Counters, Done};

/// The most plaintext in one record (RFC 8446 §5.1).
const RECORD_PLAIN_BYTES: usize = 16 * 1024;
/// What encryption adds to a record, at most, and a key update or an alert that goes before it.
const RECORD_ROOM: usize = 256;
/// Room for a message of the handshake, before its size is known.
const MESSAGE_ROOM: usize = 2048;

thread_local! {
    /// The memory in which this thread encrypts a record before the socket takes it.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORD_PLAIN_BYTES + RECORD_ROOM].into_boxed_slice());
}

/// One connection's TLS.
pub(crate) struct Wire {
    conn: UnbufferedServerConnection,
    /// Ciphertext of an incomplete record or handshake message.
    part: Vec<u8>,
    /// Ciphertext that the socket has not taken yet; the first `sent` bytes are gone.
    rest: Vec<u8>,
    sent: usize,
    /// The peer has sent `close_notify`: nothing that follows counts.
    peer_closed: bool,
    /// `close_notify` is sent or in `rest`, or an alert: nothing more may be sent.
    closed: bool,
    counters: Arc<Counters>,
    /// What of this connection is in the sum of held bytes.
    counted: usize,
}

impl Wire {
    /// Begins a connection.
    ///
    /// # Errors
    /// The configuration does not allow any.
    pub(crate) fn new(config: Arc<ServerConfig>, counters: Arc<Counters>) -> io::Result<Wire> {
        let conn = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let (part, rest) = (Vec::new(), Vec::new());
        Ok(Wire { conn, part, rest, sent: 0, peer_closed: false, closed: false, counters, counted: 0 })
    }

    /// Whether the handshake is not complete.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.conn.is_handshaking()
    }

    /// Whether the expensive part of the handshake, which needs the private key, is still to come.
    pub(crate) fn is_before_key_exchange(&self) -> bool {
        self.conn.negotiated_key_exchange_group().is_none() && self.conn.handshake_kind().is_none()
    }

    /// The result of a handshake that is complete, for the metrics.
    pub(crate) fn done(&self) -> Done {
        let is_13 = self.conn.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let is_resumed = self.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        Done::ok(if is_13 { "1.3" } else { "1.2" }, if is_resumed { "resumed" } else { "full" })
    }

    /// Who the client is by its certificate, if it has shown one. The handshake has verified it.
    pub(crate) fn identity(&self) -> Option<Arc<str>> {
        certificate::identity(self.conn.peer_certificates()?.first()?)
    }

    /// Whether the peer has closed its direction in an orderly way.
    pub(crate) fn peer_has_closed(&self) -> bool {
        self.peer_closed
    }

    /// The bytes that [`Wire::take_in`] needs at the beginning of its buffer.
    pub(crate) fn part_len(&self) -> usize {
        self.part.len()
    }

    /// Takes in what was read. The first [`Wire::part_len`] bytes of `bytes` are free, and what was read follows them.
    /// Appends the plaintext of whole records to `plain`, and returns their number.
    ///
    /// # Errors
    /// The peer breaks the protocol, or sends something too large. The alert that tells it is held, to be flushed.
    pub(crate) fn take_in(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> io::Result<usize> {
        let part = std::mem::take(&mut self.part);
        bytes[..part.len()].copy_from_slice(&part);
        let result = self.process(bytes, plain);
        let result = result.and_then(|(used, records)| self.keep(part, &bytes[used..]).map(|()| records));
        self.closed |= result.is_err();
        self.count();
        result
    }

    /// Keeps what is incomplete, if possible in the memory of the part before.
    fn keep(&mut self, mut part: Vec<u8>, left: &[u8]) -> io::Result<()> {
        let max = if self.is_handshaking() { HANDSHAKE_BYTES_MAX } else { RECORD_BYTES_MAX };
        if left.len() > max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a TLS message that is too large"));
        }
        if !left.is_empty() {
            part.clear();
            if part.capacity() < left.len() {
                // A record that arrives in small pieces makes it grow by doubling, but not beyond the bound.
                part.reserve_exact((2 * left.len()).min(max));
            }
            part.extend_from_slice(left);
            self.part = part;
        }
        Ok(())
    }

    /// Processes what is complete. Returns the bytes used and the number of records with plaintext.
    fn process(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> io::Result<(usize, usize)> {
        let (mut at, mut records) = (0, 0);
        loop {
            if self.peer_closed {
                return Ok((bytes.len(), records));
            }
            let UnbufferedStatus { mut discard, state, .. } = self.conn.process_tls_records(&mut bytes[at..]);
            let mut has_more = true;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                        records += 1;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => append(&mut self.rest, |out| message.encode(out))?,
                Ok(ConnectionState::TransmitTlsData(transmitted)) => transmitted.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) | ConnectionState::Closed) => {
                    has_more = false;
                }
                // Early data is not offered.
                Ok(_) => return Err(io::Error::other("an unexpected state of TLS")),
                Err(error) => {
                    // What was to be sent before, and then the alert; nothing more is taken in.
                    while self.conn.wants_write()
                        && let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut message)), .. } =
                            self.conn.process_tls_records(&mut bytes[at + discard..])
                    {
                        append(&mut self.rest, |out| message.encode(out))?;
                    }
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
            at += discard;
            if !has_more {
                return Ok((at, records));
            }
        }
    }

    /// Writes as much of `bytes` as the socket takes without waiting, and one record beyond: what the socket did not take
    /// of that is held. Returns the number of bytes that were encrypted.
    ///
    /// # Errors
    /// `WouldBlock` while something is held from before; the error of the socket.
    pub(crate) fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if self.flush(socket)? != Flushed::All {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut done = 0;
            for plain in bytes.chunks(RECORD_PLAIN_BYTES) {
                let len = self.encrypt(plain, scratch)?;
                done += plain.len();
                let taken = write_some(socket, &scratch[..len])?;
                if taken < len {
                    self.hold(&scratch[taken..len]);
                    break;
                }
            }
            Ok(done)
        })
    }

    /// Encrypts one record. Returns its length, with what has to go before it.
    fn encrypt(&mut self, plain: &[u8], out: &mut [u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let mut len = 0;
        loop {
            // Not an empty slice: rustls remembers where in these bytes an incomplete message is.
            let UnbufferedStatus { state, .. } = self.conn.process_tls_records(&mut self.part);
            match state.map_err(io::Error::other)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return Ok(len + traffic.encrypt(plain, &mut out[len..]).map_err(io::Error::other)?);
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    len += message.encode(&mut out[len..]).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(transmitted) => transmitted.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    /// Writes what is held, as far as the socket takes it.
    ///
    /// # Errors
    /// The error of the socket.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<Flushed> {
        if self.rest.is_empty() {
            return Ok(Flushed::All);
        }
        let taken = write_some(socket, &self.rest[self.sent..])?;
        self.sent += taken;
        if self.sent == self.rest.len() {
            (self.rest, self.sent) = (Vec::new(), 0);
            self.count();
            return Ok(Flushed::All);
        }
        Ok(if taken > 0 { Flushed::Some } else { Flushed::Nothing })
    }

    /// Adds `close_notify` to what is held, once: without it the peer could not tell the end from a cut (RFC 8446 §6.1).
    pub(crate) fn close(&mut self) {
        if self.closed || self.is_handshaking() {
            return;
        }
        self.closed = true;
        let UnbufferedStatus { state, .. } = self.conn.process_tls_records(&mut self.part);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            let mut alert = [0; RECORD_ROOM];
            if let Ok(len) = traffic.queue_close_notify(&mut alert) {
                self.hold(&alert[..len]);
            }
        }
    }

    /// Whether the socket has not taken everything.
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The bytes that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.part.capacity() + self.rest.capacity()
    }

    fn hold(&mut self, bytes: &[u8]) {
        // `close_notify` after a record must not make room for another record.
        self.rest.reserve_exact(bytes.len());
        self.rest.extend_from_slice(bytes);
        self.count();
    }

    /// Updates the sum of held bytes.
    fn count(&mut self) {
        let held = self.held_bytes();
        if held != self.counted {
            self.counters.held.change(self.counted, held);
            self.counted = held;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.counters.held.change(self.counted, 0);
    }
}

/// Appends a message of the handshake.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) -> io::Result<()> {
    let at = out.len();
    let mut room = MESSAGE_ROOM;
    loop {
        out.resize(at + room, 0);
        match encode(&mut out[at..]) {
            Ok(len) => {
                out.truncate(at + len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => room = size.required_size,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Writes until the socket takes no more. Returns the number of bytes that it took.
fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match socket.write(&bytes[taken..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => taken += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
