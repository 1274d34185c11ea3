//! Updates that a broker has to refuse.

use crate::publication::{Kind, Publication};

/// What is wrong with an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformation {
    Json,
    Kind,
    Large,
    Topic,
}

/// More than the 64 KiB that a broker takes by default, whatever surrounds the data.
const LARGE_BYTES: usize = 70_000;

impl Malformation {
    pub(super) const ALL: [Malformation; 4] =
        [Malformation::Json, Malformation::Kind, Malformation::Large, Malformation::Topic];

    fn name(self) -> &'static str {
        match self {
            Malformation::Json => "json",
            Malformation::Kind => "kind",
            Malformation::Large => "large",
            Malformation::Topic => "topic",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Malformation, String> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Malformation::name).join(", ");
            format!("\"{text}\" is not a kind of malformation (there are {known})")
        })
    }

    /// An update that differs from `good` in this respect only. `good` must have been published already: on a new topic
    /// the wrong kind would be the first, and make everything after it wrong.
    pub(super) fn of(self, good: &Publication) -> Publication {
        let mut bad = good.clone();
        match self {
            Malformation::Json => bad.data = cut(&good.data),
            Malformation::Kind => {
                bad.kind = if good.kind == Kind::Event { Kind::State } else { Kind::Event };
            }
            Malformation::Large => bad.data = format!("{{\"padding\":\"{}\"}}", "x".repeat(LARGE_BYTES)),
            Malformation::Topic => bad.topic = format!("${}", good.topic),
        }
        bad
    }
}

/// The data without its last character, which is never valid JSON: an object or string that is not closed is invalid.
fn cut(data: &str) -> String {
    let end = data.char_indices().next_back().map_or(0, |(at, _)| at);
    match data.as_bytes().first() {
        Some(b'{' | b'[' | b'"') => data[..end].to_owned(),
        // A number without its last digit is a number.
        _ => format!("{{\"cut\":{}", &data[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_data_is_not_json() {
        for data in [r#"{"a":"ö"}"#, "[1,2]", "15", "\"ö\"", "null", "\"\""] {
            assert!(serde_json::from_str::<serde_json::Value>(data).is_ok());
            assert!(serde_json::from_str::<serde_json::Value>(&cut(data)).is_err(), "{data}");
        }
    }
}
