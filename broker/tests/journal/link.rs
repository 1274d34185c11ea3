//! Clients whose broker is killed now and then: what fails is an error here, and not a failure of the test.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::{Answer, FIN, HANDSHAKE, Message, PATIENCE, PING, PONG, TEXT, frames, masked};
use crate::load::Incoming;

/// A WebSocket.
pub(crate) struct Link(Incoming);

impl Link {
    /// Connects, and reads `hello`. It is lost if it is silent for so long.
    ///
    /// # Errors
    /// There is no broker, or it ended meanwhile.
    pub(crate) fn open(address: SocketAddr, silence: Duration) -> io::Result<Self> {
        let mut incoming = Incoming::connect(address, silence)?;
        let head = format!("GET /v1/ws HTTP/1.1\r\nHost: {address}\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
        incoming.stream.write_all(head.as_bytes())?;
        let answer = Answer::parse(incoming.until(b"\r\n\r\n")?.as_bytes());
        if answer.status != 101 {
            return Err(io::Error::other(format!("{answer:?}")));
        }
        let mut link = Self(incoming);
        loop {
            match link.next()? {
                Some(hello) if hello.op() == "hello" => return Ok(link),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    }

    /// Sends messages at once.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn send(&mut self, texts: &[String]) -> io::Result<()> {
        let bytes: Vec<u8> = texts.iter().flat_map(|text| masked(FIN | TEXT, text.as_bytes())).collect();
        self.0.stream.write_all(&bytes)
    }

    /// Returns the next message that is no heartbeat; `None` if none has come yet.
    ///
    /// # Errors
    /// The connection is lost, or the broker has closed it.
    pub(crate) fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(frame) = frames::take(&mut self.0.buffer) {
                match frame.opcode {
                    TEXT => {
                        let message = Message::parse(String::from_utf8(frame.payload).unwrap());
                        if message.op() != "heartbeat" {
                            return Ok(Some(message));
                        }
                    }
                    PING => self.0.stream.write_all(&masked(FIN | PONG, &frame.payload))?,
                    PONG => {}
                    _ => return Err(ErrorKind::ConnectionAborted.into()),
                }
            } else if !self.0.fill()? {
                return Ok(None);
            }
        }
    }
}

/// Posts a body over a connection of its own, and returns the whole answer.
///
/// # Errors
/// There is no broker, or it ended before the answer did.
pub(crate) fn post(address: SocketAddr, path: &str, content_type: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let answer = Answer::parse(&bytes);
    // A broker that is killed in the middle leaves half an answer.
    let whole = answer.header("content-length").and_then(|length| length.parse().ok()) == Some(answer.body.len());
    let whole = whole || bytes.ends_with(b"0\r\n\r\n");
    if answer.status == 0 || !whole { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}
