//! WebSocket frames from the server (RFC 6455 §5.2): FIN set, not masked, so that the same bytes serve everybody.

use std::fmt;
use std::sync::Arc;

use crate::quote::cut;

/// The longest head of a frame from the server: two bytes and a 64-bit length.
pub const HEAD_BYTES_MAX: usize = 10;

/// Control frames carry at most this much.
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
    /// Frames a payload. Where the payload is still to be written, [`Frame::encode`] saves a copy.
    pub fn text(payload: &[u8]) -> Frame {
        let (head, head_bytes) = head(TEXT, payload.len());
        // The only way to one allocation without `unsafe`: the length is known to the iterator, the bytes come after.
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, head_bytes + payload.len()).collect();
        if let Some(bytes) = Arc::get_mut(&mut bytes) {
            bytes[..head_bytes].copy_from_slice(&head[..head_bytes]);
            bytes[head_bytes..].copy_from_slice(payload);
        }
        Frame { bytes, head_bytes: head_bytes as u8 }
    }

    /// Frames what `write` appends to `scratch`, which is emptied first and keeps its memory for the next time.
    pub fn encode(scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Frame {
        scratch.clear();
        scratch.extend_from_slice(&[0; HEAD_BYTES_MAX]);
        write(scratch);
        let (head, head_bytes) = head(TEXT, scratch.len() - HEAD_BYTES_MAX);
        let start = HEAD_BYTES_MAX - head_bytes;
        scratch[start..HEAD_BYTES_MAX].copy_from_slice(&head[..head_bytes]);
        Frame { bytes: Arc::from(&scratch[start..]), head_bytes: head_bytes as u8 }
    }

    /// Head and payload, as they go into the socket.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message without its WebSocket head, for carriers that mark messages in another way.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.head_len()..]
    }

    /// The bytes of the head.
    pub fn head_len(&self) -> usize {
        self.head_bytes.into()
    }

    /// The bytes of head and payload. A frame is never empty.
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

/// The length of the frame that begins here, its head included: one of those above, whose head is whole.
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

/// Appends a ping, its payload cut at 125 bytes.
pub fn push_ping(out: &mut Vec<u8>, payload: &[u8]) {
    push_control(out, PING, payload);
}

/// Appends a pong, its payload cut at 125 bytes.
pub fn push_pong(out: &mut Vec<u8>, payload: &[u8]) {
    push_control(out, PONG, payload);
}

/// Appends a close frame without a code.
pub fn push_empty_close(out: &mut Vec<u8>) {
    push_head(out, CLOSE, 0);
}

/// Appends a close frame; its reason is cut at 123 bytes, at a character's end.
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

/// The head and how many of its bytes are used: lengths to 125 stand in the second byte, to 65,535 in two more,
/// others in eight more.
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
