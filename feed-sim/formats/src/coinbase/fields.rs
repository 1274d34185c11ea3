//! The venue's messages, as far as we look at them: one struct for all, since each type has some of these.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) product_id: Option<&'a str>,
    /// RFC 3339; a snapshot of the older protocol has none.
    pub(super) time: Option<&'a str>,
    /// Of the product's messages over all channels: a recording of some channels has holes in it.
    pub(super) sequence: Option<u64>,
    #[serde(borrow)]
    pub(super) bids: Option<Vec<(&'a str, &'a str)>>,
    #[serde(borrow)]
    pub(super) asks: Option<Vec<(&'a str, &'a str)>>,
    /// Side (`buy` for bids), price, and the size that the level has now.
    #[serde(borrow)]
    pub(super) changes: Option<Vec<(&'a str, &'a str, &'a str)>>,
    pub(super) trade_id: Option<u64>,
    pub(super) last_trade_id: Option<u64>,
    /// Of a match: that of the order that rested in the book.
    pub(super) side: Option<&'a str>,
    pub(super) size: Option<&'a str>,
    pub(super) price: Option<&'a str>,
    /// Of an error.
    #[serde(borrow)]
    pub(super) message: Option<Cow<'a, str>>,
}
