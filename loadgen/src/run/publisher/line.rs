//! A publisher's connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use crate::measure::tally::Tally;
use crate::protocol::{Protocol, Received};
use crate::run::connection::write_some;
use crate::run::subscribers::HANDSHAKE_NS;
use crate::run::wire::Wire;
use crate::run::{Target, connector};
use ws_frames::{self as wire, FIN, Head};

pub(super) struct Line {
    socket: Wire,
    /// Bytes that the socket has not taken yet.
    pub(super) output: Vec<u8>,
    /// The batch that is being filled, and the number of its updates.
    pub(super) batch: Vec<u8>,
    pub(super) batched: u32,
    input: Vec<u8>,
    message: Vec<u8>,
}

impl Line {
    /// Writes as much of the waiting bytes as the socket takes.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        let gone = |error| format!("the publisher's connection is gone: {error}");
        if self.socket.is_blocked() {
            self.socket.flush().map_err(gone)?;
        }
        if self.output.is_empty() {
            return Ok(());
        }
        let taken = write_some(&mut self.socket, &self.output).map_err(gone)?;
        self.output.drain(..taken);
        Ok(())
    }

    /// Sends the batch that is being filled.
    pub(super) fn end_batch(&mut self, protocol: &Protocol) {
        if std::mem::take(&mut self.batched) > 0 {
            protocol.end_batch(&mut self.output, &mut self.batch);
        }
    }

    /// Connects, and waits until that is done.
    pub(super) fn connect(number: usize, target: &Target, path: &str, protocol: &Protocol) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let endpoint = target.of_publisher(number);
        let socket = connector::connect(endpoint.address, None).map_err(text)?;
        let mut socket = Wire::new(socket, endpoint.tls.as_ref())?;
        // The wait has the same bound as for subscribers.
        socket.wait(Some(Duration::from_nanos(HANDSHAKE_NS))).map_err(text)?;
        let token = target.token.of(number as u32)?;
        let request = connector::request(&endpoint.authority, path, protocol.subprotocol(), token.as_deref());
        socket.write_all(&request).map_err(text)?;
        let mut input = Vec::new();
        let len = loop {
            if let Some(len) = connector::answer(&input)? {
                break len;
            }
            let mut buffer = [0; 4096];
            match socket.read(&mut buffer) {
                Ok(0) => return Err("ended the connection instead of answering the handshake".to_owned()),
                Ok(read) => input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err("did not answer the handshake within 10 s".to_owned());
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        input.drain(..len);
        socket.wait(None).map_err(text)?;
        let mut line = Self { socket, output: Vec::new(), batch: Vec::new(), batched: 0, input, message: Vec::new() };
        protocol.hello(&mut line.output, number);
        Ok(line)
    }

    /// Reads what the server sends to publishers: errors and heartbeats.
    pub(super) fn listen(&mut self, protocol: &Protocol, tally: &mut Tally) -> Result<(), String> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("the server ended the publisher's connection".to_owned()),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("the publisher's connection is gone: {error}")),
            }
        }
        let mut at = 0;
        let output = &mut self.output;
        let mut each = |received: Received<'_>| match received {
            Received::Refused(reason) => tally.refused.add(&format!("publishing: {reason}")),
            Received::Reply(bytes) => wire::masked(output, FIN | protocol.opcode(), bytes),
            _ => {}
        };
        let mut pings = Vec::new();
        while let Head::Whole(frame) = wire::head(&self.input[at..]) {
            let payload = &self.input[at + frame.payload.start..at + frame.payload.end];
            match frame.opcode() {
                wire::CLOSE => return Err("the server closed the publisher's connection".to_owned()),
                wire::PING => wire::masked(&mut pings, FIN | wire::PONG, payload),
                0..=2 => {
                    self.message.extend(payload);
                    if frame.is_last() || protocol.is_stream() {
                        let used = protocol.decode(&self.message, &mut each)?;
                        self.message.drain(..used);
                    }
                }
                _ => {}
            }
            at += frame.payload.end;
        }
        self.input.drain(..at);
        self.output.extend(pings);
        Ok(())
    }
}
