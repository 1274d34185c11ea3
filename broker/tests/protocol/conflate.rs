//! `conflate_ms`: at most one message per topic and interval, with the newest state.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Client, Message, Running};
use crate::continuity::Follower;

#[test]
fn intervals_are_rounded_up_to_the_ladder() {
    let broker = Running::start();
    broker.publish("st", "state", "1");
    let mut client = broker.client();
    for (asked, got) in [
        ("0", 0),
        ("1", 10),
        ("10", 10),
        ("11", 20),
        ("20", 20),
        ("49", 50),
        ("51", 100),
        ("101", 200),
        ("201", 500),
        ("501", 1000),
        ("1001", 2000),
        ("2001", 5000),
        ("5001", 10_000),
        ("10001", 30_000),
        ("30001", 60_000),
        ("60000", 60_000),
        ("60001", 60_000),
        ("86400000", 60_000),
        ("9007199254740991", 60_000),
    ] {
        client.say(&format!(r#"{{"op":"subscribe","topics":["st","p.*"],"conflate_ms":{asked}}}"#));
        let answer = client.skip_to(json!({"op":"subscribed"}));
        let got = json!({"topics":[{"topic":"st","conflate_ms":got}],"patterns":[{"pattern":"p.*","conflate_ms":got}]});
        assert!(answer.has(&got), "{asked}: {answer:?}");
        client.say(r#"{"op":"list"}"#);
        let list = client.skip_to(json!({"op":"subscriptions"}));
        assert!(list.has(&got), "{asked}: {list:?}");
    }
}

/// Publishes states in one batch.
fn burst(client: &mut Client, topic: &str, kind: &str, values: impl Iterator<Item = Value>) {
    let batch: Vec<Value> = values.map(|data| json!({"topic":topic,"kind":kind,"data":data})).collect();
    client.say(&json!({"op":"publish","id":"burst","batch":batch}).to_string());
    client.expect_has(json!({"op":"published","accepted":batch.len(),"rejected":[]}));
}

/// Reads until the topic is at `seq`; returns the messages.
fn read_to(client: &mut Client, follower: &mut Follower, topic: &str, seq: u64) -> Vec<Message> {
    let mut messages = Vec::new();
    while follower.last(topic) < seq {
        let message = client.message();
        follower.take(&message);
        messages.push(message);
    }
    messages
}

#[test]
fn many_states_become_few_and_the_last_one_arrives() {
    let broker = Running::start();
    let mut publisher = broker.client();
    burst(&mut publisher, "fast", "state", (1..=5).map(|n| json!({"n":n})));
    let mut client = broker.client();
    let mut follower = Follower::default();
    client.say(r#"{"op":"subscribe","topics":["fast"],"conflate_ms":500,"from":"live"}"#);
    let answer = client.expect("subscribed");
    assert_eq!(answer["topics"][0]["start"], "image", "a conflated topic starts with its image");
    follower.take(&answer);
    read_to(&mut client, &mut follower, "fast", 5);
    // Twice, so that the second burst comes within the interval of the first one's message.
    for round in 1..=2 {
        let begin = Instant::now();
        let last = 5 + round * 100;
        burst(&mut publisher, "fast", "state", (last - 99..=last).map(|n| json!({"n":n})));
        let messages = read_to(&mut client, &mut follower, "fast", last);
        assert!(messages.len() <= 3, "{} messages for one burst", messages.len());
        assert_eq!(follower.data("fast"), json!({"n":last}).to_string());
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[test]
fn the_first_change_of_a_quiet_topic_comes_at_once() {
    // One shard, so that what one client has received was sent to the other as well: the topic is quiet.
    let broker = Running::with(&[("shards", "1")]);
    let (mut client, mut first) = (broker.client(), broker.client());
    first.subscribe(&["quiet.old"]);
    for (topic, exists) in [("quiet.old", true), ("quiet.new", false)] {
        if exists {
            broker.publish(topic, "state", "0");
            first.expect("topic");
            first.expect("update");
        }
        client.say(&json!({"op":"subscribe","topics":[topic],"conflate_ms":60_000}).to_string());
        client.expect("subscribed");
        if exists {
            client.expect("image");
        }
        let begin = Instant::now();
        let seq = broker.publish(topic, "state", "1");
        let message = client.skip_to(json!({"topic":topic,"seq":seq}));
        assert_eq!(message["data"], 1);
        assert!(begin.elapsed() < Duration::from_secs(20), "{topic}: {:?}", begin.elapsed());
    }
}

#[test]
fn messages_keep_their_interval() {
    let broker = Running::start();
    broker.publish("pace", "state", "0");
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["pace"],"conflate_ms":200}"#);
    client.expect("subscribed");
    client.expect("image");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = broker.client();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                publisher.request(r#"{"op":"publish","id":1,"topic":"pace","kind":"state","data":1}"#);
            }
        });
        let mut times = Vec::new();
        while times.len() < 8 {
            client.message();
            times.push(Instant::now());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // A message that this thread read late makes the next interval shorter, so only their sum counts.
        let took = times[7] - times[0];
        assert!(took >= Duration::from_millis(7 * 200 - 150), "8 messages in {took:?}");
        assert!(took < Duration::from_secs(6), "8 messages took {took:?}");
    });
}

#[test]
fn conflated_patches_make_the_same_state() {
    let broker = Running::start();
    let mut publisher = broker.client();
    // The book is large enough for a difference to be smaller than the image.
    let mut book = json!({});
    for level in 0..200 {
        book[format!("p{level}")] = json!({"size":"100","orders":3});
    }
    burst(&mut publisher, "book", "state", [book.clone()].into_iter());
    let mut client = broker.client();
    let mut follower = Follower::default();
    client.say(r#"{"op":"subscribe","topics":["book"],"conflate_ms":50}"#);
    follower.take(&client.expect("subscribed"));
    let mut state = Value::Null;
    let (mut seq, mut differences) = (1, 0);
    for round in 0..20 {
        let patches = (0..10).map(|index| {
            let level = format!("p{}", (round * 7 + index) % 200);
            match index % 3 {
                0 => json!({level: null}),
                1 => json!({level: {"size": round.to_string()}}),
                _ => json!({format!("new{round}"): {"size":"1"}, level: {"orders": null}}),
            }
        });
        burst(&mut publisher, "book", "patch", patches);
        seq += 10;
        for message in read_to(&mut client, &mut follower, "book", seq) {
            match message.op() {
                "image" => state = message["data"].clone(),
                "patch" => {
                    differences += 1;
                    merge(&mut state, &message["data"]);
                }
                other => panic!("{other}: {message:?}"),
            }
        }
        assert_eq!(state, broker.http("GET /v1/topics/book", "").json()["data"], "round {round}");
    }
    assert!(differences > 0, "none came as a difference");
}

#[test]
fn a_conflated_topic_with_patches_begins_with_one_image() {
    // One shard, so that both clients share what is sent at their interval.
    let broker = Running::with(&[("shards", "1")]);
    let mut publisher = broker.client();
    let mut patch = |level: u64| {
        let size = json!({format!("p{level}"): {"size":level.to_string()}});
        burst(&mut publisher, "book", "patch", [size].into_iter());
    };
    let mut book = json!({});
    for level in 0..200 {
        book[format!("p{level}")] = json!({"size":"100","orders":3});
    }
    broker.publish("book", "state", &book.to_string());
    patch(0);
    let mut seq = 2;
    let mut clients: Vec<(Client, Value)> = Vec::new();
    // The first begins the interval's stream. The next one joins while the first waits for its interval to pass, and
    // the last one when a difference has just been sent.
    for joins_between in [false, true, false] {
        if joins_between {
            patch(seq);
            seq += 1;
        }
        let mut client = broker.client();
        client.say(r#"{"op":"subscribe","topics":["book"],"conflate_ms":500}"#);
        assert_eq!(client.expect("subscribed")["topics"][0]["start"], "image");
        let image = client.expect("image");
        assert_eq!(image.num("seq"), seq);
        clients.push((client, image["data"].clone()));
        patch(seq);
        seq += 1;
        for (client, state) in &mut clients {
            loop {
                // Never an image again: the one with which it began is all that it needs.
                let message = client.expect("patch");
                merge(state, &message["data"]);
                if message.num("seq") == seq {
                    break;
                }
            }
        }
    }
    let right = broker.http("GET /v1/topics/book", "").json();
    assert!(clients.iter().all(|(_, state)| *state == right["data"]));
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

#[test]
fn events_are_never_merged() {
    let broker = Running::start();
    let mut publisher = broker.client();
    broker.publish("trades", "event", "0");
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["trades","more.*"],"conflate_ms":60000}"#);
    client.expect("subscribed");
    burst(&mut publisher, "trades", "event", (2..=100).map(|n| json!(n)));
    for seq in 2..=100 {
        client.expect_has(json!({"op":"update","topic":"trades","seq":seq,"data":seq}));
    }
    burst(&mut publisher, "more.trades", "event", (1..=100).map(|n| json!(n)));
    client.expect_has(json!({"op":"topic","topic":"more.trades"}));
    for seq in 1..=100 {
        client.expect_has(json!({"op":"update","topic":"more.trades","seq":seq}));
    }
}

#[test]
fn resuming_conflated_starts_with_the_image() {
    let broker = Running::start();
    for n in 1..=3 {
        broker.publish("st", "state", &n.to_string());
    }
    let epoch = broker.epoch("st");
    for (epoch, seq, start) in [(epoch.as_str(), 2, "image"), (&epoch, 3, "image"), ("other", 2, "reset")] {
        let mut client = broker.client();
        let entry = json!({"topic":"st","epoch":epoch,"seq":seq});
        client.say(&json!({"op":"subscribe","topics":[entry],"conflate_ms":100}).to_string());
        client.expect_has(json!({"op":"subscribed","topics":[{"start":start,"seq":3,"conflate_ms":100}]}));
        client.expect_has(json!({"op":"image","seq":3,"data":3}));
    }
}
