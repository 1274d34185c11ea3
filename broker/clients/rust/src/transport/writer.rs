//! Frames to the broker, collected in a buffer that is written in one go.

use fastwebsockets::{Frame, OpCode, Payload, unmask};

const HEAD_BYTES_MAX: usize = 16;
/// A close frame's code and reason.
const CLOSE_BYTES_MAX: usize = 125;

/// The bytes of the next write: whole frames, masked.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn text(&mut self, payload: &str) {
        self.push(OpCode::Text, payload.as_bytes());
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.push(OpCode::Pong, payload);
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        for character in reason.chars() {
            if payload.len() + character.len_utf8() > CLOSE_BYTES_MAX {
                break;
            }
            payload.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.push(OpCode::Close, &payload);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        // One large batch must not hold its memory forever.
        self.bytes.shrink_to(KEPT_BYTES_MAX);
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8]) {
        let mask: [u8; 4] = rand::random();
        let mut head = [0; HEAD_BYTES_MAX];
        let head_bytes = Frame::new(true, opcode, Some(mask), Payload::Borrowed(payload)).fmt_head(&mut head);
        self.bytes.extend_from_slice(&head[..head_bytes]);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        unmask(&mut self.bytes[at..], mask);
    }
}

const KEPT_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_size_class_are_masked_and_whole() {
        for (payload_bytes, head_bytes) in [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let payload = "x".repeat(payload_bytes);
            let mut frames = Frames::default();
            frames.text(&payload);
            let bytes = frames.bytes();
            assert_eq!(bytes.len(), head_bytes + payload_bytes);
            assert_eq!((bytes[0], bytes[1] & 0x80), (0x81, 0x80));
            let mask: [u8; 4] = bytes[head_bytes - 4..head_bytes].try_into().unwrap();
            let mut unmasked = bytes[head_bytes..].to_vec();
            unmask(&mut unmasked, mask);
            assert_eq!(unmasked, payload.as_bytes());
        }
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let mut frames = Frames::default();
        frames.close(1000, &"é".repeat(100));
        assert_eq!(frames.bytes().len(), 6 + 2 + 122);
    }
}
