//! The reading half of a connection: assembles frames into whole text messages.
//!
//! `read_frame` of fastwebsockets is not safe to cancel, so [`Reader::next`] is not either: it is called in a loop that
//! is only dropped together with the connection. The checks that the library leaves to its caller are here: the limit
//! on a message in several frames, a second message inside an unfinished one, UTF-8 across frames (checked when the
//! message is whole), and the lengths of control frames.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use tokio::io::{AsyncReadExt, BufReader, Chain, Join, Sink};

use super::watched::Watched;
use super::wire::SocketReader;

/// Enough for a `hello`, the only message that may come before the limits in it are known.
const FIRST_MESSAGE_BYTES_MAX: usize = 1 << 16;
const CONTROL_BYTES_MAX: usize = 125;

type Socket = BufReader<Chain<Cursor<Bytes>, Watched<SocketReader>>>;

/// What was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A whole message; [`utf8`] gives its text.
    Text(Bytes),
    /// The payload, which the pong repeats.
    Ping(Vec<u8>),
    Close {
        /// 1005 if the frame has no code.
        code: u16,
        reason: String,
    },
}

/// Why nothing more will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// The close code to send, if the fault is the broker's.
    pub(crate) close_code: Option<u16>,
    /// The broker's close code that this amounts to.
    pub(crate) as_code: Option<u16>,
    /// The wait that the broker asked for.
    pub(crate) after_ms: Option<u64>,
}

impl Broken {
    pub(crate) fn new(reason: String, close_code: Option<u16>) -> Broken {
        Broken { reason, close_code, as_code: None, after_ms: None }
    }
}

/// The reading half of a connection.
pub(crate) struct Reader {
    /// It never writes: the writer sends pongs and close frames.
    socket: WebSocket<Join<Socket, Sink>>,
    /// The frames received so far of a message in several.
    unfinished: Option<Vec<u8>>,
    message_bytes_max: usize,
    silence_ms_max: Arc<AtomicU64>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("message_bytes_max", &self.message_bytes_max).finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(read: SocketReader, early: Bytes, read_buffer_bytes: usize) -> Reader {
        let silence_ms_max = Arc::new(AtomicU64::new(0));
        let bytes = Cursor::new(early).chain(Watched::new(read, silence_ms_max.clone()));
        let buffered = BufReader::with_capacity(read_buffer_bytes, bytes);
        let mut socket = WebSocket::after_handshake(tokio::io::join(buffered, tokio::io::sink()), Role::Client);
        socket.set_auto_close(false);
        socket.set_auto_pong(false);
        let mut reader = Reader { socket, unfinished: None, message_bytes_max: 0, silence_ms_max };
        reader.set_message_bytes_max(FIRST_MESSAGE_BYTES_MAX);
        reader
    }

    pub(super) fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
        // The library refuses a message of exactly this length too.
        self.socket.set_max_message_size(message_bytes_max.saturating_add(1));
    }

    /// From now on, receiving nothing for this long is an error.
    pub(super) fn set_silence_ms_max(&self, silence_ms_max: u64) {
        self.silence_ms_max.store(silence_ms_max, Ordering::Relaxed);
    }

    /// Returns the next message, ping or close. Not safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Received, Broken> {
        loop {
            let frame = self.socket.read_frame().await.map_err(broken)?;
            if let Some(received) = self.take(frame)? {
                return Ok(received);
            }
        }
    }

    fn take(&mut self, frame: Frame<'_>) -> Result<Option<Received>, Broken> {
        let payload = &frame.payload[..];
        match frame.opcode {
            OpCode::Ping | OpCode::Pong | OpCode::Close if payload.len() > CONTROL_BYTES_MAX => {
                Err(protocol_error("a control frame over 125 bytes"))
            }
            OpCode::Ping => Ok(Some(Received::Ping(payload.to_vec()))),
            OpCode::Pong => Ok(None),
            OpCode::Close => close(payload).map(Some),
            OpCode::Binary => Err(fault(1003, "a binary message")),
            OpCode::Text if self.unfinished.is_some() => Err(protocol_error("a message inside an unfinished one")),
            OpCode::Text if frame.fin => Ok(Some(Received::Text(match frame.payload {
                Payload::Bytes(bytes) => bytes.freeze(),
                other => Bytes::from(Vec::from(other)),
            }))),
            OpCode::Text => {
                self.unfinished = Some(payload.to_vec());
                Ok(None)
            }
            OpCode::Continuation => {
                let Some(unfinished) = &mut self.unfinished else {
                    return Err(protocol_error("a continuation without a beginning"));
                };
                if unfinished.len() + payload.len() > self.message_bytes_max {
                    return Err(too_big());
                }
                unfinished.extend_from_slice(payload);
                Ok(if frame.fin { self.unfinished.take().map(|whole| Received::Text(whole.into())) } else { None })
            }
        }
    }
}

/// The text of a message.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Broken> {
    std::str::from_utf8(bytes).map_err(|_| fault(1007, "text that is not UTF-8"))
}

fn close(payload: &[u8]) -> Result<Received, Broken> {
    match payload {
        [] => Ok(Received::Close { code: 1005, reason: String::new() }),
        [_] => Err(protocol_error("a close frame of one byte")),
        [high, low, reason @ ..] => Ok(Received::Close {
            code: u16::from_be_bytes([*high, *low]),
            reason: String::from_utf8_lossy(reason).into_owned(),
        }),
    }
}

pub(crate) fn fault(close_code: u16, what: &str) -> Broken {
    Broken::new(format!("the broker sent {what}"), Some(close_code))
}

fn protocol_error(what: &str) -> Broken {
    fault(1002, what)
}

fn too_big() -> Broken {
    fault(1009, "a message larger than its hello allows")
}

fn broken(error: WebSocketError) -> Broken {
    match error {
        WebSocketError::UnexpectedEOF => Broken::new("the connection ended without a close frame".to_owned(), None),
        WebSocketError::IoError(error) => Broken::new(error.to_string(), None),
        WebSocketError::FrameTooLarge => too_big(),
        WebSocketError::InvalidUTF8 => fault(1007, "text that is not UTF-8"),
        other => Broken::new(format!("the broker broke the WebSocket protocol: {other}"), Some(1002)),
    }
}
