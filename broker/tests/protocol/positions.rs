//! Positions: one number that is a position in everything that a connection follows.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Client, Hands, Running, until};

/// Returns the id of the next position, whatever comes before it.
#[track_caller]
pub(crate) fn next_position(client: &mut Client) -> String {
    let position = client.skip_to(json!({"op":"position"}));
    let id = position.str("id");
    assert_eq!(position.json, json!({"op":"position","id":id}));
    let number: u64 = id.parse().unwrap();
    assert!(number < 1 << 53 && number.to_string() == id, "{id}");
    id
}

/// Expects a number of heartbeats in a row: nothing is delivered meanwhile.
#[track_caller]
fn expect_silence(client: &mut Client, heartbeats: usize) {
    (0..heartbeats).for_each(|_| drop(client.expect("heartbeat")));
}

#[test]
fn positions_follow_deliveries_at_most_once_a_second_and_increase() {
    let broker = Running::start();
    broker.publish("s.1", "state", "1");
    let mut client = broker.client();
    let begin = Instant::now();
    client.say(r#"{"op":"subscribe","topics":["s.*","e"],"positions":true}"#);
    let mut last = 0;
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let broker = &broker;
        scope.spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                broker.publish("e", "event", "1");
            }
        });
        for number in 1..=4 {
            let id: u64 = next_position(&mut client).parse().unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
            // They are sent at most once a second, so the fourth comes after three seconds or later.
            let least = Duration::from_millis(1000 * (number - 1)).saturating_sub(Duration::from_millis(50));
            assert!(begin.elapsed() >= least, "position {number} after {:?}", begin.elapsed());
        }
        drop(stop);
    });
}

#[test]
fn no_position_comes_if_nothing_is_delivered() {
    let broker = Running::with(&[("heartbeat_ms", "400")]);
    broker.publish("s", "state", "1");
    let mut client = broker.client();
    // The answer counts as a delivery.
    client.say(r#"{"op":"subscribe","topics":["later"],"positions":true}"#);
    next_position(&mut client);
    expect_silence(&mut client, 6);
    // Deliveries to other connections do not count.
    broker.publish("s", "state", "2");
    expect_silence(&mut client, 6);
    broker.publish("later", "event", "1");
    client.expect("topic");
    client.expect("update");
    next_position(&mut client);
    expect_silence(&mut client, 3);
}

#[test]
fn positions_come_only_if_requested_and_then_for_the_whole_connection() {
    let broker = Running::with(&[("heartbeat_ms", "400")]);
    broker.publish("s", "state", "1");
    for option in ["", r#","positions":false"#] {
        let mut client = broker.client();
        client.say(&format!(r#"{{"op":"subscribe","topics":["s"]{option}}}"#));
        client.expect("subscribed");
        client.expect("image");
        expect_silence(&mut client, 6);
    }
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["s"],"positions":true}"#);
    next_position(&mut client);
    client.say(r#"{"op":"subscribe","topics":["e"],"positions":false}"#);
    next_position(&mut client);
    broker.publish("e", "event", "1");
    client.skip_to(json!({"op":"update"}));
    next_position(&mut client);
    for wrong in ["1", "\"true\"", "null"] {
        client.say(&format!(r#"{{"op":"subscribe","topics":["x"],"positions":{wrong}}}"#));
        let error = client.skip_to(json!({"op":"error","code":"bad_request"}));
        assert!(error.str("message").contains("positions"), "{error:?}");
    }
}

#[test]
fn a_conflated_state_that_waits_for_its_interval_holds_no_position_back() {
    let broker = Running::start();
    broker.publish("q", "state", "1");
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["q"],"conflate_ms":60000,"positions":true}"#);
    client.say(r#"{"op":"subscribe","topics":["e"]}"#);
    client.skip_to(json!({"op":"image"}));
    next_position(&mut client);
    // The first change comes at once; the second waits for a minute.
    broker.publish("q", "state", "2");
    client.skip_to(json!({"topic":"q","data":2}));
    broker.publish("q", "state", "3");
    broker.publish("e", "event", "1");
    client.skip_to(json!({"op":"update","topic":"e"}));
    // The test waits far less than a minute for it.
    next_position(&mut client);
}

#[test]
fn positions_wait_until_everything_has_begun_and_nothing_is_pending() {
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
    // By the clock alone, a position would have been due.
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
