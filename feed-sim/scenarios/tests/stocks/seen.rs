//! What a subscriber to all topics of one stock has seen, and the checks that it is consistent.

use std::collections::BTreeMap;

use feed_player::publication::{Kind, Publication};
use serde_json::{Value, json};

use crate::bars::Bars;
use crate::call;
use crate::common::{data, decimal, merge};
use crate::status::Status;

#[derive(Default)]
pub(crate) struct Seen {
    book: Value,
    has_book: bool,
    quote: Value,
    pub(crate) status: Status,
    bars: Bars,
    venue_seq: u64,
    trade_id: u64,
    /// By side and price, since the last book message: shares that the book showed, and shares taken.
    taken: BTreeMap<(&'static str, String), (u64, u64)>,
    /// The last trade's time, price and resting order.
    last_fill: (u64, String, u64),
    pub(crate) trades: u64,
    pub(crate) auction_prints: u64,
    /// The lowest and the highest mid price.
    pub(crate) prices: (u64, u64),
}

impl Seen {
    pub(crate) fn take(&mut self, now_us: u64, publication: &Publication) {
        let data = data(publication);
        match (publication.topic.rsplit('.').next().expect("a segment"), publication.kind) {
            ("bar_1s", Kind::State) => return self.bars.second(now_us, &data),
            ("bar_1m", Kind::State) => return self.bars.minute(now_us, &data),
            ("trade", Kind::Event) => self.trade(now_us, &data),
            ("book", kind @ (Kind::State | Kind::Patch)) => self.book(kind, &data),
            ("quote", Kind::State) => self.quote = data.clone(),
            ("status", Kind::State) => self.status.change(now_us, &data),
            (topic, kind) => panic!("{kind:?} on {topic}"),
        }
        let venue_seq = data["venue_seq"].as_u64().expect("a number");
        assert_eq!(venue_seq, self.venue_seq + 1, "over the venue's topics without a hole");
        self.venue_seq = venue_seq;
    }

    fn book(&mut self, kind: Kind, data: &Value) {
        if kind == Kind::State {
            self.book = data.clone();
            self.has_book = true;
        } else {
            assert!(self.has_book, "a state comes before the first patch");
            merge(&mut self.book, data);
        }
        for side in ["bids", "asks"] {
            for (price, qty) in data[side].as_object().into_iter().flatten() {
                assert!(qty.is_null() || shares(qty) > 0, "a level of nothing at {price}");
            }
        }
        // The shares that were traded are gone from the book.
        for ((side, price), (shown, taken)) in std::mem::take(&mut self.taken) {
            let left = self.book[side].get(&price).map_or(0, shares);
            assert_eq!(shown - taken, left, "{side} at {price}");
        }
        if self.status.now() == "open" {
            let (bid, ask) = self.best().expect("continuous trading has both sides");
            assert!(bid.0 < ask.0, "crossed: {bid:?} {ask:?}");
            let middle = (bid.0 + ask.0) / 2;
            self.prices = match self.prices {
                (0, 0) => (middle, middle),
                (low, high) => (low.min(middle), high.max(middle)),
            };
        }
    }

    fn trade(&mut self, now_us: u64, trade: &Value) {
        self.trade_id += 1;
        self.trades += 1;
        assert_eq!(trade["id"], json!(self.trade_id));
        assert!(self.has_book, "nothing trades before the book was shown");
        let (price, qty) = (trade["px"].as_str().expect("a string"), shares(&trade["qty"]));
        assert!(qty > 0);
        self.bars.trade(now_us, price, qty);
        if let Some(auction) = trade.get("auction") {
            assert_eq!(self.status.auction(), auction.as_str(), "an auction trades at the end of its own call");
            call::check_print(&self.book, decimal(&trade["px"]), qty);
            self.auction_prints += 1;
            return;
        }
        assert_eq!(self.status.now(), "open", "a trade while it is not open");
        let side = match trade["side"].as_str() {
            Some("buy") => "asks",
            Some("sell") => "bids",
            other => panic!("side {other:?}"),
        };
        let shown = self.book[side].get(price).map(shares);
        let shown = shown.unwrap_or_else(|| panic!("{trade} at a price that the book did not show"));
        let level = self.taken.entry((side, price.to_owned())).or_insert((shown, 0));
        level.1 += qty;
        assert!(level.1 <= shown, "more than was there");
        // At one price older orders go first, each only once per aggressor.
        let order_id = trade["maker_order_id"].as_u64().expect("a number");
        let (last_us, last_price, last_id) = &self.last_fill;
        assert!(*last_us != now_us || last_price != price || *last_id < order_id, "{order_id} after {last_id}");
        self.last_fill = (now_us, price.to_owned(), order_id);
    }

    /// Checks that the quote is the best levels, or empty while the stock is not open.
    pub(crate) fn end_of_moment(&mut self) {
        let expected = match self.best() {
            Some((bid, ask)) if self.status.now() == "open" => json!([bid.1, bid.2, ask.1, ask.2]),
            _ => json!([null, null, null, null]),
        };
        let quote = &self.quote;
        assert_eq!(json!([quote["bid"], quote["bid_qty"], quote["ask"], quote["ask_qty"]]), expected);
        if self.status.now() == "closed" {
            assert!(["bids", "asks"].iter().all(|side| self.book[side] == json!({})), "orders end with the day");
        }
    }

    pub(crate) fn end(&mut self, now_us: u64) {
        assert!(self.taken.is_empty(), "trades that the book does not know of");
        self.bars.end(now_us);
    }

    /// Both best levels.
    fn best(&self) -> Option<(Level, Level)> {
        let levels = |side: &str| -> Vec<Level> {
            let levels = self.book[side].as_object().expect("a side").iter();
            levels
                .map(|(price, qty)| (decimal(&json!(price)), price.clone(), qty.as_str().expect("a string").to_owned()))
                .collect()
        };
        Some((levels("bids").into_iter().max()?, levels("asks").into_iter().min()?))
    }

    /// Checks that prices have exactly the decimals of the tick: a cent, or below one dollar a hundredth of a cent.
    pub(crate) fn check_ticks(&self, symbol: &str) {
        let sides = ["bids", "asks"].iter().flat_map(|side| self.book[side].as_object().expect("a side"));
        for (price, _) in sides {
            let decimals = price.split_once('.').expect("a decimal point").1.len();
            let expected = if decimal(&json!(price)) < 100_000_000 { 4 } else { 2 };
            assert_eq!(decimals, expected, "{symbol} at {price}");
        }
    }
}

/// A price as a number and as text, and the quantity there.
type Level = (u64, String, String);

/// A number of shares.
pub(crate) fn shares(qty: &Value) -> u64 {
    qty.as_str().and_then(|qty| qty.parse().ok()).unwrap_or_else(|| panic!("{qty} is not a number of shares"))
}
