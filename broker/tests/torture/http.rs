//! HTTP requests, of which every wait is bounded.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::patience::Patience;
use crate::wire::{Options, Wire};

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// The bytes of a `GET`.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")
}

/// The head of a `POST` with a body of this type and length.
pub(crate) fn post(address: SocketAddr, path: &str, kind: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/{kind}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends bytes on a connection of their own, and reads one answer.
pub(crate) fn exchange(
    address: SocketAddr,
    options: Options,
    request: &[&[u8]],
    patience: &Patience,
) -> io::Result<Answer> {
    let mut wire = Wire::connect(address, options, patience)?;
    for part in request {
        wire.send(part, patience)?;
    }
    answer(&mut wire, patience)
}

/// Reads an answer with a `Content-Length`.
pub(crate) fn answer(wire: &mut Wire, patience: &Patience) -> io::Result<Answer> {
    let head = wire.head(patience)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.ok_or_else(|| io::Error::other(format!("an answer without a length: {head}")))?;
    while wire.buffer.len() < length {
        if wire.fill(patience)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer { status, body: wire.buffer.drain(..length).collect() })
}
