//! Binance spot streams: a book whose snapshot comes between its updates, a trade and a ticker, as `hftbacktest`
//! collects them: `<receive time, ns> <message>`.
//!
//! Source: Binance, "WebSocket Streams" (`trade`, `bookTicker`, `depth`, and "How to manage a local order book
//! correctly") and "Market Data endpoints" (`/api/v3/depth`).

use serde_json::{Value, json};

/// 2026-01-05 14:30 UTC.
const START_MS: u64 = 1_767_623_400_000;

pub(crate) fn recording() -> String {
    let snapshot = json!({"lastUpdateId": 13, "bids": [["1.0", "9"]], "asks": [["1.2", "5"], ["1.3", "4"]]});
    let trade = json!({
        "e": "trade", "E": START_MS + 4, "s": "XY", "t": 71, "p": "1.20", "q": "2.50", "T": START_MS + 4, "m": false,
        "M": true
    });
    let ticker = json!({"u": 16, "s": "XY", "b": "1.0", "B": "9", "a": "1.2", "A": "2.50"});
    [
        (1, depth(1, [10, 12], json!([["1.0", "9"]]), json!([]))),
        (2, depth(2, [13, 15], json!([]), json!([["1.3", "0.00"]]))),
        (3, snapshot),
        (4, json!({"stream": "xy@trade", "data": trade})),
        (5, json!({"stream": "xy@bookTicker", "data": ticker})),
        // 16 is missing.
        (6, depth(6, [17, 18], json!([["1.1", "2"]]), json!([]))),
    ]
    .into_iter()
    .map(|(at_ms, message)| format!("{} {message}\n", (START_MS + at_ms) * 1_000_000))
    .collect()
}

fn depth(at_ms: u64, [first, last]: [u64; 2], bids: Value, asks: Value) -> Value {
    json!({
        "stream": "xy@depth@100ms",
        "data": {"e": "depthUpdate", "E": START_MS + at_ms, "s": "XY", "U": first, "u": last, "b": bids, "a": asks}
    })
}
