//! A connection to the server under load, with or without TLS: rustls' buffered connection over the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;

use super::target::Tls;

/// A record of TLS. Plaintext is handed over in portions of this size, so that no more than one waits for the socket.
const RECORD_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Encrypted bytes wait for room in the socket.
    blocked: bool,
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
        Ok(Self { socket, tls, blocked: false, has_more: false, waits: false })
    }

    /// Whether encrypted bytes wait until the socket is writable.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether there may be more to read although nothing arrives.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
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
        loop {
            match tls.reader().read(&mut buffer[filled..]) {
                // The server said that this is the end.
                Ok(0) => return Ok(filled),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            if filled == buffer.len() {
                self.has_more = true;
                return Ok(filled);
            }
            if filled > 0 && self.waits {
                return Ok(filled);
            }
            match tls.read_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
            // The end of the connection without the server's word for it is an error of the next read above.
            let processed = tls.process_new_packets();
            self.blocked = !send(tls, &mut self.socket)?;
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, format!("TLS: {error}")))?;
        }
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
