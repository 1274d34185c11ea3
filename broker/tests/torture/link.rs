//! A WebSocket connection that waits for its answers.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;

use crate::frames::{self, CLOSE, FIN, Frame, PING, PONG, TEXT};
use crate::patience::Patience;
use crate::wire::{Options, Wire};

/// A request for a WebSocket, which may show a token.
pub(crate) fn handshake(address: SocketAddr, token: Option<&str>) -> Vec<u8> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{token}\r\n"
    );
    request.into_bytes()
}

/// A client's text frame.
pub(crate) fn text(message: &str) -> Vec<u8> {
    frames::masked(FIN | TEXT, message.as_bytes())
}

/// A `subscribe` with these entries and options, such as `,"from":"live"`.
pub(crate) fn subscribe(entries: impl IntoIterator<Item = impl AsRef<str>>, options: &str) -> String {
    request("subscribe", entries, options)
}

/// An `unsubscribe` with these entries.
pub(crate) fn unsubscribe(entries: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    request("unsubscribe", entries, "")
}

fn request(op: &str, entries: impl IntoIterator<Item = impl AsRef<str>>, options: &str) -> String {
    let entries: Vec<String> = entries.into_iter().map(|entry| format!("{:?}", entry.as_ref())).collect();
    format!(r#"{{"op":"{op}","topics":[{}]{options}}}"#, entries.join(","))
}

/// A connection that has read `hello`.
pub(crate) struct Link {
    pub(crate) wire: Wire,
}

/// Why there is no connection, or no longer one.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The broker gave an HTTP status other than 101, or a close code.
    Told(u16),
    /// The broker gave no reason.
    Cut(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Cut(error)
    }
}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Told(code) => Self::other(format!("the broker answered with {code}")),
            Ended::Cut(error) => error,
        }
    }
}

impl Link {
    /// Connects and reads `hello`.
    pub(crate) fn connect(address: SocketAddr, options: Options, patience: &Patience) -> Result<Self, Ended> {
        let mut wire = Wire::connect(address, options, patience)?;
        wire.send(&handshake(address, options.token), patience)?;
        let head = wire.head(patience)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 101 {
            return Err(Ended::Told(status));
        }
        let mut link = Self { wire };
        link.expect("hello", patience)?;
        Ok(link)
    }

    pub(crate) fn say(&mut self, message: &str, patience: &Patience) -> io::Result<()> {
        self.wire.send(&text(message), patience)
    }

    /// Returns the next message. Answers pings.
    pub(crate) fn message(&mut self, patience: &Patience) -> Result<Value, Ended> {
        loop {
            match frames::take(&mut self.wire.buffer) {
                Some(Frame { opcode: TEXT, payload }) => {
                    return serde_json::from_slice(&payload).map_err(|error| Ended::Cut(error.into()));
                }
                Some(Frame { opcode: CLOSE, payload }) => {
                    let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    return Err(Ended::Told(code));
                }
                Some(Frame { opcode: PING, payload }) => {
                    self.wire.send(&frames::masked(FIN | PONG, &payload), patience)?;
                }
                Some(_) => {}
                None if self.wire.fill(patience)? == 0 => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                None => {}
            }
        }
    }

    /// Skips messages up to one with this `op`.
    pub(crate) fn expect(&mut self, op: &str, patience: &Patience) -> Result<Value, Ended> {
        loop {
            let message = self.message(patience)?;
            if message["op"] == op {
                return Ok(message);
            }
        }
    }

    /// Sends a message, and waits for the answer with this `op`.
    pub(crate) fn ask(&mut self, message: &str, op: &str, patience: &Patience) -> Result<Value, Ended> {
        self.say(message, patience)?;
        self.expect(op, patience)
    }
}
