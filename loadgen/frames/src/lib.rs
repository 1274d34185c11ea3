//! WebSocket frames (RFC 6455 §5.2) as a client sees them: for the load generator, and for tests of a server.
//!
//! It judges nothing: a frame has the first byte that it is given, right or wrong, and what was read is told as it is. It
//! depends on nothing, and nothing that serves depends on it, so that a server is measured and tested with other code than its own.

use std::ops::Range;

/// Of the first byte: the frame is the last of its message.
pub const FIN: u8 = 0x80;
/// A frame that goes on with a message.
pub const CONTINUATION: u8 = 0;
/// A text frame.
pub const TEXT: u8 = 1;
/// A binary frame.
pub const BINARY: u8 = 2;
/// The end of a connection.
pub const CLOSE: u8 = 8;
/// To be answered by [`PONG`].
pub const PING: u8 = 9;
/// The answer to [`PING`].
pub const PONG: u8 = 10;

const OPCODE: u8 = 0x0f;

/// A mask as good as any other. Masks protect caches between a browser and a server from what a web page may make the
/// browser send (RFC 6455 §10.3); no cache is protected here, and the server has to take it off all the same.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends a client's frame: `first` as it is, the length in its shortest form.
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
    /// Of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// Where its payload lies.
    pub payload: Range<usize>,
}

impl Frame {
    /// Whether it is the last of its message.
    pub fn is_last(&self) -> bool {
        self.first & FIN != 0
    }

    /// [`TEXT`] and its like.
    pub fn opcode(&self) -> u8 {
        self.first & OPCODE
    }
}

/// What stands at the beginning of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A whole frame.
    Whole(Frame),
    /// A part of one.
    Part,
    /// A frame longer than [`FRAME_BYTES_MAX`].
    TooLong(u64),
}

/// The largest frame that is taken.
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

/// Takes a client's mask off.
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
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
    fn a_wrong_first_byte_is_told_as_it_is() {
        let mut bytes = Vec::new();
        plain(&mut bytes, 0x70 | PING, b"x");
        let Head::Whole(frame) = head(&bytes) else { panic!("it is a frame") };
        assert_eq!((frame.first, frame.is_last(), frame.opcode(), frame.mask), (0x79, false, PING, None));
    }

    #[test]
    fn a_claim_of_more_than_fits_is_refused() {
        let bytes = [0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(head(&bytes), Head::TooLong(0x7fff_ffff_ffff_ffff));
    }
}
