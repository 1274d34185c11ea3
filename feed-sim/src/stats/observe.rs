//! What a publication says about the market: the one module that knows how feeds write trades, quotes and books.
//!
//! Topics are `PREFIX.SYM.what`. It knows our own conventions (`.trade`, `.quote`, `.book`) and Binance's messages,
//! which go out as the venue wrote them (`.trade`, `.ticker`, `.depth`), with their one-letter fields.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::decimal::{Price, price};
use feed_player::publication::{Kind, Publication};

/// What a publication says.
#[derive(Debug, PartialEq)]
pub(super) enum Observation {
    Trade {
        size: f64,
        price: Option<Price>,
        /// Whether the aggressor bought, if that is known.
        bought: Option<bool>,
    },
    /// The best prices; `None` for an empty side.
    Quote { bid: Option<Price>, ask: Option<Price> },
    /// Levels of a book, all of them or those that changed.
    Book { whole: bool, bids: Vec<Level>, asks: Vec<Level> },
    /// Messages that come by the clock and not by the market: bars.
    Clockwork,
    /// Anything else.
    Other,
}

/// A price, and whether there are orders at it.
pub(super) type Level = (Price, bool);

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow, alias = "p")]
    px: Option<&'a str>,
    #[serde(borrow, alias = "q")]
    qty: &'a str,
    #[serde(borrow)]
    side: Option<&'a str>,
    /// Binance: whether the buyer's order was in the book, so that the seller was the aggressor.
    #[serde(rename = "m")]
    buyer_was_maker: Option<bool>,
}

#[derive(Deserialize)]
struct Quote<'a> {
    #[serde(borrow, alias = "b")]
    bid: Option<&'a str>,
    #[serde(borrow, alias = "a")]
    ask: Option<&'a str>,
}

#[derive(Deserialize)]
struct Book {
    #[serde(default)]
    bids: Levels,
    #[serde(default)]
    asks: Levels,
}

/// Splits a topic into its instrument, which is the topic without its last segment, and that segment.
pub(super) fn instrument(topic: &str) -> (&str, &str) {
    topic.rsplit_once('.').unwrap_or((topic, ""))
}

/// Reads what a publication says.
pub(super) fn observe(publication: &Publication) -> Observation {
    let data = publication.data.as_str();
    let read = match instrument(&publication.topic).1 {
        "trade" => trade(data),
        "quote" | "ticker" => serde_json::from_str::<Quote<'_>>(data)
            .ok()
            .map(|quote| Observation::Quote { bid: quote.bid.and_then(price), ask: quote.ask.and_then(price) }),
        "book" | "depth" => serde_json::from_str::<Book>(data).ok().map(|book| Observation::Book {
            whole: publication.kind == Kind::State,
            bids: book.bids.0,
            asks: book.asks.0,
        }),
        what if what.starts_with("bar_") => Some(Observation::Clockwork),
        _ => None,
    };
    read.unwrap_or(Observation::Other)
}

fn trade(data: &str) -> Option<Observation> {
    let trade: Trade<'_> = serde_json::from_str(data).ok()?;
    let bought = match trade.side {
        Some("buy") => Some(true),
        Some("sell") => Some(false),
        _ => trade.buyer_was_maker.map(|maker| !maker),
    };
    let size = trade.qty.parse().ok().filter(|size: &f64| size.is_finite() && *size > 0.0)?;
    Some(Observation::Trade { size, price: trade.px.and_then(price), bought })
}

/// `{PX: QTY}`, with a QTY of null for a level that is gone.
#[derive(Default)]
struct Levels(Vec<Level>);

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByPrice;

        impl<'de> Visitor<'de> for ByPrice {
            type Value = Levels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("quantities by price")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Levels, A::Error> {
                let mut levels = Vec::new();
                while let Some((text, qty)) = map.next_entry::<&str, Option<&str>>()? {
                    levels.extend(price(text).map(|price| (price, qty.is_some())));
                }
                Ok(Levels(levels))
            }
        }

        deserializer.deserialize_map(ByPrice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: &str, data: &str, expected: Observation) {
        assert_eq!(observe(&Publication::new(topic, Kind::Patch, data.into())), expected, "{data}");
    }

    #[test]
    fn our_own_and_the_venues_fields() {
        let tick = 10_000_000;
        let bought = |bought| Observation::Trade { size: 100.0, price: Some(150 * tick), bought };
        check("s.X.trade", r#"{"id":1,"px":"1.50","qty":"100","side":"buy"}"#, bought(Some(true)));
        check("s.X.trade", r#"{"id":1,"px":"1.50","qty":"100","side":"sell","x":[1]}"#, bought(Some(false)));
        check("s.X.trade", r#"{"id":1,"px":"1.50","qty":"100"}"#, bought(None));
        check(
            "b.X.trade",
            r#"{"e":"trade","s":"X","t":1,"p":"1.50","q":"100","m":true,"M":true}"#,
            bought(Some(false)),
        );
        // A correction is not a trade.
        check("s.X.trade", r#"{"corrects":1,"action":"cancel"}"#, Observation::Other);
        check("s.X.trade", r#"{"px":"1.50","qty":"none"}"#, Observation::Other);
        let quote = Observation::Quote { bid: Some(150 * tick), ask: None };
        check("s.X.quote", r#"{"bid":"1.50","bid_qty":"5","ask":null,"ask_qty":null}"#, quote);
        let quote = Observation::Quote { bid: Some(150 * tick), ask: Some(151 * tick) };
        check("b.X.ticker", r#"{"u":1,"s":"X","b":"1.50","B":"3","a":"1.51","A":"2"}"#, quote);
        let book =
            Observation::Book { whole: false, bids: vec![(150 * tick, true), (149 * tick, false)], asks: vec![] };
        check("s.X.book", r#"{"venue_seq":3,"bids":{"1.50":"7","1.49":null}}"#, book);
        check("s.X.bar_1s", "{}", Observation::Clockwork);
        check("s.X.status", "{}", Observation::Other);
        check("chat", "5", Observation::Other);
    }
}
