//! LOBSTER: a message of each type, and the two best levels of the book after each, which follow from the messages.
//!
//! Source: LOBSTER, "Data structure" (the readme that comes with each file): columns, types, and 9999999999 and
//! -9999999999 as the prices of levels that are not there.

use std::collections::BTreeMap;

const LEVELS: usize = 2;
const NO_ASK: i64 = 9_999_999_999;

/// Time, type, order, size, price in ten-thousandths of a dollar, direction.
type Message = (&'static str, u8, i64, i64, i64, i64);

const MESSAGES: [Message; 10] = [
    ("34200.5", 1, 11, 100, 1_000_000, 1),
    ("34201.000000001", 1, 12, 50, 1_010_000, -1),
    // A part is cancelled, a part executed.
    ("34202.25", 2, 12, 20, 1_010_000, -1),
    ("34203", 4, 12, 10, 1_010_000, -1),
    // A hidden order is executed; a cross, whose order has no number.
    ("34204", 5, 0, 7, 1_005_000, 1),
    ("34205", 6, -1, 500, 1_005_000, -1),
    // A halt, quotes again, trades again.
    ("34206", 7, 0, 0, -1, -1),
    ("34207", 7, 0, 0, 0, -1),
    ("34208", 7, 0, 0, 1, -1),
    ("34209", 3, 11, 100, 1_000_000, 1),
];

/// The message file and the order book file.
pub(crate) fn recording() -> (String, String) {
    // An order from before the recording rests at 99.
    let (mut bids, mut asks) = (BTreeMap::from([(990_000, 5)]), BTreeMap::new());
    let (mut messages, mut rows) = (String::new(), String::new());
    for (time, kind, order, size, price, direction) in MESSAGES {
        messages += &format!("{time},{kind},{order},{size},{price},{direction}\n");
        let change = match kind {
            1 => size,
            2..=4 => -size,
            _ => 0,
        };
        let side: &mut BTreeMap<i64, i64> = if direction == 1 { &mut bids } else { &mut asks };
        if change != 0 {
            *side.entry(price).or_default() += change;
            side.retain(|_, size| *size > 0);
        }
        rows += &row(&bids, &asks);
    }
    (messages, rows)
}

/// Ask price, ask size, bid price and bid size of each level.
fn row(bids: &BTreeMap<i64, i64>, asks: &BTreeMap<i64, i64>) -> String {
    let bids = bids.iter().rev().map(|(&price, &size)| (price, size)).chain(std::iter::repeat((-NO_ASK, 0)));
    let asks = asks.iter().map(|(&price, &size)| (price, size)).chain(std::iter::repeat((NO_ASK, 0)));
    let levels = asks.zip(bids).take(LEVELS);
    let levels: Vec<String> = levels.map(|(ask, bid)| format!("{},{},{},{}", ask.0, ask.1, bid.0, bid.1)).collect();
    levels.join(",") + "\n"
}
