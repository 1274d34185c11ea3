//! TLS over a socket: full handshakes, parts of them, and records of any size.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::doors::{self, NAME};
use crate::link::handshake;
use crate::patience::Patience;
use crate::wire::{Options, Wire};

/// The most bytes of plaintext in a record (RFC 8446 §5.1).
pub(crate) const RECORD_BYTES: usize = 16 * 1024;

/// A connection whose handshake is complete.
pub(crate) struct Secured {
    pub(crate) wire: Wire,
    pub(crate) tls: Records,
    plain: Vec<u8>,
}

/// What makes records of bytes.
pub(crate) struct Records(ClientConnection);

impl Records {
    fn new() -> io::Result<Self> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        ClientConnection::new(doors::client(), name).map(Self).map_err(io::Error::other)
    }

    /// Returns what TLS has to send, and these bytes in records of at most `record_bytes`.
    pub(crate) fn of(&mut self, bytes: &[u8], record_bytes: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for part in bytes.chunks(record_bytes) {
            self.0.writer().write_all(part)?;
            self.drain(&mut out)?;
        }
        self.drain(&mut out)?;
        Ok(out)
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }
}

/// The first message of a client.
pub(crate) fn client_hello() -> io::Result<Vec<u8>> {
    Records::new()?.of(&[], RECORD_BYTES)
}

impl Secured {
    /// Connects and completes the handshake.
    pub(crate) fn connect(address: SocketAddr, options: Options, patience: &Patience) -> io::Result<Self> {
        let wire = Wire::connect(address, options, patience)?;
        let mut secured = Self { wire, tls: Records::new()?, plain: Vec::new() };
        secured.send(&[], RECORD_BYTES, patience)?;
        while secured.tls.0.is_handshaking() {
            secured.fill(patience)?;
        }
        Ok(secured)
    }

    /// Sends bytes in records of at most this size.
    pub(crate) fn send(&mut self, bytes: &[u8], record_bytes: usize, patience: &Patience) -> io::Result<()> {
        let records = self.tls.of(bytes, record_bytes)?;
        self.wire.send(&records, patience)
    }

    /// Reads more, as soon as there is something.
    fn fill(&mut self, patience: &Patience) -> io::Result<()> {
        if self.wire.fill(patience)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let ciphertext = std::mem::take(&mut self.wire.buffer);
        let mut rest = &ciphertext[..];
        while !rest.is_empty() {
            self.tls.0.read_tls(&mut rest)?;
            let state = self.tls.0.process_new_packets().map_err(io::Error::other)?;
            let kept = self.plain.len();
            self.plain.resize(kept + state.plaintext_bytes_to_read(), 0);
            self.tls.0.reader().read_exact(&mut self.plain[kept..])?;
        }
        self.send(&[], RECORD_BYTES, patience)
    }

    /// Reads until this text has come, and forgets everything up to it.
    pub(crate) fn until(&mut self, text: &str, patience: &Patience) -> io::Result<()> {
        loop {
            if let Some(at) = self.plain.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.plain.drain(..at + text.len());
                return Ok(());
            }
            self.fill(patience)?;
        }
    }

    /// Upgrades to WebSocket, and reads `hello`.
    pub(crate) fn upgrade(&mut self, address: SocketAddr, options: Options, patience: &Patience) -> io::Result<()> {
        self.send(&handshake(address, options.token), RECORD_BYTES, patience)?;
        self.until(r#""op":"hello""#, patience)
    }
}
