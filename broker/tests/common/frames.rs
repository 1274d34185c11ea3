//! WebSocket frames as bytes, right and wrong ones.

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// A frame of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// A masked frame: the first byte as it stands, the length in its shortest form.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Takes the first frame off the buffer, if it is whole. Panics where the broker breaks RFC 6455.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Frame> {
    let [first, second, ..] = *buffer.as_slice() else { return None };
    assert_eq!(first & 0xf0, FIN, "the broker sends whole messages without extensions: {first:#x}");
    assert_eq!(second & 0x80, 0, "the broker does not mask");
    let (at, len) = match second {
        126 => (4, u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap())),
        len => (2, u64::from(len)),
    };
    let shortest = match at {
        2 => true,
        4 => len > 125,
        _ => len > 0xffff,
    };
    assert!(shortest, "a length of {len} in {at} bytes");
    let end = at + len as usize;
    if buffer.len() < end {
        return None;
    }
    let frame = Frame { opcode: first & 0x0f, payload: buffer[at..end].to_vec() };
    assert!(frame.opcode < 8 || frame.payload.len() <= 125, "a control frame over 125 bytes");
    buffer.drain(..end);
    Some(frame)
}
