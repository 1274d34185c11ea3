//! The fields of the venue's messages that are used: one struct for all, because each type has some of these.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) product_id: Option<&'a str>,
    /// RFC 3339; a snapshot of the older protocol has none.
    pub(super) time: Option<&'a str>,
    /// Counts the product's messages over all channels: a recording of some channels has gaps in it.
    pub(super) sequence: Option<u64>,
    #[serde(borrow)]
    pub(super) bids: Option<Vec<(&'a str, &'a str)>>,
    #[serde(borrow)]
    pub(super) asks: Option<Vec<(&'a str, &'a str)>>,
    /// Side (`buy` for bids), price, and the new size of the level.
    #[serde(borrow)]
    pub(super) changes: Option<Vec<(&'a str, &'a str, &'a str)>>,
    pub(super) trade_id: Option<u64>,
    pub(super) last_trade_id: Option<u64>,
    /// The side of a match: that of the order that rested in the book.
    pub(super) side: Option<&'a str>,
    pub(super) size: Option<&'a str>,
    pub(super) price: Option<&'a str>,
    /// The reason of an error.
    #[serde(borrow)]
    pub(super) message: Option<Cow<'a, str>>,
}
