//! Resuming from what a client has.

use serde_json::{Value, json};

use crate::common::Running;

#[test]
fn resuming() {
    // Ten updates of each, the last three of which are retained.
    let broker = Running::with(&[("retain_updates", "3")]);
    for index in 1..=10 {
        broker.publish("ev", "event", &index.to_string());
        broker.publish("st", "state", &index.to_string());
    }
    let gap = |to: u64, from: u64| json!({"op":"gap","from":from,"to":to,"reason":"expired"});
    let updates = |from: u64| (from..=10).map(|seq| json!({"op":"update","seq":seq,"data":seq})).collect::<Vec<_>>();
    let image = || vec![json!({"op":"image","seq":10,"data":10})];
    let lost = |first: u64| [vec![gap(7, first)], updates(8)].concat();
    let cases: Vec<(&str, bool, u64, &str, Vec<Value>)> = vec![
        ("ev", true, 10, "resumed", vec![]),
        ("ev", true, 9, "resumed", updates(10)),
        ("ev", true, 7, "resumed", updates(8)),
        ("ev", true, 6, "reset", lost(7)),
        ("ev", true, 1, "reset", lost(2)),
        ("ev", true, 0, "reset", lost(1)),
        ("ev", true, 11, "reset", lost(1)),
        ("ev", true, 9_007_199_254_740_991, "reset", lost(1)),
        ("ev", false, 10, "reset", lost(1)),
        ("ev", false, 0, "reset", lost(1)),
        ("st", true, 10, "resumed", vec![]),
        ("st", true, 8, "resumed", updates(9)),
        ("st", true, 7, "resumed", updates(8)),
        ("st", true, 6, "reset", image()),
        ("st", true, 11, "reset", image()),
        ("st", false, 10, "reset", image()),
    ];
    for (topic, same_epoch, seq, start, follow) in cases {
        let epoch = if same_epoch { broker.epoch(topic) } else { "another".to_owned() };
        let case = format!("{topic} {epoch} {seq}");
        let mut client = broker.client();
        // `from` does not affect entries that resume.
        client.say(
            &json!({"op":"subscribe","topics":[{"topic":topic,"epoch":epoch,"seq":seq}],"from":"live"}).to_string(),
        );
        let answer = client.expect("subscribed");
        let wanted = json!({"topics":[{"topic":topic,"seq":10,"oldest":8,"epoch":broker.epoch(topic),"start":start}],"errors":[]});
        assert!(answer.has(&wanted), "{case}: {answer:?}");
        for wanted in follow {
            let message = client.message();
            assert!(message.has(&wanted), "{case}: {message:?}, not {wanted}");
        }
        client.subscribe(&["marker"]);
        broker.publish("marker", "event", "1");
        client.expect_has(json!({"op":"topic","topic":"marker"}));
        client.expect_has(json!({"op":"update","topic":"marker"}));
        broker.http("DELETE /v1/topics/marker", "");
    }
}

#[test]
fn an_object_without_epoch_and_seq_is_a_plain_entry() {
    let broker = Running::start();
    broker.publish("st", "state", "1");
    for entry in [json!({"topic":"st"}), json!({"topic":"st","epoch":null}), json!({"topic":"st","epoch":null,"seq":0})]
    {
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","topics":[entry]}).to_string());
        let answer = client.expect("subscribed");
        assert_eq!(answer["topics"][0]["start"], "image", "{entry}: {answer:?}");
        client.expect_has(json!({"op":"image","seq":1}));
    }
    // A pattern cannot resume by `epoch` and `seq`.
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":[{"topic":"s*","epoch":"e","seq":1}]}"#);
    assert_eq!(client.expect("subscribed")["errors"][0]["code"], "bad_topic");
}

#[test]
fn resuming_what_does_not_exist_waits() {
    let broker = Running::start();
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":[{"topic":"gone","epoch":"k9","seq":893}]}"#);
    client.expect_has(
        json!({"op":"subscribed","topics":[{"topic":"gone","kind":null,"epoch":null,"seq":0,"start":"reset"}]}),
    );
    broker.publish("gone", "event", "1");
    client.expect_has(json!({"op":"topic","topic":"gone","kind":"event"}));
    client.expect_has(json!({"op":"update","seq":1}));
}

#[test]
fn a_client_that_comes_back_misses_nothing() {
    let broker = Running::start();
    let mut seen = Vec::new();
    let (mut epoch, mut seq) = (Value::Null, 0);
    for round in 0..20 {
        for _ in 0..3 {
            broker.publish("tape", "event", "1");
        }
        let mut client = broker.client();
        let entry =
            if epoch.is_null() { json!({"topic":"tape"}) } else { json!({"topic":"tape","epoch":epoch,"seq":seq}) };
        client.say(&json!({"op":"subscribe","topics":[entry],"from":{"last":100}}).to_string());
        let answer = client.expect("subscribed");
        epoch = answer["topics"][0]["epoch"].clone();
        let start = if round == 0 { "history" } else { "resumed" };
        assert_eq!(answer["topics"][0]["start"], start, "{answer:?}");
        for _ in 0..3 {
            seq = client.expect("update").num("seq");
            seen.push(seq);
        }
        // Some connections end with a reset.
        if round % 2 == 0 {
            client.reset();
        }
    }
    assert_eq!(seen, (1..=60).collect::<Vec<u64>>());
}
