//! Positions: one number for a place in everything that a connection follows.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Client, Hands, Running, until};

/// The id of the next position, whatever comes before it.
#[track_caller]
pub(crate) fn next_position(client: &mut Client) -> String {
    let position = client.skip_to(json!({"op":"position"}));
    let id = position.str("id");
    assert_eq!(position.json, json!({"op":"position","id":id}));
    let number: u64 = id.parse().unwrap();
    assert!(number < 1 << 53 && number.to_string() == id, "{id}");
    id
}

#[test]
fn they_wait_until_everything_has_begun_and_nothing_waits() {
    const TOPICS: usize = 100;
    let broker = Running::with(&[("send_buffer_bytes", "4096")]);
    let image = format!("\"{}\"", "x".repeat(60_000));
    for n in 0..TOPICS {
        broker.publish(&format!("p.{n}"), "state", &image);
    }
    let hands = Hands { receive_bytes: Some(4096), ..Hands::default() };
    let mut client = Client::with(broker.listen, hands, &[], b"");
    client.say(r#"{"op":"subscribe","topics":["p.*","e"],"positions":true,"ready":true}"#);
    broker.until_metric("tickcast_connections_parked", |parked| parked == 1.0);
    // Far longer than a second lies between two positions, as far as the clock is asked.
    let begin = Instant::now();
    until("some time", || begin.elapsed() > Duration::from_millis(1500));
    broker.publish("e", "event", "1");
    let (mut images, mut updates, mut ready) = (0, 0, false);
    loop {
        match client.message().op() {
            "image" => images += 1,
            "update" => updates += 1,
            "ready" => ready = true,
            "position" => break,
            _ => {}
        }
    }
    assert_eq!((images, updates, ready), (TOPICS, 1, true));
}
