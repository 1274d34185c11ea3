//! Subscriptions to topics: where a stream starts and how it goes on.

use serde_json::{Value, json};

use crate::common::{Client, Running};

/// Publishes the topics of the tables: `ev` with five events, `st` with three states, `pa` with a state and two
/// patches.
fn set_up() -> Running {
    let broker = Running::start();
    for index in 1..=5 {
        assert_eq!(broker.publish("ev", "event", &format!("{{\"e\":{index}}}")), index);
    }
    for index in 1..=3 {
        broker.publish("st", "state", &format!("{{\"s\":{index}}}"));
    }
    broker.publish("pa", "state", r#"{"a":1,"b":1}"#);
    broker.publish("pa", "patch", r#"{"a":2}"#);
    broker.publish("pa", "patch", r#"{"b":null,"c":3}"#);
    broker
}

#[track_caller]
fn subscribe(client: &mut Client, entry: &Value, options: Value) -> crate::common::Message {
    let mut request = json!({"op":"subscribe","id":"s","topics":[entry]});
    request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    client.say(&request.to_string());
    let answer = client.expect("subscribed");
    assert_eq!(answer["id"], "s");
    assert_eq!(answer["errors"], json!([]), "{answer:?}");
    answer
}

#[test]
fn starts() {
    let broker = set_up();
    let update = |seq: u64, data: Value| json!({"op":"update","seq":seq,"data":data});
    let image = |seq: u64, data: Value| json!({"op":"image","seq":seq,"data":data});
    let events =
        |seqs: std::ops::RangeInclusive<u64>| seqs.map(|seq| update(seq, json!({"e":seq}))).collect::<Vec<_>>();
    let cases: Vec<(&str, Value, &str, Vec<Value>)> = vec![
        ("ev", json!({}), "live", vec![]),
        ("ev", json!({"from":"image"}), "live", vec![]),
        ("ev", json!({"from":"live"}), "live", vec![]),
        ("ev", json!({"from":{"last":0}}), "live", vec![]),
        ("ev", json!({"from":{"last":2}}), "history", events(4..=5)),
        ("ev", json!({"from":{"last":5}}), "history", events(1..=5)),
        ("ev", json!({"from":{"last":1000}}), "history", events(1..=5)),
        ("ev", json!({"from":{"last":9_007_199_254_740_991u64}}), "history", events(1..=5)),
        ("ev", json!({"conflate_ms":1000}), "live", vec![]),
        ("st", json!({}), "image", vec![image(3, json!({"s":3}))]),
        ("st", json!({"from":"image"}), "image", vec![image(3, json!({"s":3}))]),
        ("st", json!({"from":"live"}), "live", vec![]),
        ("st", json!({"from":{"last":2}}), "history", vec![update(2, json!({"s":2})), update(3, json!({"s":3}))]),
        ("st", json!({"from":"live","conflate_ms":10}), "image", vec![image(3, json!({"s":3}))]),
        ("st", json!({"from":{"last":2},"conflate_ms":10}), "image", vec![image(3, json!({"s":3}))]),
        ("pa", json!({}), "image", vec![image(3, json!({"a":2,"c":3}))]),
        ("pa", json!({"from":"live"}), "live", vec![]),
        ("pa", json!({"from":{"last":2}}), "image", vec![image(3, json!({"a":2,"c":3}))]),
    ];
    let kinds = json!({"ev":"event","st":"state","pa":"patch"});
    for (topic, options, start, follow) in cases {
        let case = format!("{topic} {options}");
        let mut client = broker.client();
        let answer = subscribe(&mut client, &json!(topic), options);
        let list = broker.http(&format!("GET /v1/topics?match={topic}"), "").json();
        let row = &list["topics"][0];
        let wanted = json!({"topic":topic,"epoch":row["epoch"],"seq":row["seq"],"oldest":row["oldest"],"start":start});
        assert_eq!(answer["topics"].as_array().unwrap().len(), 1, "{case}");
        assert_eq!(row["seq"], if topic == "ev" { 5 } else { 3 });
        assert!(crate::common::Message::parse(answer["topics"][0].to_string()).has(&wanted), "{case}: {answer:?}");
        if topic != "pa" {
            assert_eq!(answer["topics"][0]["kind"], kinds[topic], "{case}: {answer:?}");
        }
        for wanted in follow {
            let message = client.message();
            assert!(message.has(&wanted) && message["topic"] == *topic, "{case}: {message:?}, not {wanted}");
            assert_eq!(message.op() == "image", message["epoch"].is_string(), "{message:?}");
            assert!(message["ts"].is_u64());
        }
        // Nothing else comes: the next message is the update of another topic.
        client.subscribe(&["marker"]);
        broker.publish("marker", "event", "1");
        client.expect_has(json!({"op":"topic","topic":"marker"}));
        client.expect_has(json!({"op":"update","topic":"marker"}));
        broker.http("DELETE /v1/topics/marker", "");
    }
}

#[test]
fn streams_go_on_from_where_they_started() {
    let broker = set_up();
    for from in ["image", "live"] {
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","topics":["ev","st","pa"],"from":from}).to_string());
        let answer = client.expect("subscribed");
        let seqs: Vec<u64> =
            answer["topics"].as_array().unwrap().iter().map(|it| it["seq"].as_u64().unwrap()).collect();
        for _ in 0..if from == "image" { 2 } else { 0 } {
            client.expect("image");
        }
        for round in 1..=3 {
            broker.publish("ev", "event", "{}");
            broker.publish("st", "state", "{}");
            broker.publish("pa", "patch", r#"{"n":1}"#);
            client.expect_has(json!({"op":"update","topic":"ev","seq":seqs[0] + round}));
            client.expect_has(json!({"op":"update","topic":"st","seq":seqs[1] + round}));
            client.expect_has(json!({"op":"patch","topic":"pa","seq":seqs[2] + round,"data":{"n":1}}));
        }
    }
}

#[test]
fn a_name_that_was_not_published_yet_is_waited_for() {
    let broker = Running::start();
    for (kind, from) in [("event", json!("image")), ("state", json!("live")), ("state", json!({"last":5}))] {
        let topic = format!("wait.{kind}{}", from.is_object());
        let mut clients = [broker.client(), broker.client()];
        for client in &mut clients {
            let answer = subscribe(client, &json!(topic), json!({"from":from}));
            let start = json!({"topic":topic,"kind":null,"epoch":null,"seq":0,"start":"live","conflate_ms":0});
            assert!(crate::common::Message::parse(answer["topics"][0].to_string()).has(&start), "{answer:?}");
        }
        assert_eq!(broker.http(&format!("GET /v1/topics/{topic}"), "").status, 404, "no topic was made");
        broker.publish(&topic, kind, r#"{"first":1}"#);
        for client in &mut clients {
            let begun = client.expect_has(json!({"op":"topic","topic":topic,"kind":kind,"conflate_ms":0}));
            assert_eq!(begun.str("epoch"), broker.epoch(&topic));
            let first = client.message();
            assert!(first.has(&json!({"topic":topic,"seq":1,"data":{"first":1}})), "{first:?}");
            assert_eq!(first.op(), "update", "{first:?}");
        }
        broker.publish(&topic, kind, r#"{"second":1}"#);
        for client in &mut clients {
            client.expect_has(json!({"topic":topic,"seq":2}));
        }
    }
}

#[test]
fn subscribing_again_is_a_new_start_with_new_options() {
    let broker = set_up();
    let mut client = broker.client();
    client.subscribe(&["st"]);
    client.expect_has(json!({"op":"image","seq":3}));
    subscribe(&mut client, &json!("st"), json!({"from":{"last":2},"on_slow":"retain"}));
    client.expect_has(json!({"op":"update","seq":2}));
    client.expect_has(json!({"op":"update","seq":3}));
    client.say(r#"{"op":"list"}"#);
    client.expect_has(
        json!({"op":"subscriptions","topics":[{"topic":"st","conflate_ms":0,"on_slow":"retain"}],"patterns":[]}),
    );
    broker.publish("st", "state", "4");
    client.expect_has(json!({"op":"update","seq":4}));
}

#[test]
fn nothing_follows_an_unsubscribe() {
    let broker = set_up();
    let mut client = broker.client();
    client.subscribe(&["ev", "st", "waiting"]);
    client.expect("image");
    client.say(r#"{"op":"unsubscribe","id":"u","topics":["ev","st","waiting","never"]}"#);
    let answer = client.expect("unsubscribed");
    assert_eq!(answer["id"], "u");
    client.subscribe(&["marker"]);
    for topic in ["ev", "st", "waiting"] {
        broker.publish(topic, if topic == "st" { "state" } else { "event" }, "1");
    }
    broker.publish("marker", "event", "1");
    client.expect_has(json!({"op":"topic","topic":"marker"}));
    client.expect_has(json!({"op":"update","topic":"marker"}));
    broker.assert_settles_but_for(1);
}

#[test]
fn an_answer_comes_even_if_every_entry_failed() {
    let broker = Running::start();
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","id":"e","topics":["a..b","c.>.d"]}"#);
    let answer = client.expect("subscribed");
    assert_eq!((&answer["topics"], &answer["patterns"]), (&json!([]), &json!([])));
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!((&errors[0]["code"], &errors[1]["code"]), (&json!("bad_topic"), &json!("bad_pattern")));
    client.say(r#"{"op":"subscribe","id":"n","topics":[]}"#);
    let answer = client.message();
    assert!(matches!(answer.op(), "subscribed" | "error"), "{answer:?}");
}

#[test]
fn the_source_time_is_passed_on() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["timed"]);
    client.say(r#"{"op":"publish","topic":"timed","kind":"state","data":1,"source_ts":1732270000119000}"#);
    client.expect("topic");
    client.expect_has(json!({"op":"update","source_ts":1_732_270_000_119_000u64}));
    let mut late = broker.client();
    late.subscribe(&["timed"]);
    late.expect_has(json!({"op":"image","source_ts":1_732_270_000_119_000u64}));
    broker.publish("timed", "state", "2");
    assert!(client.expect("update")["source_ts"].is_null());
}
