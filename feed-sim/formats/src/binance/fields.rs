//! The fields of the venue's messages that are used. Its one-letter names are used nowhere else.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The wrapper of every message of a combined stream; a REST answer has none.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) stream: Option<&'a str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// A trade or a ticker, which is published unchanged, under its symbol.
#[derive(Deserialize)]
pub(super) struct Identified<'a> {
    #[serde(rename = "s")]
    pub(super) symbol: &'a str,
}

/// Price and quantity, as text.
pub(super) type Level<'a> = (&'a str, &'a str);

/// `depthUpdate`: changed levels, with the first and last number of the update in the book's own sequence.
#[derive(Deserialize)]
pub(super) struct Depth<'a> {
    #[serde(rename = "s")]
    pub(super) symbol: &'a str,
    #[serde(rename = "E")]
    pub(super) event_ms: u64,
    #[serde(rename = "U")]
    pub(super) first_id: u64,
    #[serde(rename = "u")]
    pub(super) last_id: u64,
    #[serde(rename = "b", borrow)]
    pub(super) bids: Vec<Level<'a>>,
    #[serde(rename = "a", borrow)]
    pub(super) asks: Vec<Level<'a>>,
}

/// The REST snapshot. It does not contain its symbol.
#[derive(Deserialize)]
pub(super) struct Snapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    pub(super) last_id: u64,
    #[serde(borrow)]
    pub(super) bids: Vec<Level<'a>>,
    #[serde(borrow)]
    pub(super) asks: Vec<Level<'a>>,
}
