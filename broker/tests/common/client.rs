//! A WebSocket client that shows every byte and frame.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::frames::{self, Frame};
use super::{Answer, CLOSE, FIN, Message, PATIENCE, PING, PONG, TEXT, masked};

/// The header lines of a handshake, except for `Host`.
pub(crate) const HANDSHAKE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// A close frame with this code (`None` for one without), then the end of TCP.
    Close(Option<u16>),
    /// The end of TCP without a close frame.
    Cut,
}

/// How a client's socket is set up, and whether it answers pings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hands {
    /// The kernel's receive buffer; small ones fill quickly.
    pub(crate) receive_bytes: Option<usize>,
    /// Leaves pings unanswered.
    pub(crate) deaf: bool,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) hello: Message,
    buffer: Vec<u8>,
    deaf: bool,
}

impl Client {
    /// Connects and reads `hello`.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::with(address, Hands::default(), &[], b"")
    }

    /// Connects with further header lines and with bytes that follow the handshake at once.
    #[track_caller]
    pub(crate) fn with(address: SocketAddr, hands: Hands, headers: &[&str], early: &[u8]) -> Self {
        let (mut client, _) = Self::shake_hands(address, hands, headers, early);
        let hello = client.message();
        assert_eq!(hello.op(), "hello");
        client.hello = hello;
        client
    }

    /// Connects by this path, which may have a query, and reads `hello`.
    #[track_caller]
    pub(crate) fn at(address: SocketAddr, path: &str, headers: &[&str]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let (mut client, _) = Self::upgrade(stream, address, path, false, headers, b"");
        client.hello = client.expect("hello");
        client
    }

    /// Connects without waiting for `hello`, and returns the answer to the handshake as well.
    #[track_caller]
    pub(crate) fn shake_hands(address: SocketAddr, hands: Hands, headers: &[&str], early: &[u8]) -> (Self, Answer) {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        if let Some(bytes) = hands.receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.connect(&address.into()).unwrap();
        Self::shake_hands_over(socket.into(), address, hands.deaf, headers, early)
    }

    /// The same over a connection that is there already.
    #[track_caller]
    pub(crate) fn shake_hands_over(
        stream: TcpStream,
        address: SocketAddr,
        deaf: bool,
        headers: &[&str],
        early: &[u8],
    ) -> (Self, Answer) {
        Self::upgrade(stream, address, "/v1/ws", deaf, headers, early)
    }

    #[track_caller]
    fn upgrade(
        stream: TcpStream,
        address: SocketAddr,
        path: &str,
        deaf: bool,
        headers: &[&str],
        early: &[u8],
    ) -> (Self, Answer) {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let hello = Message { text: String::new(), json: Value::Null };
        let mut client = Self { stream, hello, buffer: Vec::new(), deaf };
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        for header in HANDSHAKE.iter().chain(headers) {
            request.extend_from_slice(header.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(early);
        client.raw(&request);
        let end = loop {
            if let Some(at) = client.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(client.fill(), "no answer to the handshake: {:?}", String::from_utf8_lossy(&client.buffer));
        };
        let answer = Answer::parse(&client.buffer.drain(..end).collect::<Vec<_>>());
        assert_eq!(answer.status, 101, "{answer:?}");
        (client, answer)
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a frame.
    #[track_caller]
    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) {
        self.raw(&masked(first, payload));
    }

    /// Sends a text message.
    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) {
        self.frame(FIN | TEXT, text.as_bytes());
    }

    /// Subscribes with the default options, and returns the answer.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, entries: &[&str]) -> Message {
        let topics: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
        self.say(&format!(r#"{{"op":"subscribe","topics":[{}]}}"#, topics.join(",")));
        self.expect("subscribed")
    }

    /// Sends a text message, and returns the next message.
    #[track_caller]
    pub(crate) fn request(&mut self, text: &str) -> Message {
        self.say(text);
        self.message()
    }

    /// Reads once. `false` at the end of the stream.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        // A test that was stopped and goes on finds its waiting interrupted (signal(7)): that is no silence.
        let read = loop {
            match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => false,
            Ok(len) => {
                self.buffer.extend_from_slice(&bytes[..len]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
        }
    }

    /// Returns the next frame, whatever it is; `None` at the end.
    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frames::take(&mut self.buffer) {
                return Some(frame);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Returns the next message. Answers pings and skips pongs; anything else is not expected.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        loop {
            match self.next_frame() {
                Some(Frame { opcode: TEXT, payload }) => return Message::parse(String::from_utf8(payload).unwrap()),
                Some(Frame { opcode: PING, payload }) if !self.deaf => self.frame(FIN | PONG, &payload),
                Some(Frame { opcode: PING | PONG, .. }) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// Returns the next message, which has to have this `op`.
    #[track_caller]
    pub(crate) fn expect(&mut self, op: &str) -> Message {
        let message = self.message();
        assert_eq!(message.op(), op, "{message:?}");
        message
    }

    /// Returns the next message, which has to have at least these fields.
    #[track_caller]
    pub(crate) fn expect_has(&mut self, wanted: Value) -> Message {
        let message = self.message();
        assert!(message.has(&wanted), "expected {wanted}\n     got {message:?}");
        message
    }

    /// Returns the next message, which has to be an error with this code.
    #[track_caller]
    pub(crate) fn expect_error(&mut self, code: &str) -> Message {
        let message = self.expect("error");
        assert_eq!(message["code"], code, "{message:?}");
        assert!(message["message"].as_str().is_some_and(|text| !text.is_empty()), "{message:?}");
        assert!(message["retry"].is_boolean(), "{message:?}");
        message
    }

    /// Skips messages until one has at least these fields. Heartbeats come for ever, so they do not extend the wait.
    #[track_caller]
    pub(crate) fn skip_to(&mut self, wanted: Value) -> Message {
        let mut end = Instant::now() + PATIENCE;
        loop {
            let message = self.message();
            if message.has(&wanted) {
                return message;
            }
            if message.op() == "heartbeat" {
                assert!(Instant::now() < end, "nothing came for {PATIENCE:?} but heartbeats, and not {wanted}");
            } else {
                end = Instant::now() + PATIENCE;
            }
        }
    }

    /// Reads to the end, whatever comes before it.
    #[track_caller]
    pub(crate) fn end(&mut self) -> End {
        let mut close = None;
        loop {
            match self.next_frame() {
                Some(Frame { opcode: CLOSE, payload }) => {
                    assert!(close.is_none(), "a second close frame");
                    assert_ne!(payload.len(), 1, "a close frame of one byte");
                    let code = payload.get(..2).map(|code| u16::from_be_bytes(code.try_into().unwrap()));
                    assert!(std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok());
                    close = Some(code);
                }
                Some(frame) => assert!(close.is_none(), "{frame:?} after the close frame"),
                None => break,
            }
        }
        assert!(self.buffer.is_empty(), "half a frame at the end");
        close.map_or(End::Cut, End::Close)
    }

    /// Reads to the end, which has to be a close frame with this code and the end of TCP within a second or so.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16) {
        let begin = Instant::now();
        assert_eq!(self.end(), End::Close(Some(code)));
        assert!(begin.elapsed() < PATIENCE / 2, "the end took {:?}", begin.elapsed());
    }

    /// Sends what it can until the broker takes no more for `quiet`. Returns the bytes that it took of `bytes`, over
    /// and over.
    #[track_caller]
    pub(crate) fn say_until_stuck(&mut self, bytes: &[u8], quiet: Duration, bytes_max: usize) -> usize {
        self.stream.set_write_timeout(Some(quiet)).unwrap();
        let mut sent = 0;
        while sent < bytes_max {
            match self.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// Half-closes the connection: nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends with a reset instead of a close.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
