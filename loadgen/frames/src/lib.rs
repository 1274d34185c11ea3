//! WebSocket frames (RFC 6455 §5.2) as a client sees them: for the load generator, and for tests of a server.
//!
//! It judges nothing: a frame gets the first byte that the caller gives it, right or wrong, and a frame that was read
//! is returned as it is. The crate depends on nothing, and no server depends on it, so that a server is measured and
//! tested with other code than its own.

use std::ops::Range;

/// The bit of the first byte that marks the last frame of a message.
pub const FIN: u8 = 0x80;
/// A frame that continues a message.
pub const CONTINUATION: u8 = 0;
/// A text frame.
pub const TEXT: u8 = 1;
/// A binary frame.
pub const BINARY: u8 = 2;
/// The end of a connection.
pub const CLOSE: u8 = 8;
/// A request to be answered by [`PONG`].
pub const PING: u8 = 9;
/// The answer to [`PING`].
pub const PONG: u8 = 10;

const OPCODE: u8 = 0x0f;

/// The mask of all frames: any value would do. Masks protect caches between a browser and a server from what a web page
/// may make the browser send (RFC 6455 §10.3). There is no cache to protect here, but the server still has to unmask.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends a client's frame with the first byte `first` and the length in its shortest form.
pub fn masked(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    push_len(out, 0x80, payload.len());
    out.extend(MASK);
    let start = out.len();
    out.extend(payload);
    for part in out[start..].chunks_mut(MASK.len()) {
        part.iter_mut().zip(MASK).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// Appends a server's frame.
pub fn plain(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    push_len(out, 0, payload.len());
    out.extend(payload);
}

fn push_len(out: &mut Vec<u8>, bit: u8, len: usize) {
    match len {
        len @ 0..=125 => out.push(bit | len as u8),
        len @ 126..=0xffff => {
            out.push(bit | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(bit | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
}

/// A frame in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// [`FIN`], three reserved bits, and the opcode.
    pub first: u8,
    /// The mask of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// The range of its payload in the buffer.
    pub payload: Range<usize>,
}

impl Frame {
    /// Whether it is the last of its message.
    pub fn is_last(&self) -> bool {
        self.first & FIN != 0
    }

    /// The opcode: [`TEXT`], [`BINARY`] and so on.
    pub fn opcode(&self) -> u8 {
        self.first & OPCODE
    }
}

/// The beginning of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A whole frame.
    Whole(Frame),
    /// A part of a frame.
    Part,
    /// A frame with a payload of this length, which is above [`FRAME_BYTES_MAX`].
    TooLong(u64),
}

/// The longest payload that is accepted, in bytes.
pub const FRAME_BYTES_MAX: u64 = 64 << 20;

/// Reads the first frame of a buffer.
pub fn head(bytes: &[u8]) -> Head {
    let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Head::Part };
    let extended = match second & 0x7f {
        126 => rest.first_chunk().map(|len| (4, u64::from(u16::from_be_bytes(*len)))),
        127 => rest.first_chunk().map(|len| (10, u64::from_be_bytes(*len))),
        len => Some((2, u64::from(len))),
    };
    let Some((mut at, len)) = extended else { return Head::Part };
    if len > FRAME_BYTES_MAX {
        return Head::TooLong(len);
    }
    let mut mask = None;
    if second & 0x80 != 0 {
        let Some(key) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return Head::Part };
        mask = Some(*key);
        at += 4;
    }
    let end = at + len as usize;
    if bytes.len() < end {
        return Head::Part;
    }
    Head::Whole(Frame { first, mask, payload: at..end })
}

/// Removes a client's mask.
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_frame_is_read_back() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut bytes = Vec::new();
            masked(&mut bytes, FIN | BINARY, &payload);
            for end in [0, 1, 2, 5, 9, 13, bytes.len() - 1] {
                let part = &bytes[..end.min(bytes.len() - 1)];
                assert_eq!(head(part), Head::Part, "{len} bytes, {end} of them there");
            }
            bytes.push(0xff);
            let Head::Whole(frame) = head(&bytes) else { panic!("{len} bytes are a frame") };
            assert!(frame.is_last() && frame.opcode() == BINARY);
            let taken = &mut bytes[frame.payload];
            unmask(taken, frame.mask.expect("a client's frame has a mask"));
            assert_eq!(taken, payload);
        }
    }

    #[test]
    fn a_wrong_first_byte_is_returned_as_it_is() {
        let mut bytes = Vec::new();
        plain(&mut bytes, 0x70 | PING, b"x");
        let Head::Whole(frame) = head(&bytes) else { panic!("it is a frame") };
        assert_eq!((frame.first, frame.is_last(), frame.opcode(), frame.mask), (0x79, false, PING, None));
    }

    #[test]
    fn a_length_above_the_limit_is_refused() {
        let bytes = [0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(head(&bytes), Head::TooLong(0x7fff_ffff_ffff_ffff));
    }
}
