//! WebSocket frames, as much of them as a load needs.

use std::ops::Range;

pub(super) const TEXT: u8 = 1;

/// A mask as good as any other: it hides nothing here, but the broker has to take it off.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends a client's text frame.
pub(crate) fn masked(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(0x80 | TEXT);
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
    out.extend(MASK);
    let start = out.len();
    out.extend(payload);
    for part in out[start..].chunks_mut(MASK.len()) {
        part.iter_mut().zip(MASK).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// The first frame of what a broker sent, if it is whole: its opcode, and where its payload lies.
pub(super) fn frame(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (head, len) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        len => (2, u64::from(len)),
    };
    let end = head + len as usize;
    (bytes.len() >= end).then_some((first & 0x0f, head..end))
}
