//! A topic that several subscriptions of one connection match.

use serde_json::json;

use crate::common::Running;

#[test]
fn a_topic_is_delivered_once_and_goes_on_when_one_subscription_ends() {
    let broker = Running::start();
    broker.publish("o.a", "event", "0");
    let entries = ["o.a", "o.*", "o.>", ">"];
    for kept in entries {
        let mut client = broker.client();
        client.subscribe(&entries);
        client.subscribe(&["marker"]);
        let mut seq = broker.publish("o.a", "event", "1");
        client.skip_to(json!({"op":"update","topic":"o.a","seq":seq}));
        for gone in entries.iter().filter(|entry| **entry != kept) {
            client.say(&json!({"op":"unsubscribe","topics":[gone]}).to_string());
            client.expect("unsubscribed");
            for _ in 0..2 {
                seq += 1;
                assert_eq!(broker.publish("o.a", "event", "1"), seq);
                client.expect_has(json!({"op":"update","topic":"o.a","seq":seq}));
            }
        }
        client.say(&json!({"op":"unsubscribe","topics":[kept]}).to_string());
        client.expect("unsubscribed");
        broker.publish("o.a", "event", "1");
        broker.publish("marker", "event", "1");
        client.skip_to(json!({"op":"update","topic":"marker"}));
        broker.http("DELETE /v1/topics/marker", "");
    }
}

#[test]
fn a_full_name_takes_precedence_over_a_pattern() {
    let broker = Running::start();
    broker.publish("o.state", "state", "1");
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["o.*"],"conflate_ms":60000}"#);
    client.expect("subscribed");
    client.expect("topic");
    client.expect("image");
    client.say(r#"{"op":"subscribe","topics":["o.state"],"from":"live"}"#);
    client.expect_has(json!({"op":"subscribed","topics":[{"conflate_ms":0,"start":"live","seq":1}]}));
    for seq in 2..10 {
        broker.publish("o.state", "state", &seq.to_string());
        client.expect_has(json!({"op":"update","seq":seq}));
    }
}

#[test]
fn the_most_specific_pattern_takes_precedence() {
    let broker = Running::start();
    // Two patterns in the order in which they are subscribed, and which of them applies to `o.b.c`.
    for (first, second, holds) in [
        (">", "o.>", 1),
        ("o.>", ">", 0),
        ("o.*.c", "o.>", 0),
        ("o.>", "o.*.c", 1),
        ("o.*.*", "*.b.*", 0),
        ("*.b.*", "o.*.*", 1),
        ("*.*.c", "*.b.*", 1),
        ("o.*.c", "*.b.c", 0),
        ("*.b.c", "o.b.*", 1),
        // If they are equally specific, the later one applies.
        ("o.>", "o.*.*", 1),
        ("o.*.*", "o.>", 1),
        ("*.*.*", ">", 1),
        (">", "*.>", 1),
    ] {
        let mut client = broker.client();
        for (index, pattern) in [first, second].iter().enumerate() {
            let conflate_ms = [10_000, 30_000][index];
            client.say(&json!({"op":"subscribe","topics":[pattern],"conflate_ms":conflate_ms}).to_string());
            client.expect("subscribed");
        }
        broker.publish("o.b.c", "state", "1");
        let begun = client.skip_to(json!({"op":"topic","topic":"o.b.c"}));
        assert_eq!(begun["conflate_ms"], [10_000, 30_000][holds], "{first} and {second}: {begun:?}");
        broker.http("DELETE /v1/topics/o.b.c", "");
    }
    let mut client = broker.client();
    for (pattern, conflate_ms) in [("o.>", 10_000), ("o.*.*", 30_000), ("o.>", 60_000)] {
        client.say(&json!({"op":"subscribe","topics":[pattern],"conflate_ms":conflate_ms}).to_string());
        client.expect("subscribed");
    }
    broker.publish("o.b.c", "state", "1");
    assert_eq!(client.skip_to(json!({"op":"topic","topic":"o.b.c"}))["conflate_ms"], 60_000);
}
