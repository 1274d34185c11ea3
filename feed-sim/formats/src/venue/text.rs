//! Pieces of JSON text that several venues' messages are made of.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::decimal::push_id;
use crate::is_segment;

/// Which side of a trade came to take what the other one had offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggressor {
    /// It bought.
    Buy,
    /// It sold.
    Sell,
}

impl Aggressor {
    /// As it is published.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Aggressor::Buy => "buy",
            Aggressor::Sell => "sell",
        }
    }
}

/// A symbol or an id as it can stand in a topic.
pub(crate) fn segment(text: &str) -> Result<&str, String> {
    if is_segment(text) { Ok(text) } else { Err(format!("{text:?} cannot be part of a topic")) }
}

/// An id as JSON, as [`push_id`] writes it.
pub(crate) fn id_text(id: u64) -> String {
    let mut text = String::new();
    push_id(&mut text, id);
    text
}

/// Appends `,"venue_ts":microseconds` where the venue said when.
pub(crate) fn push_venue_ts(data: &mut String, venue_ts: Option<i64>) {
    if let Some(venue_ts) = venue_ts {
        // Writing into a string never fails.
        _ = write!(data, r#","venue_ts":{venue_ts}"#);
    }
}

/// Microseconds since the UNIX epoch of an RFC 3339 time (also with a blank in place of the T).
pub(crate) fn rfc3339_us(text: &str) -> Result<i64, String> {
    let time: Timestamp = text.parse().map_err(|error| format!("time {text:?}: {error}"))?;
    Ok(time.as_microsecond())
}

/// A venue's own JSON, which has been parsed as far as we look at it, as it can be published.
pub(crate) fn as_it_is(json: &str) -> Result<String, String> {
    // What a parser passes over it does not look at closely: half of a surrogate pair would go through.
    if json.contains("\\u") {
        serde_json::from_str::<serde_json::Value>(json).map_err(|error| error.to_string())?;
    }
    // A line break can only stand between its tokens, where it says nothing, and our lines may have none.
    Ok(if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json.to_owned() })
}
