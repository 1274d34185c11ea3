//! Topics that end and begin again.

use serde_json::json;

use crate::common::Running;

#[test]
fn a_topic_that_ends_and_begins_anew_has_another_epoch() {
    let broker = Running::start();
    for (kind, then) in [("event", "event"), ("state", "state"), ("event", "state"), ("state", "event")] {
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
        // A client that resumes with the old epoch gets the new one.
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
    // The first kind, the next one, and whether it is accepted.
    for (first, next, good) in [
        ("event", Some("state"), false),
        ("event", Some("patch"), false),
        ("event", Some("event"), true),
        ("event", None, true),
        ("state", Some("event"), false),
        ("state", Some("patch"), true),
        ("state", None, true),
        ("state", Some("state"), true),
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
        // An update without a kind replaces the state, as one of kind `state` does; a patch changes it.
        let image = match (first, next) {
            ("state", Some("patch")) => json!({"a":1,"b":2}),
            ("state", Some("state") | None) => json!({"b":2}),
            _ => continue,
        };
        assert_eq!(broker.http(&format!("GET /v1/topics/{topic}"), "").json()["data"], image);
    }
    client.say(r#"{"op":"publish","id":1,"topic":"kind.new","data":1}"#);
    client.expect("published");
    let list = broker.http("GET /v1/topics?match=kind.new", "");
    assert_eq!(list.json()["topics"][0]["kind"], "event", "an absent kind on a new topic");
}

#[test]
fn a_topic_without_publishes_ends_if_configured() {
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

#[test]
fn a_patch_needs_a_state_to_change() {
    let broker = Running::start();
    let mut client = broker.client();
    let mut watcher = broker.client();
    watcher.subscribe(&["grow.>"]);
    let refused = json!({"op":"error","id":1,"code":"no_state","retry":false});
    let answer = client.request(r#"{"op":"publish","id":1,"topic":"grow.a","kind":"patch","data":{"x":1}}"#);
    assert!(answer.has(&refused), "{answer:?}");
    assert!(answer.str("message").contains(r#""kind":"state""#), "it says what to publish first: {answer:?}");
    let over_http = broker.http("POST /v1/topics/grow.a?kind=patch", r#"{"x":1}"#);
    assert_eq!((over_http.status, over_http.json()["error"]["code"].clone()), (409, json!("no_state")));
    assert_eq!(broker.http("GET /v1/topics", "").json()["topics"], json!([]), "it makes no topic");
    // In a batch and in NDJSON the earlier lines count.
    let batch = r#"{"op":"publish","id":2,"batch":[{"topic":"grow.a","kind":"patch","data":{"x":1}},
        {"topic":"grow.a","kind":"state","data":{}},{"topic":"grow.a","kind":"patch","data":{"x":2}}]}"#;
    let answer = client.request(batch);
    assert!(answer.has(&json!({"accepted":2,"rejected":[{"index":0,"code":"no_state"}]})), "{answer:?}");
    let answer = client.request(r#"{"op":"publish","id":3,"topic":"grow.a","kind":"patch","data":{"y":3}}"#);
    assert!(answer.has(&json!({"op":"published","seq":3})), "{answer:?}");
    assert_eq!(broker.http("GET /v1/topics/grow.a", "").json()["data"], json!({"x":2,"y":3}));
    // A topic that ended has no state either.
    broker.http("DELETE /v1/topics/grow.a", "");
    let answer = client.request(r#"{"op":"publish","id":1,"topic":"grow.a","kind":"patch","data":{"x":1}}"#);
    assert!(answer.has(&refused), "{answer:?}");
    // The watcher got one topic with three updates in a row, and its end.
    watcher.expect_has(json!({"op":"topic","topic":"grow.a","kind":"state","seq":0}));
    for seq in 1..=3 {
        watcher.expect_has(json!({"topic":"grow.a","seq":seq}));
    }
    watcher.expect_has(json!({"op":"closed","topic":"grow.a"}));
}
