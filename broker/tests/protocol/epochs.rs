//! Topics that end and begin anew.

use serde_json::json;

use crate::common::Running;

#[test]
fn a_topic_that_ends_and_begins_anew_has_another_epoch() {
    let broker = Running::start();
    for (kind, then) in
        [("event", "event"), ("state", "state"), ("patch", "patch"), ("event", "state"), ("state", "event")]
    {
        let topic = format!("ends.{kind}.{then}");
        broker.publish(&topic, kind, r#"{"n":1}"#);
        let old = broker.epoch(&topic);
        let (mut direct, mut by_pattern) = (broker.client(), broker.client());
        direct.subscribe(&[&topic]);
        by_pattern.subscribe(&["ends.>"]);
        by_pattern.skip_to(json!({"op":"topic","topic":topic}));
        if kind != "event" {
            direct.expect("image");
            by_pattern.expect_has(json!({"op":"image","topic":topic}));
        }
        broker.publish(&topic, kind, r#"{"n":2}"#);
        let ended = broker.http(&format!("DELETE /v1/topics/{topic}"), "");
        assert_eq!((ended.status, ended.json()), (200, json!({"topic":topic,"epoch":old,"seq":2})));
        assert_eq!(broker.http(&format!("DELETE /v1/topics/{topic}"), "").status, 404);
        assert_eq!(broker.http(&format!("GET /v1/topics/{topic}"), "").status, 404);
        broker.publish(&topic, then, r#"{"n":3}"#);
        let new = broker.epoch(&topic);
        assert_ne!(old, new);
        for client in [&mut direct, &mut by_pattern] {
            client.expect_has(json!({"topic":topic,"seq":2,"data":{"n":2}}));
            client.expect_has(json!({"op":"closed","topic":topic}));
            client.expect_has(json!({"op":"topic","topic":topic,"kind":then,"epoch":new}));
            client.expect_has(json!({"topic":topic,"seq":1,"data":{"n":3}}));
        }
        // Who comes back with the old epoch hears that it is another.
        let mut back = broker.client();
        back.say(&json!({"op":"subscribe","topics":[{"topic":topic,"epoch":old,"seq":1}]}).to_string());
        back.expect_has(json!({"op":"subscribed","topics":[{"epoch":new,"seq":1,"start":"reset"}]}));
        back.expect_has(json!({"seq":1,"data":{"n":3}}));
    }
}

#[test]
fn a_kind_never_changes_within_an_epoch() {
    let broker = Running::start();
    let mut client = broker.client();
    // The first kind, the next one, and whether it is taken.
    for (first, next, good) in [
        ("event", Some("state"), false),
        ("event", Some("patch"), false),
        ("event", Some("event"), true),
        ("event", None, true),
        ("state", Some("event"), false),
        ("state", Some("patch"), true),
        ("state", None, true),
        ("patch", Some("event"), false),
        ("patch", Some("state"), true),
        ("patch", None, true),
    ] {
        let topic = format!("kind.{first}.{}", next.unwrap_or("none"));
        broker.publish(&topic, first, r#"{"a":1}"#);
        let mut request = json!({"op":"publish","id":1,"topic":topic,"data":{"b":2}});
        if let Some(next) = next {
            request["kind"] = json!(next);
        }
        let answer = client.request(&request.to_string());
        if good {
            assert!(answer.has(&json!({"op":"published","topic":topic,"seq":2})), "{topic}: {answer:?}");
        } else {
            assert!(answer.has(&json!({"op":"error","code":"kind_mismatch","retry":false})), "{topic}: {answer:?}");
        }
        // Without a kind a topic that began with patches takes a whole state.
        if (first, next) == ("patch", None) {
            assert_eq!(broker.http(&format!("GET /v1/topics/{topic}"), "").json()["data"], json!({"b":2}));
        }
    }
    client.say(r#"{"op":"publish","id":1,"topic":"kind.new","data":1}"#);
    client.expect("published");
    let list = broker.http("GET /v1/topics?match=kind.new", "");
    assert_eq!(list.json()["topics"][0]["kind"], "event", "an absent kind on a new topic");
}

#[test]
fn a_topic_that_nobody_publishes_to_ends_where_configured() {
    let broker = Running::with(&[("topic_idle_ms", "300")]);
    let mut client = broker.client();
    client.subscribe(&["idle"]);
    broker.publish("idle", "event", "1");
    let epoch = client.expect("topic").str("epoch");
    client.expect("update");
    client.expect_has(json!({"op":"closed","topic":"idle"}));
    assert_eq!(broker.http("GET /v1/topics/idle/history", "").status, 404);
    broker.publish("idle", "event", "1");
    assert_ne!(client.expect("topic").str("epoch"), epoch);
    client.expect_has(json!({"op":"update","seq":1}));
}
