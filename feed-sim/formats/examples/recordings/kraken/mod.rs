//! Kraken spot WebSocket: a capture of each version, with a book, its checksums, trades and a ticker.
//!
//! Source: Kraken, "Spot WebSocket API" v2 and v1, channels `book`, `trade`, `ticker`, `spread` and `status`.

mod messages;

use serde_json::{Value, json};

use super::number;
use messages::{Levels, book, crc, levels};

/// As `cryptofeed` records it.
pub(crate) fn version_2() -> String {
    let bids = levels(&[("0.7312", "1840.25000000"), ("0.7311", "96.50000000")]);
    let asks = levels(&[("0.7314", "215.75000000")]);
    let after = levels(&[("0.7311", "64.25000000")]);
    let change = levels(&[("0.7312", "0.00000000"), ("0.7311", "64.25000000")]);
    let trade = |id: u64, side: &str, price: &str, qty: &str, kind: &str, time: &str| {
        json!({
            "symbol": "AB/CD", "side": side, "price": number(price), "qty": number(qty), "ord_type": kind,
            "trade_id": id, "timestamp": time
        })
    };
    let trades = [
        trade(41, "sell", "0.7311", "3.00000000", "market", "1970-01-01T00:00:10.45Z"),
        trade(42, "buy", "0.7314", "1.50", "limit", "1970-01-01T00:00:10.46Z"),
    ];
    let ticker = json!({"symbol": "AB/CD", "bid": 0.7311, "bid_qty": 64.25, "last": 0.7314});
    let subscribed = json!({"channel": "book", "depth": 10, "snapshot": true, "symbol": "AB/CD"});
    let data =
        |channel: &str, kind: &str, data: Value| json!({"channel": channel, "type": kind, "data": data}).to_string();
    let subscribe = json!({
        "method": "subscribe", "params": {"channel": "book", "depth": 10, "symbol": ["AB/CD"]}
    });
    let received = [
        ("10.2", data("status", "update", json!([{"system": "online", "version": "2.0.0"}]))),
        ("10.2", json!({"method": "subscribe", "result": subscribed, "success": true}).to_string()),
        ("10.3", book("snapshot", &bids, &asks, crc(&asks, &bids))),
        ("10.4", book("update", &change, &Levels::new(), crc(&asks, &after))),
        ("10.5", data("trade", "update", json!(trades))),
        ("10.6", data("ticker", "snapshot", json!([ticker]))),
        ("10.7", json!({"channel": "heartbeat"}).to_string()),
    ];
    let head = format!("wss://ws.example/v2 <-> 10.0\nwss://ws.example/v2 <- 10.1: {subscribe}\n");
    head + &received.map(|(time, message)| format!("{time}: {message}\n")).concat()
}

/// As plain lines.
pub(crate) fn version_1() -> String {
    let asks = levels(&[("318.47000", "2.75000000"), ("319.20000", "1.00000000")]);
    let bids = levels(&[("318.41000", "4.00000000"), ("318.35000", "1.12500000")]);
    let checksum = crc(&asks, &bids).to_string();
    let status = json!({
        "event": "subscriptionStatus", "channelName": "book-10", "pair": "AB/CD", "status": "subscribed"
    });
    let snapshot = json!({
        "as": [["318.47000", "2.75000000", "11.0"], ["318.90000", "0.64000000", "11.1"]],
        "bs": [["318.35000", "1.12500000", "11.25"]]
    });
    // "r" marks a level that is sent again.
    let new_asks = json!({
        "a": [["318.90000", "0.00000000", "12.5"], ["319.20000", "1.00000000", "12.25", "r"]]
    });
    let new_bids = json!({"b": [["318.41000", "4.00000000", "12.1"]], "c": checksum});
    let trades = json!([["318.35000", "0.42160000", "12.9", "s", "l", ""], ["318.47000", "1", "12.95", "b", "m", ""]]);
    let ticker = json!({"a": ["318.47000", 1, "1.000"], "b": ["318.41000", 0, "1.000"], "c": ["318.47000", "1"]});
    let messages = [
        (10, json!({"event": "systemStatus", "status": "online", "version": "1.9.0"})),
        (10, status),
        (10, json!([5, ["317.90000", "318.47000", "1.5", "2.0", "3.0"], "spread", "AB/CD"])),
        (11, json!([0, snapshot, "book-10", "AB/CD"])),
        (12, json!([0, new_asks, new_bids, "book-10", "AB/CD"])),
        (13, json!([0, trades, "trade", "AB/CD"])),
        (14, json!([0, ticker, "ticker", "AB/CD"])),
        (15, json!([5, ["317.90000", "318.47000", "15", "2.0", "3.0"], "spread", "AB/CD"])),
        (16, json!({"event": "heartbeat"})),
    ];
    messages.map(|(time, message)| format!("{time} {message}\n")).concat()
}
