//! Bars against the published trades.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::decimal;

const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;

#[derive(Default)]
pub(crate) struct Bars {
    /// Price and shares of the trades of each second and minute whose final bar has not been published.
    seconds: BTreeMap<u64, Vec<(String, u64)>>,
    minutes: BTreeMap<u64, Vec<(String, u64)>>,
    minute_sent_us: Option<u64>,
}

impl Bars {
    pub(crate) fn trade(&mut self, now_us: u64, price: &str, qty: u64) {
        self.check_missing(now_us);
        for (bars, length_us) in [(&mut self.seconds, SECOND_US), (&mut self.minutes, MINUTE_US)] {
            bars.entry(now_us - now_us % length_us).or_default().push((price.to_owned(), qty));
        }
    }

    pub(crate) fn second(&mut self, now_us: u64, bar: &Value) {
        let start_us = bar["start"].as_u64().expect("a number");
        assert_eq!(now_us, start_us + SECOND_US, "published when it is over");
        let trades = self.seconds.remove(&start_us).expect("a bar only of trades");
        check(bar, &trades);
    }

    pub(crate) fn minute(&mut self, now_us: u64, bar: &Value) {
        let start_us = bar["start"].as_u64().expect("a number");
        assert!(now_us > start_us && now_us.is_multiple_of(SECOND_US));
        assert!(self.minute_sent_us.is_none_or(|sent_us| now_us >= sent_us + SECOND_US), "at most once a second");
        self.minute_sent_us = Some(now_us);
        check(bar, &self.minutes[&start_us]);
        let over = now_us >= start_us + MINUTE_US;
        assert_eq!(bar["closed"], json!(over));
        if over {
            assert_eq!(now_us, start_us + MINUTE_US, "published when it is over");
            self.minutes.remove(&start_us);
        }
    }

    pub(crate) fn end(&self, now_us: u64) {
        self.check_missing(now_us);
    }

    /// Every second and minute that is over has had its bar.
    fn check_missing(&self, now_us: u64) {
        for (bars, length_us) in [(&self.seconds, SECOND_US), (&self.minutes, MINUTE_US)] {
            let overdue = bars.keys().find(|start_us| **start_us + length_us <= now_us);
            assert_eq!(overdue, None, "a bar of {length_us} us is missing");
        }
    }
}

fn check(bar: &Value, trades: &[(String, u64)]) {
    let by_price = |(price, _): &&(String, u64)| decimal(&json!(price));
    let expected = [
        ("open", json!(trades[0].0)),
        ("high", json!(trades.iter().max_by_key(by_price).expect("some").0)),
        ("low", json!(trades.iter().min_by_key(by_price).expect("some").0)),
        ("close", json!(trades[trades.len() - 1].0)),
        ("volume", json!(trades.iter().map(|(_, qty)| qty).sum::<u64>().to_string())),
        ("trades", json!(trades.len())),
    ];
    for (field, value) in expected {
        assert_eq!(bar[field], value, "{field} of {bar}");
    }
}
