//! Walking JSON text that was already checked and has no white space outside strings: images are built from it.
//!
//! Nothing is checked again, so a walk is little more than a search for quotes and brackets. On unchecked text a walk
//! ends early; it does not panic.

use std::borrow::Cow;

/// A cursor in compact, checked text, moving from left to right.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts before the value in `text`.
    pub fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: text }
    }

    /// Whether an object comes next.
    pub fn at_object(&self) -> bool {
        self.rest.first() == Some(&b'{')
    }

    /// Steps into the object that comes next, before its first key.
    pub fn enter(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Returns the next key, with its quotes; its value comes next, and must be taken or entered. Returns `None` at the
    /// object's end and moves past it.
    pub fn next_key(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.strip_prefix(b",").unwrap_or(self.rest);
        if text.first() != Some(&b'"') {
            self.enter();
            return None;
        }
        let (key, rest) = text.split_at(string_bytes(text));
        self.rest = rest.strip_prefix(b":").unwrap_or_default();
        Some(key)
    }

    /// Returns the value that comes next, whatever its type, and moves past it.
    pub fn take(&mut self) -> &'a [u8] {
        let (value, rest) = self.rest.split_at(value_bytes(self.rest));
        self.rest = rest;
        value
    }
}

/// The length of the value that `text` begins with.
fn value_bytes(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => string_bytes(text),
        Some(b'{' | b'[') => {
            let mut levels = 0_usize;
            let mut at = 0;
            while let Some(byte) = text.get(at) {
                match byte {
                    b'"' => {
                        at += string_bytes(&text[at..]);
                        continue;
                    }
                    b'{' | b'[' => levels += 1,
                    b'}' | b']' => levels = levels.saturating_sub(1),
                    _ => {}
                }
                at += 1;
                if levels == 0 {
                    break;
                }
            }
            at
        }
        _ => text.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(text.len()),
    }
}

/// The length of the string that `text` begins with, including its quotes.
pub(crate) fn string_bytes(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// Unescapes a string (given without its quotes) into bytes by which two strings can be compared: its UTF-8. Half a
/// surrogate pair, which JSON can escape and UTF-8 cannot encode, becomes the three bytes that the UTF-8 scheme would
/// give.
pub fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&escape, after)) = rest.split_first() else { break };
        rest = after;
        match escape {
            b'b' => text.push(0x08),
            b'f' => text.push(0x0C),
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'u' => rest = push_unit(&mut text, rest),
            itself => text.push(itself),
        }
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// Unescapes a string (given without its quotes); `None` if it contains half a surrogate pair.
pub fn unescaped_str(raw: &str) -> Option<Cow<'_, str>> {
    match unescaped(raw.as_bytes()) {
        Cow::Borrowed(_) => Some(Cow::Borrowed(raw)),
        Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
    }
}

/// Appends the character of `\uXXXX` (`rest` begins after the `u`), consuming a second unit if it is a pair.
fn push_unit<'a>(text: &mut Vec<u8>, rest: &'a [u8]) -> &'a [u8] {
    let Some(first) = unit(rest) else { return rest };
    let rest = &rest[4..];
    if let 0xD800..=0xDBFF = first
        && let Some(second @ 0xDC00..=0xDFFF) = rest.strip_prefix(b"\\u").and_then(unit)
    {
        push_character(text, 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
        return &rest[6..];
    }
    push_character(text, first);
    rest
}

fn unit(digits: &[u8]) -> Option<u32> {
    let digits = digits.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

fn push_character(text: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // A surrogate: all of them lie between U+0800 and U+FFFF, where UTF-8 has three bytes.
        None => text.extend_from_slice(&[
            0xE0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3F) as u8,
            0x80 | (code & 0x3F) as u8,
        ]),
    }
}
