//! Updates that programs publish to the log themselves, without a broker: each is a message of its own, and belongs to
//! no session. Nobody has checked it before it stands in the log, so whoever applies it does, and all brokers come to the
//! same.

use std::borrow::Cow;
use std::str::from_utf8;

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::{ID_BYTES_MAX, Publication, Refusal};
use broker_protocol::topic::{check_topic, is_reserved};
use broker_protocol::{Data, Kind};

use super::record::EXACT_MAX;

/// A message of a program, as it stands in the log. Its texts are as the program wrote them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inbound<'a> {
    /// When the log took it in, in µs since the UNIX epoch: the time of the update.
    pub ts_us: u64,
    /// The topic.
    pub topic: &'a str,
    /// The kind: `event`, `state` or `patch`; if absent, the topic's own.
    pub kind: Option<&'a str>,
    /// The source.
    pub source: Option<&'a str>,
    /// Its `source_seq`, in decimal digits.
    pub source_seq: Option<&'a str>,
    /// The producer's own time, in decimal digits.
    pub source_ts: Option<&'a str>,
    /// The value, as JSON.
    pub data: &'a [u8],
}

impl<'a> Inbound<'a> {
    /// Checks what can be checked of it alone.
    ///
    /// # Errors
    /// `bad_topic`, `forbidden` for the broker's own topics, `bad_json` and `bad_request`, each with an explanation of
    /// bounded length.
    pub fn update(&self) -> Result<Publication<'a>, Refusal> {
        check_topic(self.topic).map_err(|error| refusal(ErrorCode::BadTopic, error.to_string()))?;
        if is_reserved(self.topic) {
            return Err(refusal(ErrorCode::Forbidden, "topics that begin with $ are the broker's own".into()));
        }
        let kind = self.kind.map(|kind| Kind::parse(kind).ok_or_else(|| wrong("kind", "event, state or patch")));
        let kind = kind.transpose()?;
        let source = match (self.source, self.source_seq) {
            (None, None) => None,
            (Some(source), Some(seq)) if source.len() <= ID_BYTES_MAX => {
                Some((Cow::Borrowed(source), exact("source_seq", seq)?))
            }
            (Some(_), Some(_)) => return Err(wrong("source", "at most 64 bytes long")),
            (Some(_), None) => return Err(refusal(ErrorCode::BadRequest, "\"source\" needs a \"source_seq\"".into())),
            (None, Some(_)) => return Err(refusal(ErrorCode::BadRequest, "\"source_seq\" needs a \"source\"".into())),
        };
        let source_ts = self.source_ts.map(|ts| exact("source_ts", ts)).transpose()?;
        let text = from_utf8(self.data).map_err(|_| refusal(ErrorCode::BadJson, "`data` is not UTF-8".into()))?;
        let data = if kind == Some(Kind::Patch) { Data::check_patch(text) } else { Data::check(text) };
        let data = data.map_err(|error| refusal(error.code(), error.to_string()))?;
        Ok(Publication { topic: Cow::Borrowed(self.topic), kind, data, source, source_ts })
    }
}

/// A whole number below 2^53. Its only form is decimal digits: what one version of the program reads as a number, all do.
fn exact(field: &'static str, text: &str) -> Result<u64, Refusal> {
    let has_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if has_digits { text.parse().ok().filter(|number| *number <= EXACT_MAX) } else { None };
    number.ok_or_else(|| wrong(field, "a whole number below 2^53, in decimal digits"))
}

fn wrong(field: &str, what: &str) -> Refusal {
    refusal(ErrorCode::BadRequest, format!("\"{field}\" must be {what}"))
}

fn refusal(code: ErrorCode, message: String) -> Refusal {
    Refusal { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(inbound: Inbound<'_>) -> Option<ErrorCode> {
        inbound.update().err().map(|refusal| refusal.code)
    }

    #[test]
    fn what_is_taken() {
        let data = b" {\"a\": 1.50} ";
        let inbound = Inbound { topic: "a.b", data, ..Inbound::default() };
        let update = inbound.update().expect("valid");
        assert_eq!((&*update.topic, update.kind, update.data.raw()), ("a.b", None, r#"{"a": 1.50}"#));
        let inbound = Inbound {
            kind: Some("patch"),
            source: Some("s"),
            source_seq: Some("9007199254740991"),
            source_ts: Some("0"),
            ..inbound
        };
        let update = inbound.update().expect("valid");
        assert_eq!((update.kind, update.source_ts), (Some(Kind::Patch), Some(0)));
        assert_eq!(update.source, Some(("s".into(), EXACT_MAX)));
    }

    #[test]
    fn what_is_refused() {
        let good = Inbound { topic: "a", data: b"1", ..Inbound::default() };
        let of_source = |source, source_seq| Inbound { source, source_seq, ..good };
        let long = "s".repeat(65);
        let table = [
            (good, None),
            (Inbound { topic: "", ..good }, Some(ErrorCode::BadTopic)),
            (Inbound { topic: "a.*", ..good }, Some(ErrorCode::BadTopic)),
            (Inbound { topic: "$SYS.x", ..good }, Some(ErrorCode::Forbidden)),
            (Inbound { kind: Some("State"), ..good }, Some(ErrorCode::BadRequest)),
            (Inbound { kind: Some("patch"), ..good }, Some(ErrorCode::BadRequest)),
            (Inbound { data: b"", ..good }, Some(ErrorCode::BadJson)),
            (Inbound { data: b"{", ..good }, Some(ErrorCode::BadJson)),
            (Inbound { data: b"\"\xff\"", ..good }, Some(ErrorCode::BadJson)),
            (of_source(Some("s"), None), Some(ErrorCode::BadRequest)),
            (of_source(None, Some("1")), Some(ErrorCode::BadRequest)),
            (of_source(Some(&long), Some("1")), Some(ErrorCode::BadRequest)),
            (of_source(Some("s"), Some("+1")), Some(ErrorCode::BadRequest)),
            (of_source(Some("s"), Some("")), Some(ErrorCode::BadRequest)),
            (of_source(Some("s"), Some("9007199254740992")), Some(ErrorCode::BadRequest)),
            (Inbound { source_ts: Some("1.5"), ..good }, Some(ErrorCode::BadRequest)),
        ];
        for (inbound, expected) in table {
            assert_eq!(code(inbound), expected, "{inbound:?}");
        }
    }
}
