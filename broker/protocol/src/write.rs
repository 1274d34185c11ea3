//! Writing JSON: integers, and strings with only the escapes that RFC 8259 requires.

/// What JSON is written into: the bytes of a message, or a text.
pub trait Buffer {
    /// Appends JSON text.
    fn append(&mut self, text: &str);
}

impl Buffer for Vec<u8> {
    #[inline]
    fn append(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

impl Buffer for String {
    #[inline]
    fn append(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// Appends a string with its quotes.
pub fn push_string(out: &mut impl Buffer, text: &str) {
    out.append("\"");
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest.as_bytes()));
        out.append(plain);
        let Some(&byte) = special.as_bytes().first() else { break };
        push_escape(out, byte);
        rest = &special[1..];
    }
    out.append("\"");
}

/// Appends an integer.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Returns the number of bytes of a string's text before the next quote, backslash or control character; eight bytes
/// are examined at a time.
#[inline]
pub(crate) fn plain_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = text.get(at..at + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
        let special = specials(u64::from_le_bytes(word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = text[at..].iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\');
    tail.map_or(text.len(), |tail| at + tail)
}

/// Sets the highest bit of the lowest byte that is a quote, a backslash or below a space (bytes above it may be wrong,
/// because the subtractions borrow).
#[inline]
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero_bytes(word ^ (ONES * b'"' as u64));
    let backslash = zero_bytes(word ^ (ONES * b'\\' as u64));
    (control | quote | backslash) & HIGH
}

/// Appends the escape of a quote, a backslash or a control character.
fn push_escape(out: &mut impl Buffer, byte: u8) {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0C => "\\f",
        _ => {
            let digit = |nibble: u8| &"0123456789abcdef"[usize::from(nibble)..][..1];
            for part in ["\\u00", digit(byte >> 4), digit(byte & 15)] {
                out.append(part);
            }
            return;
        }
    };
    out.append(short);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_does() {
        let all: String = (0..=0x7F).chain([0xE9, 0x20AC, 0x1F600]).filter_map(char::from_u32).collect();
        for start in 0..all.len() {
            let Some(text) = all.get(start..) else { continue };
            let mut out = Vec::new();
            push_string(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), serde_json::to_string(text).unwrap_or_default());
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(out, serde_json::to_string(text).unwrap_or_default());
        }
    }

    #[test]
    fn plain_bytes_stops_at_every_special_byte_at_every_offset() {
        for special in (0..b' ').chain([b'"', b'\\']) {
            for at in 0..20 {
                for filler in [b'a', b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xA2, 0xDC, 0xFF] {
                    let mut text = vec![filler; 24];
                    assert_eq!(plain_bytes(&text), 24, "{filler}");
                    text[at] = special;
                    assert_eq!(plain_bytes(&text), at, "{special} at {at} among {filler}");
                }
            }
        }
    }
}
