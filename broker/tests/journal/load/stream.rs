//! A stream of Server-Sent Events that is cut off now and then.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use super::Incoming;
use crate::common::Message;

/// An open stream.
pub(super) struct Stream(Incoming);

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
        let mut incoming = Incoming::connect(address, silence)?;
        let header = if last_id.is_empty() { String::new() } else { format!("Last-Event-ID: {last_id}\r\n") };
        let request = format!("GET /v1/sse?{query} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n");
        incoming.stream.write_all(request.as_bytes())?;
        let head = incoming.until(b"\r\n\r\n")?;
        if head.starts_with("HTTP/1.1 200 ") { Ok(Self(incoming)) } else { Err(io::Error::other(head)) }
    }

    /// Returns the next block that is no comment; `None` if none has come yet.
    ///
    /// # Errors
    /// The connection is lost, or the broker has closed it.
    pub(super) fn next(&mut self) -> io::Result<Option<Block>> {
        loop {
            while let Some(text) = self.0.take(b"\n\n") {
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
            if !self.0.fill()? {
                return Ok(None);
            }
        }
    }
}
