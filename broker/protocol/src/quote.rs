//! Quoting untrusted text in a sentence: bounded, and without control characters.

/// A hostile name may be as long as a message; an error message quotes at most this many bytes of it.
const QUOTED_BYTES_MAX: usize = 64;

/// Returns `text` in double quotes, cut at 64 bytes (with `…`), control characters escaped.
pub(crate) fn quote(text: &str) -> String {
    let kept = bounded(text);
    let mut quoted = String::with_capacity(kept.len() + 5);
    quoted.push('"');
    for character in kept.chars() {
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    if kept.len() < text.len() {
        quoted.push('…');
    }
    quoted.push('"');
    quoted
}

/// The beginning of `text`, at most 64 bytes, cut at a character boundary.
pub(crate) fn bounded(text: &str) -> &str {
    cut(text, QUOTED_BYTES_MAX)
}

/// The beginning of `text`, at most `bytes_max` bytes, cut at a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_bounded_and_whole() {
        assert_eq!(quote("a..b"), "\"a..b\"");
        assert_eq!(quote("a\nb\u{0}"), "\"a\\nb\\u{0}\"");
        let long = quote(&"é".repeat(1000));
        assert_eq!(long, format!("\"{}…\"", "é".repeat(32)));
        assert_eq!(quote(&format!("x{}", "é".repeat(40))).len(), 63 + 2 + 3);
    }
}
