//! A connection to the server under load, with or without TLS: rustls' buffered connection over the socket.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};

use super::target::Tls;

/// A record of TLS. Plaintext is handed over in portions of this size, so that no more than one waits for the socket.
const RECORD_BYTES: usize = 16 * 1024;

/// The most encrypted bytes read at once: rustls by itself would read 4 KiB.
const RAW_BYTES: usize = 64 * 1024;

thread_local! {
    /// Where each thread reads encrypted bytes.
    static RAW: RefCell<Box<[u8]>> = RefCell::new(vec![0; RAW_BYTES].into());
}

#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Encrypted bytes wait for room in the socket.
    blocked: bool,
    /// Encrypted bytes that were read and not decrypted, because their reader had no room.
    rest: Vec<u8>,
    /// Decrypted bytes may be left that did not fit into the last read.
    has_more: bool,
    /// Reads and writes wait, as the socket's own do.
    waits: bool,
}

impl Wire {
    /// Makes one of a socket that does not wait.
    pub(crate) fn new(socket: TcpStream, tls: Option<&Tls>) -> Result<Self, String> {
        let connection = |tls: &Tls| ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        let tls = tls.map(connection).transpose().map_err(|error| format!("TLS: {error}"))?.map(Box::new);
        Ok(Self { socket, tls, blocked: false, rest: Vec::new(), has_more: false, waits: false })
    }

    /// Whether encrypted bytes wait until the socket is writable.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether there may be more to read although nothing arrives.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// What was negotiated: the version, the key exchange, the cipher suite, and the kind of handshake. `None` without
    /// TLS, or while the handshake is under way.
    pub(crate) fn negotiated(&self) -> Option<String> {
        let tls = self.tls.as_ref()?;
        let version = match tls.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
            ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
            other => format!("{other:?}"),
        };
        let group =
            tls.negotiated_key_exchange_group().map_or_else(String::new, |group| format!("{:?}, ", group.name()));
        let suite = tls.negotiated_cipher_suite()?.suite();
        let kind = match tls.handshake_kind()? {
            HandshakeKind::Full => "full",
            HandshakeKind::FullWithHelloRetryRequest => "full after a second hello",
            HandshakeKind::Resumed => "resumed",
        };
        Some(format!("{version}, {group}{suite:?}, {kind}"))
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Lets reads and writes wait, at most this long; or not at all.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> io::Result<()> {
        self.waits = patience.is_some();
        self.socket.set_nonblocking(!self.waits)?;
        if self.waits { self.socket.set_read_timeout(patience) } else { Ok(()) }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        self.has_more = false;
        let mut filled = 0;
        RAW.with_borrow_mut(|raw| {
            // First what was not decrypted last time.
            let (mut at, mut end) = (0, self.rest.len());
            raw[..end].copy_from_slice(&self.rest);
            self.rest = Vec::new();
            loop {
                filled += match tls.reader().read(&mut buffer[filled..]) {
                    // The server said that this is the end.
                    Ok(0) => return Ok(filled),
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) if filled > 0 => return Ok(filled),
                    Err(error) => return Err(error),
                };
                if filled == buffer.len() {
                    self.has_more = true;
                    self.rest.extend(&raw[at..end]);
                    return Ok(filled);
                }
                if at == end {
                    if filled > 0 && self.waits {
                        return Ok(filled);
                    }
                    (at, end) = match self.socket.read(raw) {
                        Ok(read) => (0, read),
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        Err(_) if filled > 0 => return Ok(filled),
                        Err(error) => return Err(error),
                    };
                }
                // Nothing is the end of the connection. Without the server's word for it, that is an error of the next
                // read above.
                at += tls.read_tls(&mut &raw[at..end])?;
                let processed = tls.process_new_packets();
                self.blocked = !send(tls, &mut self.socket)?;
                processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, format!("TLS: {error}")))?;
            }
        })
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        self.blocked = !send(tls, &mut self.socket)?;
        if self.blocked {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = tls.writer().write(&bytes[..bytes.len().min(RECORD_BYTES)])?;
        self.blocked = !send(tls, &mut self.socket)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            self.blocked = !send(tls, &mut self.socket)?;
        }
        Ok(())
    }
}

/// Writes what is encrypted. Returns whether the socket took all of it.
fn send(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
