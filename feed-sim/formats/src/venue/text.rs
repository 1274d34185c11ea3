//! JSON text that several venues' messages have in common.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::decimal::push_id;
use crate::is_segment;

/// The side of a trade whose order executed against a resting one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggressor {
    /// It bought.
    Buy,
    /// It sold.
    Sell,
}

impl Aggressor {
    /// Returns the name that is published.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Aggressor::Buy => "buy",
            Aggressor::Sell => "sell",
        }
    }
}

/// Checks that a symbol or an id can be a segment of a topic.
pub(crate) fn segment(text: &str) -> Result<&str, String> {
    if is_segment(text) { Ok(text) } else { Err(format!("{text:?} cannot be part of a topic")) }
}

/// Returns an id as JSON, as [`push_id`] writes it.
pub(crate) fn id_text(id: u64) -> String {
    let mut text = String::new();
    push_id(&mut text, id);
    text
}

/// Appends `,"venue_ts":microseconds` if the venue gave a time.
pub(crate) fn push_venue_ts(data: &mut String, venue_ts: Option<i64>) {
    if let Some(venue_ts) = venue_ts {
        // Writing into a string never fails.
        _ = write!(data, r#","venue_ts":{venue_ts}"#);
    }
}

/// Reads an RFC 3339 time, also with a blank instead of the T, in microseconds since the UNIX epoch.
pub(crate) fn rfc3339_us(text: &str) -> Result<i64, String> {
    let time: Timestamp = text.parse().map_err(|error| format!("time {text:?}: {error}"))?;
    Ok(time.as_microsecond())
}

/// Returns a venue's own JSON for publication. The fields that are used have been parsed before.
pub(crate) fn unchanged(json: &str) -> Result<String, String> {
    // A parser does not check the strings that it skips: half of a surrogate pair would pass.
    if json.contains("\\u") {
        serde_json::from_str::<serde_json::Value>(json).map_err(|error| error.to_string())?;
    }
    // A line break can only be between tokens, where a blank means the same, and published lines must not have one.
    Ok(if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json.to_owned() })
}
