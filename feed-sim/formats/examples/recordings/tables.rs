//! What has no venue: a table of sensors and the lines of an exchange, each for the mapping beside it, and updates as
//! `feed-sim … --to FILE` writes them.

use serde_json::json;

use super::{lines, number};

pub(crate) fn sensors() -> String {
    let readings = [
        ("06:00:00.000", "greenhouse-1", "temperature", "18.40", "°C"),
        ("06:00:00.250", "greenhouse-1", "humidity", "61", "%"),
        ("06:00:01.000", "greenhouse-2", "temperature", "17.95", "°C"),
        ("06:00:02.000", "greenhouse-1", "temperature", "18.45", "°C"),
        // A reading that was not taken.
        ("06:00:02.250", "greenhouse-1", "humidity", "", "%"),
        ("06:00:03.000", "greenhouse-2", "temperature", "18.00", "\"°C\""),
    ];
    let rows = readings.map(|(time, device, quantity, value, unit)| {
        format!("2026-03-01T{time}Z;{device};{quantity};{value};{unit}\n")
    });
    "time;device;quantity;value;unit\n".to_owned() + &rows.concat()
}

pub(crate) fn exchange() -> String {
    let (acme, globex) = (json!({"symbol": "ACME", "id": 7}), json!({"symbol": "GLOBEX", "id": 9}));
    let quote = |at_ms: u64, ask: [&str; 2]| json!({"type": "quote", "ts": at_ms, "instrument": acme, "book": {"bid": ["10.10", "300"], "ask": ask}});
    lines([
        quote(1_772_346_600_000, ["10.12", "100"]),
        json!({
            "type": "trade", "ts": 1_772_346_600_120_u64, "instrument": acme, "price": number("10.12"), "size": 100
        }),
        json!({"type": "heartbeat", "ts": 1_772_346_601_000_u64}),
        quote(1_772_346_601_050, ["10.13", "250"]),
        json!({
            "type": "trade", "ts": 1_772_346_602_500_u64, "instrument": globex, "price": number("99.50"), "size": 20
        }),
    ])
}

pub(crate) fn updates() -> String {
    lines([
        json!({"topic": "room.1.climate", "kind": "state", "data": {"celsius": number("21.50"), "open": false}, "due_us": 0}),
        json!({"topic": "room.1.door", "kind": "event", "data": {"id": 1, "opened_by": "\"A\" & B"}, "due_us": 250_000}),
        json!({"topic": "room.1.climate", "kind": "patch", "data": {"open": true}, "due_us": 250_000}),
        // A topic without a state before its first patch.
        json!({"topic": "room.2.climate", "kind": "patch", "data": {"celsius": number("19.00")}, "due_us": 1_000_000}),
    ])
}
