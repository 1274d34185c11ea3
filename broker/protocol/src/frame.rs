//! WebSocket frames from the server (RFC 6455 §5.2): FIN set, not masked, so that all subscribers can share the same
//! bytes.

use std::fmt;
use std::sync::Arc;

use crate::quote::cut;

/// The longest head of a frame from the server: two bytes and a 64-bit length.
pub const HEAD_BYTES_MAX: usize = 10;

/// Maximum bytes of a control frame's payload.
const CONTROL_BYTES_MAX: usize = 125;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A finished text frame, head and payload in one allocation; a clone is a reference count.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Arc<[u8]>,
    head_bytes: u8,
}

impl Frame {
    /// Frames a payload. If the payload is still to be written, [`Frame::encode`] saves a copy.
    pub fn text(payload: &[u8]) -> Frame {
        let (head, head_bytes) = head(TEXT, payload.len());
        // The only way to a single allocation without `unsafe`: the iterator knows the length, the bytes are copied in
        // afterwards.
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, head_bytes + payload.len()).collect();
        if let Some(bytes) = Arc::get_mut(&mut bytes) {
            bytes[..head_bytes].copy_from_slice(&head[..head_bytes]);
            bytes[head_bytes..].copy_from_slice(payload);
        }
        Frame { bytes, head_bytes: head_bytes as u8 }
    }

    /// Frames what `write` appends to `scratch`, which is cleared first and keeps its memory for the next call.
    pub fn encode(scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
        scratch.clear();
        scratch.extend_from_slice(&[0; HEAD_BYTES_MAX]);
        write(scratch);
        let (head, head_bytes) = head(TEXT, scratch.len() - HEAD_BYTES_MAX);
        let start = HEAD_BYTES_MAX - head_bytes;
        scratch[start..HEAD_BYTES_MAX].copy_from_slice(&head[..head_bytes]);
        Frame { bytes: Arc::from(&scratch[start..]), head_bytes: head_bytes as u8 }
    }

    /// Returns head and payload, as written to the socket.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the message without its WebSocket head, for transports with framing of their own.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.head_len()..]
    }

    /// The bytes of the head.
    pub fn head_len(&self) -> usize {
        self.head_bytes.into()
    }

    /// The length of head and payload in bytes. A frame is never empty.
    #[allow(clippy::len_without_is_empty, reason = "a frame has at least its head")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Frame({})", String::from_utf8_lossy(self.payload()))
    }
}

/// Appends the head of an unmasked, final frame.
pub fn push_head(out: &mut Vec<u8>, opcode: u8, payload_len: usize) {
    let (head, head_bytes) = head(opcode, payload_len);
    out.extend_from_slice(&head[..head_bytes]);
}

/// The length of the frame that `bytes` begin with, including its head: a frame written by this module, with a complete
/// head.
pub fn first_len(bytes: &[u8]) -> usize {
    let number = |len: usize| bytes[2..2 + len].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    match bytes[1] {
        126 => 4 + number(2),
        127 => 10 + number(8),
        short => 2 + usize::from(short),
    }
}

/// Appends a text frame.
pub fn push_text(out: &mut Vec<u8>, payload: &[u8]) {
    push_head(out, TEXT, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a ping, its payload truncated to 125 bytes.
pub fn push_ping(out: &mut Vec<u8>, payload: &[u8]) {
    push_control(out, PING, payload);
}

/// Appends a pong, its payload truncated to 125 bytes.
pub fn push_pong(out: &mut Vec<u8>, payload: &[u8]) {
    push_control(out, PONG, payload);
}

/// Appends a close frame without a code.
pub fn push_empty_close(out: &mut Vec<u8>) {
    push_head(out, CLOSE, 0);
}

/// Appends a close frame; its reason is truncated to 123 bytes, at a character boundary.
pub fn push_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = cut(reason, CONTROL_BYTES_MAX - 2);
    push_head(out, CLOSE, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

fn push_control(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    push_head(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Returns the head and the number of its bytes in use: lengths up to 125 are in the second byte, up to 65,535 in two
/// more, others in eight more.
fn head(opcode: u8, payload_len: usize) -> ([u8; HEAD_BYTES_MAX], usize) {
    let mut head = [0; HEAD_BYTES_MAX];
    head[0] = FIN | opcode;
    let used = match payload_len {
        0..=125 => {
            head[1] = payload_len as u8;
            2
        }
        126..=0xFFFF => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
            HEAD_BYTES_MAX
        }
    };
    (head, used)
}
