//! The contents of a stream of events.

use serde_json::json;

use crate::common::{Running, until};
use crate::source::{Block, Source};

#[test]
fn topics_and_patterns_have_the_same_messages_as_over_websocket() {
    let broker = Running::start();
    broker.publish("a.quote", "state", r#"{"bid":"189.10"}"#);
    broker.publish("b.quote", "state", r#"{"bid":"7.00"}"#);
    broker.publish("BTC/USD", "event", "1");
    let mut source = Source::open(broker.listen, "topic=a.quote&topic=BTC/USD&topic=*.quote&topic=later", "");
    let hello = source.expect("hello");
    assert_eq!(hello.str("protocol"), "tickcast.v1");
    let answer = source.expect("subscribed");
    assert!(answer.has(&json!({"topics":[{"topic":"a.quote","start":"image","seq":1},{"topic":"BTC/USD","kind":"event","seq":1,"start":"live"},{"topic":"later","kind":null}],
        "patterns":[{"pattern":"*.quote","matched":2}],"errors":[]})), "{answer:?}");
    let (mut images, mut introduced) = (Vec::new(), 0);
    while images.len() < 2 {
        let message = source.message();
        match message.op() {
            "image" => images.push((message.str("topic"), message.data())),
            "topic" => introduced += 1,
            _ => panic!("{message:?}"),
        }
    }
    images.sort();
    let wanted = [("a.quote", r#"{"bid":"189.10"}"#), ("b.quote", r#"{"bid":"7.00"}"#)];
    assert_eq!(images, wanted.map(|(topic, data)| (topic.to_owned(), data.to_owned())));
    assert_eq!(introduced, 1, "only the pattern's own");
    broker.publish("later", "state", "{}");
    source.until(|message| message.has(&json!({"op":"topic","topic":"later","kind":"state"})));
    assert_eq!(source.expect("update").data(), "{}");
    broker.publish("later", "patch", r#"{"x":{"y":1.50}}"#);
    assert_eq!(source.expect("patch").data(), r#"{"x":{"y":1.50}}"#);
    broker.publish("BTC/USD", "event", r#""two\nlines""#);
    assert_eq!(source.expect("update").data(), r#""two\nlines""#);
    broker.http("DELETE /v1/topics/later", "");
    source.expect("closed");
    assert!(!source.last_id.is_empty());
    drop(source);
    broker.assert_settles();
}

#[test]
fn a_message_longer_than_a_turn_is_whole() {
    let broker = Running::start();
    // An image may be longer than any message that a client may send.
    let texts: Vec<String> = (0..5).map(|n| format!(r#""{n}{}""#, "x".repeat(30_000))).collect();
    let members: Vec<String> = texts.iter().enumerate().map(|(n, text)| format!(r#""{n}":{text}"#)).collect();
    broker.publish("book", "state", "{}");
    members.iter().for_each(|member| _ = broker.publish("book", "patch", &format!("{{{member}}}")));
    let mut source = Source::open(broker.listen, "topic=book", "");
    source.expect("hello");
    source.expect("subscribed");
    assert_eq!(source.expect("image").data(), format!("{{{}}}", members.join(",")));
    // The position follows it, alone.
    assert!(matches!(source.block(), Block::Id));
    broker.publish("book", "state", "1");
    assert_eq!(source.expect("update").data(), "1");

    // A history that is cut at a turn's end comes whole, too.
    let id = source.last_id.clone();
    drop(source);
    texts.iter().for_each(|text| _ = broker.publish("book", "state", text));
    let mut source = Source::open(broker.listen, "topic=book", &id);
    source.expect("hello");
    source.expect("subscribed");
    let data: Vec<String> = texts.iter().map(|_| source.expect("update").data()).collect();
    assert_eq!(data, texts);
}

#[test]
fn more_topics_than_fit_into_a_url_are_posted() {
    let broker = Running::start();
    let names: Vec<String> = (0..1024).map(|n| format!("a.{}.{n}", "long".repeat(50))).collect();
    let form: Vec<String> = names.iter().map(|name| format!("topic={name}")).collect();
    let form = form.join("&");
    let mut source = Source::post(broker.listen, &form, "");
    source.expect("hello");
    assert_eq!(source.expect("subscribed").json["topics"].as_array().unwrap().len(), names.len());
    // What was sent, more than a socket takes at once, is not held any more.
    broker.until_metric(r#"tickcast_budget_bytes{budget="buffers_bytes_max"}"#, |bytes| bytes == 0.0);
    broker.publish(&names[1023], "event", "1");
    source.until(|message| message.has(&json!({"op":"update","topic":names[1023],"seq":1})));
    // Alone in its turn, an update has an id.
    let id = source.last_id.clone();
    drop(source);
    broker.publish(&names[1023], "event", "2");
    for (form, header) in [(form.clone(), id.as_str()), (format!("{form}&resume={id}"), "")] {
        let mut source = Source::post(broker.listen, &form, header);
        assert!(source.until(|message| message.op() == "update").has(&json!({"topic":names[1023],"seq":2})));
    }
    broker.assert_settles();
}

#[test]
fn conflation_sends_at_most_one_message_per_interval() {
    let broker = Running::start();
    broker.publish("q", "state", "0");
    let mut source = Source::open(broker.listen, "topic=q&conflate_ms=90", "");
    source.expect("hello");
    assert!(source.expect("subscribed").has(&json!({"topics":[{"conflate_ms":100,"start":"image"}]})));
    source.expect("image");
    for n in 1..=50 {
        broker.publish("q", "state", &n.to_string());
    }
    let mut messages = 0;
    source.until(|message| {
        messages += 1;
        message.json["data"] == 50
    });
    assert!(messages < 50, "{messages} messages for 50 updates");
}

#[test]
fn heartbeats_are_comments_and_no_pong_is_required() {
    let broker = Running::with(&[("heartbeat_ms", "100")]);
    let mut source = Source::open(broker.listen, "topic=q", "");
    source.expect("hello");
    source.expect("subscribed");
    // Over WebSocket, two pings without an answer would have closed it by now.
    for _ in 0..5 {
        let block = std::iter::repeat_with(|| source.block()).find(|block| *block != Block::Id);
        assert_eq!(block, Some(Block::Comment("heartbeat".into())));
    }
    broker.publish("q", "event", "1");
    source.until(|message| message.op() == "update");
}

#[test]
fn a_stream_ends_with_goaway_and_a_close_comment() {
    let mut broker = Running::with(&[("drain_ms", "300")]);
    let mut source = Source::open(broker.listen, "topic=q", "");
    source.expect("hello");
    source.expect("subscribed");
    broker.begin_stop();
    assert_eq!(source.expect("goaway").num("after_ms"), 300);
    let mut received = Vec::new();
    while received.last() != Some(&Block::End) {
        received.push(source.block());
    }
    assert!(received.contains(&Block::Comment("closed 1001 going away".into())), "{received:?}");
    broker.join();
}

#[test]
fn streams_and_websockets_are_counted_alike() {
    let broker = Running::start();
    let (one, two) = (Source::open(broker.listen, "topic=a&topic=b", ""), broker.client());
    broker.until_metric("tickcast_connections", |count| count == 2.0);
    assert_eq!(broker.metric("tickcast_sse_connections"), 1.0);
    broker.until_metric("tickcast_subscriptions", |count| count == 2.0);
    drop((one, two));
    until("both are gone", || broker.metric("tickcast_connections") == 0.0);
    assert_eq!(broker.metric("tickcast_sse_connections"), 0.0);
    // Hanging up is the regular end of a stream; for a WebSocket it is an accident.
    for how in ["client", "vanished"] {
        assert_eq!(broker.metric(&format!("tickcast_closed_total{{reason=\"{how}\"}}")), 1.0, "{how}");
    }
    broker.assert_settles();
}
