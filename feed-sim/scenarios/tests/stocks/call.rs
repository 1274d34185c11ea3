//! An auction's print against the last book of the call.

use serde_json::{Value, json};

use crate::common::decimal;
use crate::seen::shares;

/// The print is all that can trade at its price, and no other price would trade more.
pub(crate) fn check_print(book: &Value, price: u64, qty: u64) {
    let levels = |side: &str| -> Vec<(u64, u64)> {
        let levels = book[side].as_object().expect("a side").iter();
        levels.map(|(price, qty)| (decimal(&json!(price)), shares(qty))).collect()
    };
    let (bids, asks) = (levels("bids"), levels("asks"));
    let volume = |at: u64| {
        let demand: u64 = bids.iter().filter(|(price, _)| *price >= at).map(|(_, qty)| qty).sum();
        let supply: u64 = asks.iter().filter(|(price, _)| *price <= at).map(|(_, qty)| qty).sum();
        demand.min(supply)
    };
    assert_eq!(volume(price), qty, "at {price}");
    let most = bids.iter().chain(&asks).map(|(price, _)| volume(*price)).max();
    assert_eq!(most, Some(qty), "another price trades more than {price}");
}
