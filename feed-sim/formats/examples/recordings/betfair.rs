//! Betfair's exchange stream: a market from its first image to its end, and what is about the connection.
//!
//! Source: Betfair, "Exchange Stream API", schemas `ConnectionMessage`, `StatusMessage` and `MarketChangeMessage`, and
//! its sections "Market Subscription" and "Building a price cache".

use serde_json::{Value, json};

use super::lines;

/// A change with a runner that is in it twice. It is text because `serde_json` would write the exponent as `e+7`.
const RUNNER_TWICE: &str = concat!(
    r#"{"op":"mcm","id":2,"clk":"d","pt":2000,"ct":"RESUB_DELTA","mc":[{"id":"1.23","con":true,"rc":["#,
    r#"{"id":5,"atb":[[1.5,0],[1.48,1.0E7]]},"#,
    r#"{"id":5,"atl":[[1.51,0],[2,8]],"batb":[[0,1.49,2.25],[1,0,0]],"hc":0}"#,
    "]}]}\n"
);

pub(crate) fn recording() -> String {
    let before = lines([
        json!({"op": "connection", "connectionId": "002-1"}),
        json!({
            "op": "mcm", "id": 2, "initialClk": "a", "clk": "b", "ct": "SUB_IMAGE", "pt": 1_000,
            "mc": [{
                "id": "1.23", "img": true, "con": false, "tv": 12.5,
                "marketDefinition": {
                    "status": "OPEN", "inPlay": false, "betDelay": 0, "version": 77, "runners": [{"id": 5}]
                },
                "rc": [
                    {
                        "id": 5, "atb": [[1.5, 10], [1.49, 2.25]], "atl": [[1.51, 7]],
                        "batb": [[0, 1.5, 10], [1, 1.49, 2.25]], "trd": [[1.5, 12.5]], "ltp": 1.5, "tv": 12.5
                    },
                    {"id": 6, "hc": -1.5, "spb": [[1_000, 3]], "spl": [[1.01, 4]], "spn": "NaN", "spf": 4.25}
                ]
            }]
        }),
        json!({"op": "mcm", "id": 2, "clk": "c", "pt": 1_500, "ct": "HEARTBEAT"}),
        json!({"op": "status", "id": 2, "statusCode": "SUCCESS"}),
    ]);
    let after = lines([
        changed(
            "e",
            3_000,
            json!([
                {"id": "1.23", "rc": [{"id": 6, "hc": -1.5, "spn": 4.5}]},
                {"id": "1.24", "marketDefinition": {"status": "INACTIVE"}, "rc": []}
            ]),
        ),
        changed(
            "f",
            4_000,
            json!([{
                "id": "1.23", "marketDefinition": {"status": "SUSPENDED", "inPlay": true, "betDelay": 5}
            }]),
        ),
        changed("g", 5_000, json!([{"id": "1.23", "img": true, "rc": [{"id": 5, "atl": [[3, 1]], "ltp": 2}]}])),
        changed(
            "h",
            6_000,
            json!([{
                "id": "1.23", "tv": 20, "marketDefinition": {"status": "CLOSED", "inPlay": true, "betDelay": 5}
            }]),
        ),
        // After its end it is a new market.
        changed("i", 7_000, json!([{"id": "1.23", "rc": [{"id": 5, "atl": [[4, 1]]}]}])),
    ]);
    before + RUNNER_TWICE + &after
}

fn changed(clock: &str, published_ms: u64, markets: Value) -> Value {
    json!({"op": "mcm", "id": 2, "clk": clock, "pt": published_ms, "mc": markets})
}
