//! A stream of Server-Sent Events that is cut off now and then.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::{Message, PATIENCE};

const PAUSE: Duration = Duration::from_millis(20);

/// An open stream.
pub(super) struct Stream {
    stream: TcpStream,
    buffer: Vec<u8>,
    silence: Duration,
    heard: Instant,
}

/// One block of it.
#[derive(Default)]
pub(super) struct Block {
    pub(super) message: Option<Message>,
    pub(super) id: Option<String>,
}

impl Stream {
    /// Opens a stream, which is lost if it is silent for so long.
    ///
    /// # Errors
    /// There is no broker, it takes no streams at the moment, or it ended meanwhile.
    pub(super) fn open(address: SocketAddr, query: &str, last_id: &str, silence: Duration) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PAUSE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let header = if last_id.is_empty() { String::new() } else { format!("Last-Event-ID: {last_id}\r\n") };
        stream.write_all(format!("GET /v1/sse?{query} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n").as_bytes())?;
        let mut stream = Self { stream, buffer: Vec::new(), silence, heard: Instant::now() };
        let head = loop {
            if let Some(head) = stream.take(b"\r\n\r\n") {
                break head;
            }
            stream.fill()?;
        };
        if head.starts_with("HTTP/1.1 200 ") { Ok(stream) } else { Err(io::Error::other(head)) }
    }

    /// Returns the next block that is no comment; `None` if none has come yet.
    ///
    /// # Errors
    /// The connection is lost, or the broker has closed it.
    pub(super) fn next(&mut self) -> io::Result<Option<Block>> {
        loop {
            while let Some(text) = self.take(b"\n\n") {
                let mut block = Block::default();
                for line in text.lines() {
                    if let Some(data) = line.strip_prefix("data: ") {
                        block.message = Some(Message::parse(data.to_owned()));
                    } else if let Some(id) = line.strip_prefix("id: ") {
                        block.id = Some(id.to_owned());
                    }
                }
                if block.message.is_some() || block.id.is_some() {
                    return Ok(Some(block));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Takes off what ends with these bytes, if it is there.
    fn take(&mut self, end: &[u8]) -> Option<String> {
        let at = self.buffer.windows(end.len()).position(|bytes| bytes == end)? + end.len();
        Some(String::from_utf8(self.buffer.drain(..at).collect()).unwrap())
    }

    /// Reads once; `false` if nothing came in time.
    fn fill(&mut self) -> io::Result<bool> {
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
