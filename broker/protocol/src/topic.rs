//! Topic names: one or more segments joined by `.`, of characters that need no escape in JSON and have no meaning in
//! HTML, so that a name can be copied anywhere as it is.

use crate::quote::quote;

/// Maximum bytes of the name of a topic or pattern.
pub const TOPIC_BYTES_MAX: usize = 255;

/// Maximum number of segments in a name; each has one bit in a pattern's masks.
pub const SEGMENTS_MAX: usize = 16;

/// Checks the name of a topic. A pattern is not one: where a topic is needed it is `bad_topic` like any other error.
pub fn check_topic(name: &str) -> Result<(), NameError> {
    check(name, false).map(|_| ())
}

/// Whether an entry of `subscribe` is a pattern: it contains a wildcard, whether or not in a valid position.
pub fn is_pattern(entry: &str) -> bool {
    entry.bytes().any(|byte| byte == b'*' || byte == b'>')
}

/// Whether a topic is the broker's own: its first character is `$`.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with('$')
}

/// What is wrong with a topic or a pattern. Its `Display` is a sentence for the `message` of an error, of bounded
/// length whatever the name was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct NameError {
    sentence: String,
}

impl NameError {
    fn new(sentence: String) -> NameError {
        NameError { sentence }
    }
}

/// The positions of the wildcards in a checked name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The number of segments.
    pub(crate) segments: usize,
    /// One bit per segment, the first segment in the highest bit: set if the segment is literal.
    pub(crate) literals: u16,
}

/// Checks a name, or with `wildcards` a pattern: one pass over the bytes, and a second one only to describe an error.
pub(crate) fn check(name: &str, wildcards: bool) -> Result<Shape, NameError> {
    if name.is_empty() || name.len() > TOPIC_BYTES_MAX {
        return Err(wrong_length(name));
    }
    let mut shape = Shape::default();
    let mut ended = false;
    for segment in name.as_bytes().split(|&byte| byte == b'.') {
        let literal = !segment.is_empty() && segment.iter().all(|&byte| ALLOWED[byte as usize]);
        let wild = wildcards && (segment == b"*" || segment == b">");
        if ended || !(literal || wild) || shape.segments == SEGMENTS_MAX {
            return Err(wrong_segment(name, wildcards));
        }
        if literal {
            shape.literals |= 1 << (SEGMENTS_MAX - 1 - shape.segments);
        }
        ended = segment == b">";
        shape.segments += 1;
    }
    Ok(shape)
}

/// `A–Z a–z 0–9 _ - : / = + @ ^ $ ~`: the characters of a segment.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let others = b"_-:/=+@^$~";
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        allowed[others[at] as usize] = true;
        at += 1;
    }
    allowed
};

#[cold]
fn wrong_length(name: &str) -> NameError {
    if name.is_empty() {
        return NameError::new("the name is empty".to_owned());
    }
    let quoted = quote(name);
    NameError::new(format!("{quoted} has {} bytes; a name has at most {TOPIC_BYTES_MAX}", name.len()))
}

#[cold]
fn wrong_segment(name: &str, wildcards: bool) -> NameError {
    let quoted = quote(name);
    let count = name.split('.').count();
    if count > SEGMENTS_MAX {
        return NameError::new(format!("{quoted} has {count} segments; a name has at most {SEGMENTS_MAX}"));
    }
    if !wildcards && is_pattern(name) {
        return NameError::new(format!("{quoted} is a pattern, but a topic is needed here"));
    }
    for (segment, number) in name.split('.').zip(1..) {
        if segment.is_empty() {
            return NameError::new(format!("segment {number} of {quoted} is empty"));
        }
        if wildcards && segment == ">" && number < count {
            return NameError::new(format!("segment {number} of {quoted} is `>`, which can only be the last"));
        }
        if wildcards && segment.len() > 1 && is_pattern(segment) {
            let sentence = format!("segment {number} of {quoted} mixes a wildcard with other characters");
            return NameError::new(sentence);
        }
        let odd = segment.chars().find(|&character| {
            let allowed = character.is_ascii() && ALLOWED[character as usize];
            !(allowed || wildcards && matches!(character, '*' | '>'))
        });
        if let Some(odd) = odd {
            let odd = odd.escape_debug();
            return NameError::new(format!("segment {number} of {quoted} contains the character '{odd}'"));
        }
    }
    NameError::new(format!("{quoted} is not a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_topic_names() {
        let longest = "x".repeat(TOPIC_BYTES_MAX);
        let most = ["s"; SEGMENTS_MAX].join(".");
        for name in
            ["a", "stocks.AAPL.quote", "BTC/USD", "^GSPC", "EUR=X", "$SYS.stats", "a_b-c:d+e@f~g", &longest, &most]
        {
            assert_eq!(check_topic(name), Ok(()), "{name}");
            assert!(!is_pattern(name), "{name}");
        }
    }

    #[test]
    fn the_error_describes_what_is_wrong() {
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        let many = ["s"; SEGMENTS_MAX + 1].join(".");
        let quoted = "x".repeat(64);
        let table = [
            ("", "the name is empty"),
            ("a..b", "segment 2 of \"a..b\" is empty"),
            (".", "segment 1 of \".\" is empty"),
            ("a.", "segment 2 of \"a.\" is empty"),
            ("a b", "segment 1 of \"a b\" contains the character ' '"),
            ("a.b\u{0}c", "segment 2 of \"a.b\\u{0}c\" contains the character '\\0'"),
            ("größe", "segment 1 of \"größe\" contains the character 'ö'"),
            ("a.*", "\"a.*\" is a pattern, but a topic is needed here"),
            (&long, &format!("\"{quoted}…\" has 256 bytes; a name has at most 255")),
            (&many, "\"s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s.s\" has 17 segments; a name has at most 16"),
        ];
        for (name, sentence) in table {
            let error = check_topic(name).expect_err(name);
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn reserved_is_the_first_character() {
        assert!(is_reserved("$SYS.stats"));
        assert!(!is_reserved("a.$b"));
        assert!(!is_reserved(""));
    }
}
