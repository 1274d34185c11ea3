//! Subscriptions to patterns.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::Running;

#[test]
fn a_pattern_introduces_the_topics_that_it_matches() {
    let broker = Running::start();
    let names = ["a.b", "a.b.c", "a.x.c", "b.a", "a", "a.b.c.d"];
    for name in names {
        broker.publish(name, "state", &format!("\"{name}\""));
    }
    for (pattern, matches) in [
        ("*", vec!["a"]),
        ("a.*", vec!["a.b"]),
        ("*.*", vec!["a.b", "b.a"]),
        ("a.>", vec!["a.b", "a.b.c", "a.x.c", "a.b.c.d"]),
        (">", names.to_vec()),
        ("a.*.c", vec!["a.b.c", "a.x.c"]),
        ("*.b.>", vec!["a.b.c", "a.b.c.d"]),
        ("*.*.*.*.>", vec![]),
        ("nobody.>", vec![]),
    ] {
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","id":1,"topics":[pattern]}).to_string());
        let answer = client.expect("subscribed");
        let wanted =
            json!({"topics":[],"errors":[],"patterns":[{"pattern":pattern,"matched":matches.len(),"conflate_ms":0}]});
        assert!(answer.has(&wanted), "{answer:?}, not {wanted}");
        // Each topic is introduced, and then its image comes; the topics come in any order.
        let mut introduced = BTreeSet::new();
        let mut images = BTreeSet::new();
        while images.len() < matches.len() {
            let message = client.message();
            let topic = message.str("topic");
            if message.op() == "topic" {
                assert!(message.has(&json!({"kind":"state","seq":1,"oldest":1,"start":"image"})), "{message:?}");
                assert!(introduced.insert(topic), "{message:?}");
            } else {
                assert!(message.has(&json!({"op":"image","seq":1})), "{message:?}");
                assert!(introduced.contains(&topic) && images.insert(topic), "{message:?}");
            }
        }
        assert_eq!(images, matches.iter().map(|name| (*name).to_owned()).collect(), "{pattern}");
        client.say(r#"{"op":"list"}"#);
        client.expect_has(json!({"op":"subscriptions","topics":[],"patterns":[{"pattern":pattern}]}));
    }
}

#[test]
fn a_new_topic_is_introduced_and_starts_with_its_first_update() {
    let broker = Running::start();
    let mut client = broker.client();
    for from in [json!("image"), json!("live"), json!({"last":3})] {
        client.say(&json!({"op":"subscribe","topics":["new.*"],"from":from}).to_string());
        client.expect("subscribed");
        broker.publish("new.a", "event", "1");
        broker.publish("new.a.b", "event", "1");
        broker.publish("new.b", "state", "1");
        broker.publish("new.a", "event", "2");
        client.expect_has(json!({"op":"topic","topic":"new.a","kind":"event","epoch":broker.epoch("new.a")}));
        client.expect_has(json!({"op":"update","topic":"new.a","seq":1}));
        client.expect_has(json!({"op":"topic","topic":"new.b","kind":"state"}));
        client.expect_has(json!({"topic":"new.b","seq":1}));
        client.expect_has(json!({"op":"update","topic":"new.a","seq":2}));
        for topic in ["new.a", "new.a.b", "new.b"] {
            broker.http(&format!("DELETE /v1/topics/{topic}"), "");
        }
        client.expect_has(json!({"op":"closed","topic":"new.a"}));
        client.expect_has(json!({"op":"closed","topic":"new.b"}));
    }
}

#[test]
fn from_applies_to_every_topic_of_a_pattern() {
    let broker = Running::start();
    for index in 1..=5 {
        broker.publish("p.ev", "event", &index.to_string());
    }
    let cases: [(Value, &str, Vec<u64>); 4] = [
        (json!("image"), "live", vec![]),
        (json!("live"), "live", vec![]),
        (json!({"last":2}), "history", vec![4, 5]),
        (json!({"last":50}), "history", vec![1, 2, 3, 4, 5]),
    ];
    for (from, start, seqs) in cases {
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","topics":["p.>"],"from":from}).to_string());
        client.expect("subscribed");
        if seqs.is_empty() {
            // It may be introduced at once, or before its first message.
            let mut other = broker.client();
            other.request(r#"{"op":"publish","id":1,"topic":"p.ev","kind":"event","data":6}"#);
            let introduced = client.expect_has(json!({"op":"topic","topic":"p.ev","start":start}));
            let (seq, next) = (introduced.num("seq"), client.expect("update").num("seq"));
            assert_eq!(next, seq + 1, "{introduced:?}");
            broker.http("DELETE /v1/topics/p.ev", "");
            for index in 1..=5 {
                broker.publish("p.ev", "event", &index.to_string());
            }
        } else {
            client.expect_has(json!({"op":"topic","topic":"p.ev","seq":5,"start":start}));
            for seq in seqs {
                client.expect_has(json!({"op":"update","seq":seq}));
            }
        }
    }
}

#[test]
fn subscribing_to_a_pattern_again_introduces_its_topics_again() {
    let broker = Running::start();
    broker.publish("again.a", "state", "1");
    let mut client = broker.client();
    for _ in 0..3 {
        client.subscribe(&["again.*"]);
        client.expect_has(json!({"op":"topic","topic":"again.a","start":"image"}));
        client.expect_has(json!({"op":"image","topic":"again.a","seq":1}));
    }
    client.say(r#"{"op":"unsubscribe","topics":["again.*"]}"#);
    client.expect("unsubscribed");
    client.subscribe(&["marker"]);
    broker.publish("again.a", "state", "2");
    broker.publish("marker", "event", "1");
    client.expect_has(json!({"op":"topic","topic":"marker"}));
}

#[test]
fn a_pattern_over_many_topics_does_not_delay_other_clients() {
    let broker = Running::start();
    let mut publisher = broker.client();
    const TOPICS: usize = 20_000;
    for block in 0..TOPICS / 500 {
        let batch: Vec<Value> = (0..500)
            .map(|index| json!({"topic":format!("many.{block}.{index}"),"kind":"state","data":index}))
            .collect();
        publisher.say(&json!({"op":"publish","id":1,"batch":batch}).to_string());
        publisher.expect_has(json!({"accepted":500,"rejected":[]}));
    }
    let mut all = broker.client();
    all.say(r#"{"op":"subscribe","topics":["many.>"]}"#);
    let mut other = broker.client();
    other.subscribe(&["quick"]);
    broker.publish("quick", "event", "1");
    other.expect("topic");
    other.expect("update");
    assert_eq!(all.expect("subscribed")["patterns"][0]["matched"], TOPICS);
    let mut images = BTreeSet::new();
    while images.len() < TOPICS {
        let message = all.message();
        if message.op() == "image" {
            assert!(images.insert(message.str("topic")), "{message:?}");
        }
    }
}
