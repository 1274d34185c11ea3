//! WebSocket frames as bytes, right and wrong ones.

use ws_frames::Head;
pub(crate) use ws_frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};

/// A frame of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// A masked frame: the first byte as it is, the length in its shortest form.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ws_frames::masked(&mut out, first, payload);
    out
}

/// Takes the first frame off the buffer, if it is whole. Panics if the broker violates RFC 6455.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Frame> {
    if let Some(first) = buffer.first() {
        assert_eq!(first & 0xf0, FIN, "the broker sends whole messages without extensions: {first:#x}");
    }
    let frame = match ws_frames::head(buffer) {
        Head::Whole(frame) => frame,
        Head::Part => return None,
        Head::TooLong(len) => panic!("a frame of {len} bytes"),
    };
    assert_eq!(frame.mask, None, "the broker does not mask");
    let (head, len) = (frame.payload.start, frame.payload.len());
    let shortest = match len {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    assert_eq!(head, shortest, "a length of {len} in a head of {head} bytes");
    let opcode = frame.opcode();
    assert!(opcode < 8 || len <= 125, "a control frame over 125 bytes");
    let payload = buffer[frame.payload.clone()].to_vec();
    buffer.drain(..frame.payload.end);
    Some(Frame { opcode, payload })
}
