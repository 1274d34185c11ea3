//! Quotes, trades and books agree with each other, over long runs from many seeds.

mod common;

use std::collections::BTreeMap;

use common::{data, decimal, merge};
use feed_sim::publication::{Kind, Publication};
use feed_sim::scenario::find;
use serde_json::{Value, json};

/// What a subscriber to the three topics of one stock knows.
#[derive(Default)]
struct Seen {
    book: Option<Value>,
    venue_seq: u64,
    trade_id: u64,
    /// Shares taken since the book was told last, by price.
    traded: BTreeMap<String, u64>,
    quote: Option<Value>,
    trades: u64,
    prices: (u64, u64),
}

impl Seen {
    fn take(&mut self, publication: &Publication) {
        let data = data(publication);
        let venue_seq = data["venue_seq"].as_u64().expect("a number");
        assert_eq!(venue_seq, self.venue_seq + 1, "over the three topics without a hole");
        self.venue_seq = venue_seq;
        match (publication.topic.rsplit('.').next().expect("a segment"), publication.kind) {
            ("trade", Kind::Event) => self.trade(&data),
            ("book", Kind::State) => {
                let before = self.book.replace(data);
                self.check_fills(&before.unwrap_or_default());
            }
            ("book", Kind::Patch) => {
                let before = self.book.clone().expect("a state comes before the first patch");
                let book = self.book.as_mut().expect("it is there");
                for side in ["bids", "asks"] {
                    for (price, qty) in data[side].as_object().into_iter().flatten() {
                        assert!(
                            !qty.is_null() || before[side].get(price).is_some(),
                            "{price} is taken away and was not there"
                        );
                    }
                }
                merge(book, &data);
                self.check_fills(&before);
            }
            ("quote", Kind::State) => {
                self.quote = Some(data);
                self.check_quote();
            }
            (topic, kind) => panic!("{kind:?} on {topic}"),
        }
        if publication.topic.ends_with("book") {
            self.check_book();
        }
    }

    fn trade(&mut self, trade: &Value) {
        self.trade_id += 1;
        self.trades += 1;
        assert_eq!(trade["id"], json!(self.trade_id));
        let (side, aggressor) = match trade["side"].as_str() {
            Some("buy") => ("asks", "buy"),
            Some("sell") => ("bids", "sell"),
            other => panic!("side {other:?}"),
        };
        let price = trade["px"].as_str().expect("a string");
        let book = self.book.as_ref().expect("nothing trades before the book was shown");
        let shown =
            book[side].get(price).unwrap_or_else(|| panic!("{aggressor} at {price}, which the book did not show"));
        let traded = self.traded.entry(price.to_owned()).or_default();
        *traded += trade["qty"].as_str().and_then(|qty| qty.parse::<u64>().ok()).expect("a number of shares");
        assert!(*traded <= shown.as_str().and_then(|qty| qty.parse().ok()).expect("a number of shares"));
    }

    /// What was traded is gone from the book.
    fn check_fills(&mut self, before: &Value) {
        let now = self.book.as_ref().expect("it is there");
        for (price, traded) in std::mem::take(&mut self.traded) {
            let qty = |book: &Value| -> u64 {
                let level = ["bids", "asks"].into_iter().find_map(|side| book[side].get(&price));
                level.and_then(Value::as_str).map_or(0, |qty| qty.parse().expect("a number"))
            };
            assert_eq!(qty(before) - traded, qty(now), "at {price}");
        }
    }

    fn best(&self) -> ((u64, &str), (u64, &str)) {
        let book = self.book.as_ref().expect("a book");
        let levels = |side: &str| -> Vec<(u64, &str)> {
            let levels = book[side].as_object().expect("a side");
            let levels = levels.iter().map(|(price, qty)| (decimal(&json!(price)), qty.as_str().expect("a string")));
            levels.collect()
        };
        let bid = levels("bids").into_iter().max().expect("a bid");
        let ask = levels("asks").into_iter().min().expect("an ask");
        (bid, ask)
    }

    fn check_book(&mut self) {
        let (bid, ask) = self.best();
        assert!(bid.0 < ask.0, "crossed: {bid:?} {ask:?}");
        let mid = (bid.0 + ask.0) / 2;
        self.prices = match self.prices {
            (0, 0) => (mid, mid),
            (low, high) => (low.min(mid), high.max(mid)),
        };
    }

    fn check_quote(&self) {
        let quote = self.quote.as_ref().expect("a quote");
        let (bid, ask) = self.best();
        assert_eq!((decimal(&quote["bid"]), quote["bid_qty"].as_str().expect("a string")), bid);
        assert_eq!((decimal(&quote["ask"]), quote["ask_qty"].as_str().expect("a string")), ask);
    }
}

fn check(seed: u64, updates: usize) {
    let mut scenario = find("stocks").expect("in the catalogue").build(seed, Some(10));
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let (mut due_us, mut symbol) = (0, String::new());
    for _ in 0..updates {
        let timed = scenario.next();
        assert!(timed.due_us >= due_us);
        if timed.due_us > due_us {
            // Nothing more comes of the moment before: whatever changed the best levels has changed the quote.
            seen.get(&symbol).into_iter().for_each(Seen::check_quote);
        }
        due_us = timed.due_us;
        symbol = timed.publication.topic.split('.').nth(1).expect("a symbol").to_owned();
        seen.entry(symbol.clone()).or_default().take(&timed.publication);
    }
    assert_eq!(seen.len(), 10);
    for (symbol, seen) in &seen {
        assert!(seen.trades as usize > updates / 10 / 20, "{symbol} traded {} times", seen.trades);
        let (low, high) = seen.prices;
        assert!(high > low, "{symbol} never moved");
        check_ticks(symbol, seen);
    }
}

/// A cent, and below one dollar a hundredth of one: the texts have just those decimals.
fn check_ticks(symbol: &str, seen: &Seen) {
    let book = seen.book.as_ref().expect("a book");
    for (price, _) in ["bids", "asks"].iter().flat_map(|side| book[side].as_object().expect("a side")) {
        let decimals = price.split_once('.').expect("a decimal point").1.len();
        let expected = if decimal(&json!(price)) < 100_000_000 { 4 } else { 2 };
        assert_eq!(decimals, expected, "{symbol} at {price}");
    }
}

#[test]
fn the_three_topics_agree() {
    for seed in 0..8 {
        eprintln!("seed {seed}");
        check(seed, 20_000);
    }
}

#[test]
fn they_still_do_after_a_long_day() {
    check(99, 150_000);
}

/// A broker that was restarted in the middle has a whole book again soon.
#[test]
fn the_whole_book_comes_again_and_again() {
    let mut scenario = find("stocks").expect("in the catalogue").build(4, Some(1));
    let kinds: Vec<Kind> = std::iter::repeat_with(|| scenario.next().publication)
        .filter(|publication| publication.topic.ends_with("book"))
        .map(|publication| publication.kind)
        .take(1_000)
        .collect();
    let states: Vec<usize> = (0..kinds.len()).filter(|&at| kinds[at] == Kind::State).collect();
    assert_eq!(states, [0, 256, 512, 768]);
}
