//! One connection that publishes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::{Message, Tick, upgrade, wire};

/// A publisher on the thread of the load: it never waits for its socket.
pub(crate) struct Publisher {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
}

impl Publisher {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let (stream, input) = upgrade(address).expect("a publisher connects");
        stream.set_nonblocking(true).expect("a socket that does not block");
        Self { stream, out: Vec::new(), sent: 0, input }
    }

    /// Publishes with the next flush.
    pub(crate) fn publish(&mut self, tick: &mut Tick, due_ns: u64) {
        tick.frame(&mut self.out, due_ns);
    }

    /// Hands the socket what it takes.
    pub(crate) fn flush(&mut self) {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the publisher's connection is gone: {error}"),
            }
        }
        self.out.clear();
        self.sent = 0;
    }

    /// Panics where the broker refused something.
    pub(crate) fn check(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the broker closed the publisher's connection"),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the publisher's connection is gone: {error}"),
            }
        }
        while let Some((_, payload)) = wire::frame(&self.input) {
            let text = String::from_utf8_lossy(&self.input[payload.clone()]);
            assert_ne!(Message::read(text.as_bytes()), Message::Error, "{text}");
            self.input.drain(..payload.end);
        }
    }
}
