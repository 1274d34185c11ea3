//! The ids of Server-Sent Events and the positions of WebSocket are the same: a client changes from one to the other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::{Client, Message, Running};
use crate::source::Source;

/// Starts a broker with events, states and a topic that will end. It keeps three updates of each.
fn filled() -> Running {
    let broker = Running::with(&[("retain_updates", "3")]);
    for (topic, kind) in [("x.few", "event"), ("x.many", "event"), ("x.state", "state"), ("x.gone", "event")] {
        broker.publish(topic, kind, "0");
    }
    broker
}

/// Publishes more while no client is connected.
fn go_on(broker: &Running) {
    for n in 1..=2 {
        broker.publish("x.few", "event", &n.to_string());
        broker.publish("x.state", "state", &n.to_string());
        broker.publish("x.new", "state", &n.to_string());
    }
    for n in 1..=10 {
        broker.publish("x.many", "event", &n.to_string());
    }
    broker.http("DELETE /v1/topics/x.gone", "");
}

/// What a client has to get then, by topic: how the topic begins, then gaps, images and updates.
fn expected() -> Value {
    json!({
        "x.few": ["resumed", 1, 2],
        "x.state": ["resumed", 1, 2],
        "x.many": ["reset", [1, 8], 8, 9, 10],
        "x.new": ["image", {"image": 2}],
    })
}

/// Reads up to `ready`. Returns what came, by topic.
#[track_caller]
fn up_to_ready(mut next: impl FnMut() -> Message) -> Value {
    let mut received: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    loop {
        let message = next();
        let what = match message.op() {
            "ready" => return json!(received),
            "topic" => message.json["start"].clone(),
            "image" => json!({"image": message.json["data"]}),
            "update" => message.json["data"].clone(),
            "gap" => json!([message.num("from"), message.num("to")]),
            "hello" | "subscribed" => continue,
            op => panic!("{op}: {message:?}"),
        };
        received.entry(message.str("topic")).or_default().push(what);
    }
}

/// Returns an id of a stream that has everything.
#[track_caller]
fn event_id(broker: &Running) -> String {
    let mut source = Source::open(broker.listen, "topic=x.*&ready=true", "");
    up_to_ready(|| source.message());
    // It comes at the latest with the next event that is alone in its turn.
    while source.last_id.is_empty() {
        broker.publish("x.few", "event", "0");
        source.until(|message| message.op() == "update");
    }
    source.last_id
}

/// Returns a position of a WebSocket that has everything.
#[track_caller]
fn position(broker: &Running) -> String {
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["x.*"],"positions":true}"#);
    client.skip_to(json!({"op":"position"})).str("id")
}

#[track_caller]
fn by_websocket(broker: &Running, id: &str) -> Value {
    let mut client: Client = broker.client();
    client.say(&json!({"op":"subscribe","topics":["x.*"],"resume":id,"ready":true}).to_string());
    up_to_ready(|| client.message())
}

#[track_caller]
fn by_events(broker: &Running, query: &str, header: &str) -> Value {
    let mut source = Source::open(broker.listen, &format!("topic=x.*&ready=true{query}"), header);
    up_to_ready(|| source.message())
}

#[test]
fn an_id_of_events_is_a_position_of_websocket() {
    let broker = filled();
    let id = event_id(&broker);
    go_on(&broker);
    assert_eq!(by_websocket(&broker, &id), expected());
    // And it is an id of Server-Sent Events as well.
    assert_eq!(by_events(&broker, "", &id), expected());
}

#[test]
fn a_position_of_websocket_is_an_id_of_events() {
    let broker = filled();
    let id = position(&broker);
    go_on(&broker);
    assert_eq!(by_events(&broker, "", &id), expected());
    assert_eq!(by_events(&broker, &format!("&resume={id}"), ""), expected());
    assert_eq!(by_events(&broker, &format!("&lastEventId={id}"), ""), expected());
    assert_eq!(by_websocket(&broker, &id), expected());
}

#[test]
fn a_client_that_switches_back_and_forth_gets_everything_once() {
    let broker = Running::start();
    let next = || broker.publish("x.tape", "event", "0");
    next();
    let mut id = position(&broker);
    for _ in 0..3 {
        let away = next();
        let mut source = Source::open(broker.listen, "topic=x.*", &id);
        source.expect("hello");
        source.expect("subscribed");
        assert_eq!(source.expect("topic")["start"], "resumed");
        assert_eq!(source.expect("update").num("seq"), away);
        // Alone in its turn, an update has an id.
        let here = next();
        assert_eq!(source.expect("update").num("seq"), here);
        let from_events = source.last_id.clone();
        drop(source);

        let away = next();
        let mut client = broker.client();
        client.say(&json!({"op":"subscribe","topics":["x.*"],"resume":from_events,"positions":true}).to_string());
        client.expect("subscribed");
        assert_eq!(client.expect("topic")["start"], "resumed");
        assert_eq!(client.expect("update").num("seq"), away);
        let position = client.expect("position").str("id");
        assert!(position.parse::<u64>().unwrap() > from_events.parse().unwrap(), "{position} after {from_events}");
        id = position;
    }
}

#[test]
fn ready_comes_once_if_requested() {
    let broker = filled();
    let mut source = Source::open(broker.listen, "topic=x.*&topic=later&ready=true", "");
    let received = up_to_ready(|| source.message());
    assert_eq!(received["x.state"], json!(["image", {"image": 0}]), "{received}");
    assert_eq!(received.as_object().unwrap().len(), 4, "{received}");
    let mut without = Source::open(broker.listen, "topic=x.*&topic=later&ready=false", "");
    without.expect("hello");
    // Not subscribed yet, it would get nothing of an event.
    without.expect("subscribed");
    broker.publish("later", "event", "1");
    for source in [&mut source, &mut without] {
        loop {
            let message = source.message();
            assert_ne!(message.op(), "ready");
            if message.has(&json!({"op":"update","topic":"later"})) {
                break;
            }
        }
    }
}
