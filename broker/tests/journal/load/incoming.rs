//! What comes from a broker that may be killed: bytes that are there, and whether the connection is lost.

use std::io::{self, ErrorKind, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;

/// How long something is waited for until nothing came.
const PAUSE: Duration = Duration::from_millis(20);

/// A connection, and what came and is not taken yet.
pub(crate) struct Incoming {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
    silence: Duration,
    heard: Instant,
}

impl Incoming {
    /// Connects. The connection is lost if it is silent for so long.
    ///
    /// # Errors
    /// There is no broker.
    pub(crate) fn connect(address: SocketAddr, silence: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PAUSE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new(), silence, heard: Instant::now() })
    }

    /// Takes off what ends with these bytes, if it is there.
    pub(crate) fn take(&mut self, end: &[u8]) -> Option<String> {
        let at = self.buffer.windows(end.len()).position(|bytes| bytes == end)? + end.len();
        Some(String::from_utf8(self.buffer.drain(..at).collect()).unwrap())
    }

    /// Waits for what ends with these bytes.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn until(&mut self, end: &[u8]) -> io::Result<String> {
        loop {
            if let Some(text) = self.take(end) {
                return Ok(text);
            }
            self.fill()?;
        }
    }

    /// Reads once; `false` if nothing came in time.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.heard = Instant::now();
                self.buffer.extend_from_slice(&bytes[..len]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.heard.elapsed() < self.silence => Ok(false),
            Err(error) => Err(error),
        }
    }
}
