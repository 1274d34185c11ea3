//! A subscriber's connection: some 50 bytes and its streams.

use std::io::{ErrorKind, Read as _, Write as _};

use super::wire::Wire;
use crate::stream::Stream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is no connection now.
    Closed,
    /// TCP, or the WebSocket, is being set up.
    Connecting,
    /// The subscriptions are not in effect yet.
    Subscribing,
    Open,
}

/// State that only few connections have at any time.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// An unfinished frame, or an unfinished answer to the handshake.
    pub(super) input: Vec<u8>,
    /// An unfinished message: its fragments, or the beginning of a message in a stream of bytes.
    pub(super) message: Vec<u8>,
    /// Bytes that the socket has not taken yet.
    pub(super) output: Vec<u8>,
    /// When it began to connect.
    pub(super) begun_ns: u64,
    /// When its last connection was lost in a storm; 0 if none was.
    pub(super) lost_ns: u64,
}

impl Rest {
    fn is_needed(&self) -> bool {
        !self.input.is_empty() || !self.message.is_empty() || !self.output.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) socket: Option<Wire>,
    pub(super) number: u32,
    pub(super) state: State,
    /// Whether it is slow on purpose.
    pub(super) slow: bool,
    /// Sorted by topic.
    pub(super) streams: Vec<Stream>,
    pub(super) rest: Option<Box<Rest>>,
}

/// The result of a read.
pub(super) enum Input {
    /// This many bytes.
    Bytes(usize),
    /// Nothing for now.
    None,
    /// The server or the network ended the connection, for this reason.
    End(String),
}

impl Conn {
    pub(super) fn new(number: u32, slow: bool) -> Self {
        Self { socket: None, number, state: State::Closed, slow, streams: Vec::new(), rest: None }
    }

    pub(super) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Frees the memory that is no longer needed.
    pub(super) fn settle(&mut self) {
        if self.state == State::Open && self.rest.as_ref().is_some_and(|rest| !rest.is_needed()) {
            self.rest = None;
        }
    }

    /// The stream of a topic.
    pub(super) fn stream(&mut self, topic: u32) -> Option<&mut Stream> {
        if self.streams.len() == 1 {
            return self.streams.first_mut().filter(|only| only.topic == topic);
        }
        let index = self.streams.binary_search_by_key(&topic, |stream| stream.topic).ok()?;
        Some(&mut self.streams[index])
    }

    pub(super) fn insert(&mut self, stream: Stream) {
        match self.streams.binary_search_by_key(&stream.topic, |held| held.topic) {
            Ok(index) => self.streams[index] = stream,
            Err(index) => self.streams.insert(index, stream),
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Input {
        let Some(socket) = &mut self.socket else { return Input::None };
        loop {
            return match socket.read(buffer) {
                Ok(0) => Input::End("ended the connection without a close frame".to_owned()),
                Ok(len) => Input::Bytes(len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Input::None,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Input::End(error.to_string()),
            };
        }
    }

    /// Writes `bytes` after the bytes that already wait. Returns whether everything went out.
    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<bool> {
        let waiting = self.rest.as_ref().is_some_and(|rest| !rest.output.is_empty());
        let mut taken = 0;
        if !waiting && let Some(socket) = &mut self.socket {
            taken = write_some(socket, bytes)?;
        }
        if taken < bytes.len() {
            self.rest().output.extend(&bytes[taken..]);
        }
        let is_blocked = self.socket.as_ref().is_some_and(Wire::is_blocked);
        Ok(taken == bytes.len() && !waiting && !is_blocked)
    }

    /// Writes the waiting bytes. Returns whether all of them went out.
    pub(super) fn flush(&mut self) -> std::io::Result<bool> {
        let Some(socket) = &mut self.socket else { return Ok(true) };
        socket.flush()?;
        if let Some(rest) = &mut self.rest {
            let taken = write_some(socket, &rest.output)?;
            rest.output.drain(..taken);
        }
        Ok(!socket.is_blocked() && self.rest.as_ref().is_none_or(|rest| rest.output.is_empty()))
    }
}

/// Writes as much as the socket takes now.
pub(super) fn write_some(socket: &mut Wire, bytes: &[u8]) -> std::io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match socket.write(&bytes[taken..]) {
            Ok(0) => break,
            Ok(len) => taken += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
