//! Coinbase Exchange: one of each message, as the Python library `cryptofeed` records them.
//!
//! Source: Coinbase, "Exchange WebSocket Channels" (`level2`, `matches`, `ticker`, `heartbeat`); `cryptofeed`,
//! `cryptofeed/raw_data_collection.py`.

use serde_json::{Value, json};

pub(crate) fn recording() -> String {
    let subscribe = json!({"type": "subscribe", "product_ids": ["AB-C"], "channels": ["level2"]});
    let head = [
        r#"configuration: {"made": "up"}"#.to_owned(),
        "wss://ws.example <-> 10.5".to_owned(),
        format!("wss://ws.example <- 10.6: {subscribe}"),
    ];
    let received = [
        ("11.0", json!({"type": "subscriptions", "channels": [{"name": "level2", "product_ids": ["AB-C"]}]})),
        (
            "11.5",
            json!({
                "type": "snapshot", "product_id": "AB-C", "bids": [["9.90", "1.0"], ["9.80", "2"]],
                "asks": [["10.00", "3"]]
            }),
        ),
        ("11.75", matched("last_match", 7, "sell", "0.5", "9.95", 70, "1970-01-01T00:00:11.700000Z")),
        (
            "12.0",
            json!({
                "type": "l2update", "product_id": "AB-C",
                "changes": [["buy", "9.90", "0.00"], ["sell", "10.00", "4.0"], ["sell", "10.10", "1"]],
                "time": "1970-01-01T00:00:11.999999Z"
            }),
        ),
        ("12.0", matched("match", 8, "buy", "1", "10.00", 71, "1970-01-01T00:00:12Z")),
        ("12.5", json!({"type": "ticker", "sequence": 71, "product_id": "AB-C", "price": "10.00", "best_bid": "9.80"})),
        (
            "13.0",
            json!({
                "type": "heartbeat", "sequence": 90, "last_trade_id": 8, "product_id": "AB-C",
                "time": "1970-01-01T00:00:13Z"
            }),
        ),
    ];
    let received = received.map(|(time, message)| format!("{time}: {message}"));
    head.into_iter().chain(received).map(|line| line + "\n").collect()
}

fn matched(kind: &str, trade_id: u64, side: &str, size: &str, price: &str, sequence: u64, time: &str) -> Value {
    json!({
        "type": kind, "trade_id": trade_id, "side": side, "size": size, "price": price, "product_id": "AB-C",
        "sequence": sequence, "time": time
    })
}
