//! The fields of the venue's messages that are used (schema `MarketChangeMessage` of its documentation). Numbers are
//! kept as text.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    pub(super) op: &'a str,
    /// Publish time, milliseconds since the UNIX epoch.
    pub(super) pt: Option<u64>,
    /// Market changes; a heartbeat (`ct` `HEARTBEAT`) has none. `SUB_IMAGE` and `RESUB_DELTA` need no special
    /// treatment, because each image has `img`.
    #[serde(borrow)]
    pub(super) mc: Option<Vec<MarketChange<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct MarketChange<'a> {
    pub(super) id: &'a str,
    /// Whether it replaces everything known about the market.
    pub(super) img: Option<bool>,
    /// Whether several updates were combined into it.
    pub(super) con: Option<bool>,
    /// Total matched on the market.
    #[serde(borrow)]
    pub(super) tv: Option<&'a RawValue>,
    #[serde(borrow, rename = "marketDefinition")]
    pub(super) definition: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) rc: Option<Vec<RunnerChange<'a>>>,
}

/// The fields of a market definition that make up the status.
#[derive(Deserialize)]
pub(super) struct Definition<'a> {
    pub(super) status: &'a str,
    #[serde(rename = "inPlay", default)]
    pub(super) in_play: bool,
    #[serde(rename = "betDelay", default)]
    pub(super) bet_delay: u32,
    pub(super) version: Option<u64>,
}

/// Price and size.
pub(super) type PriceSize<'a> = (&'a RawValue, &'a RawValue);
/// Position (0 is the best), price and size.
pub(super) type PositionPriceSize<'a> = (u16, &'a RawValue, &'a RawValue);

#[derive(Deserialize)]
pub(super) struct RunnerChange<'a> {
    pub(super) id: u64,
    /// Handicap.
    #[serde(borrow)]
    pub(super) hc: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) atb: Option<Vec<PriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) atl: Option<Vec<PriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) trd: Option<Vec<PriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) spb: Option<Vec<PriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) spl: Option<Vec<PriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) batb: Option<Vec<PositionPriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) batl: Option<Vec<PositionPriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) bdatb: Option<Vec<PositionPriceSize<'a>>>,
    #[serde(borrow)]
    pub(super) bdatl: Option<Vec<PositionPriceSize<'a>>>,
    /// Last price traded.
    #[serde(borrow)]
    pub(super) ltp: Option<&'a RawValue>,
    /// Total matched on the runner.
    #[serde(borrow)]
    pub(super) tv: Option<&'a RawValue>,
    /// The starting price with the bets so far.
    #[serde(borrow)]
    pub(super) spn: Option<&'a RawValue>,
    /// The starting price without the bets in the market.
    #[serde(borrow)]
    pub(super) spf: Option<&'a RawValue>,
}
