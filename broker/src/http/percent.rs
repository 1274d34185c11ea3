//! Strict percent-decoding: a malformed escape is an error, not a percent sign. (The usual decoders accept it, and the
//! client would publish to a topic that it did not mean.)

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

/// Decodes a path segment or a part of a query; `+` is a literal plus.
pub(super) fn decode(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = (rest.next().and_then(digit), rest.next().and_then(digit));
        let (Some(high), Some(low)) = digits else {
            return Err(refuse(text, "a percent sign is not followed by two hexadecimal digits"));
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| refuse(text, "decoded, it is not UTF-8"))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn refuse(text: &str, why: &str) -> Refusal {
    let text: String = text.chars().take(64).collect();
    Refusal { code: ErrorCode::BadRequest, message: format!("{text:?}: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let cases = [
            ("BTC%2FUSD", Some("BTC/USD")),
            ("BTC%2fUSD", Some("BTC/USD")),
            ("a+b", Some("a+b")),
            ("%E2%82%AC", Some("€")),
            ("", Some("")),
            ("%2", None),
            ("%", None),
            ("%zz", None),
            ("%+1", None),
            ("%%32", None),
            ("%ff", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text).ok().as_deref(), expected, "{text}");
        }
    }
}
