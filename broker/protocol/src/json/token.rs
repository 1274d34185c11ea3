//! Strings, numbers, words and white space: each function steps from the token's beginning to its end, or to where the
//! grammar is violated. Plain indices in registers: most of a message consists of these tokens.

use crate::write::plain_bytes;

/// The offset after a token, or the offset of the error.
pub(super) type Step = Result<usize, usize>;

/// Skips white space.
#[inline]
pub(super) fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Skips a string, and notes whether it contains escapes.
#[inline]
pub(super) fn string(text: &[u8], at: usize, escaped: &mut bool) -> Step {
    if text.get(at) != Some(&b'"') {
        return Err(at);
    }
    let mut at = at + 1;
    loop {
        at += plain_bytes(&text[at..]);
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(text, at + 1)?,
            _ => return Err(at),
        }
        *escaped = true;
    }
}

/// Skips what follows a backslash.
fn escape(text: &[u8], at: usize) -> Step {
    match text.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let digit = |at: &usize| text.get(*at).is_some_and(u8::is_ascii_hexdigit);
            match (at + 1..at + 5).find(|at| !digit(at)) {
                Some(wrong) => Err(wrong),
                None => Ok(at + 5),
            }
        }
        _ => Err(at),
    }
}

/// Skips a number.
pub(super) fn number(text: &[u8], mut at: usize) -> Step {
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = digits(text, at)?;
    }
    Ok(at)
}

/// Skips at least one digit.
#[inline]
fn digits(text: &[u8], start: usize) -> Step {
    let mut at = start;
    while let Some(b'0'..=b'9') = text.get(at) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(at) }
}

/// Skips `true`, `false` or `null`.
pub(super) fn word(text: &[u8], at: usize) -> Step {
    let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| text[at..].starts_with(word));
    word.map_or(Err(at), |word| Ok(at + word.len()))
}
