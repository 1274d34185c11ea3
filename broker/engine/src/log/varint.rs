//! Integers of variable length: LEB128, as in WebAssembly and Protocol Buffers. Seven bits in each byte, the lowest first,
//! and a bit that says that more follow. Only the shortest form of each integer is accepted, so that what is decoded and
//! encoded again has the same bytes.

/// Maximum bytes of an integer of 64 bits.
pub const BYTES_MAX: usize = 10;

/// Why bytes do not begin with an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// They end within it.
    #[error("the bytes end within an integer")]
    TooShort,
    /// Only one form of each integer is accepted.
    #[error("an integer is longer than necessary, or above 64 bits")]
    NotShortest,
}

/// Appends an integer.
pub fn push(out: &mut Vec<u8>, value: u64) {
    let (bytes, width) = encode(value);
    out.extend_from_slice(&bytes[..width]);
}

/// Returns the bytes of an integer, and how many they are.
pub fn encode(mut value: u64) -> ([u8; BYTES_MAX], usize) {
    let (mut bytes, mut at) = ([0; BYTES_MAX], 0);
    while value >= 0x80 {
        bytes[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    bytes[at] = value as u8;
    (bytes, at + 1)
}

/// Takes an integer from the beginning of `rest`.
pub fn take(rest: &mut &[u8]) -> Result<u64, VarintError> {
    let mut value = 0;
    for (at, &byte) in rest.iter().enumerate().take(BYTES_MAX) {
        // The last byte has room for the highest bit only.
        if at == BYTES_MAX - 1 && byte > 1 {
            return Err(VarintError::NotShortest);
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            let is_shortest = byte != 0 || at == 0;
            *rest = &rest[at + 1..];
            return if is_shortest { Ok(value) } else { Err(VarintError::NotShortest) };
        }
    }
    Err(VarintError::TooShort)
}
