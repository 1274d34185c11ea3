//! The venue's messages, as far as we look at them. Its one-letter names end here.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What every message of a combined stream is wrapped in; a REST answer is not.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) stream: Option<&'a str>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// A trade or a ticker: it goes out as it is, under its symbol.
#[derive(Deserialize)]
pub(super) struct Identified<'a> {
    #[serde(rename = "s")]
    pub(super) symbol: &'a str,
}

/// Price and quantity, as text.
pub(super) type Level<'a> = (&'a str, &'a str);

/// `depthUpdate`: levels that changed, between two numbers of the book's own sequence.
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

/// The REST snapshot. It does not say of which symbol.
#[derive(Deserialize)]
pub(super) struct Snapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    pub(super) last_id: u64,
    #[serde(borrow)]
    pub(super) bids: Vec<Level<'a>>,
    #[serde(borrow)]
    pub(super) asks: Vec<Level<'a>>,
}
