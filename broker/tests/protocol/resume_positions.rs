//! `resume`: resuming everything that a connection followed from one position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::positions::next_position;
use crate::common::{Client, Finally, Message, Running};

const TOPICS: [(&str, &str); 6] = [
    ("x.few", "event"),
    ("x.many", "event"),
    ("x.quiet", "event"),
    ("x.fewstate", "state"),
    ("x.manystate", "state"),
    ("x.again", "state"),
];

/// Starts a broker that keeps three updates of each topic. Takes a position in all of them, and publishes more.
fn filled() -> (Running, String) {
    let broker = Running::with(&[("retain_updates", "3")]);
    for (topic, kind) in TOPICS.into_iter().chain([("x.gone", "event")]) {
        broker.publish(topic, kind, "0");
    }
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["x.*"],"positions":true}"#);
    let id = next_position(&mut client);
    drop(client);
    for n in 1..=2 {
        for (topic, kind) in [("few", "event"), ("fewstate", "state"), ("new", "event"), ("newstate", "state")] {
            broker.publish(&format!("x.{topic}"), kind, &n.to_string());
        }
    }
    for n in 1..=10 {
        for (topic, kind) in [("many", "event"), ("manystate", "state"), ("newmany", "event")] {
            broker.publish(&format!("x.{topic}"), kind, &n.to_string());
        }
    }
    broker.http("DELETE /v1/topics/x.gone", "");
    broker.http("DELETE /v1/topics/x.again", "");
    broker.publish("x.again", "state", "1");
    (broker, id)
}

/// How each of these topics begins, and the messages that follow.
fn expected() -> BTreeMap<&'static str, (&'static str, Value)> {
    BTreeMap::from([
        ("x.few", ("resumed", json!([1, 2]))),
        ("x.fewstate", ("resumed", json!([1, 2]))),
        ("x.quiet", ("resumed", json!([]))),
        // The last three of eleven are retained. The id does not say which of the others the client has.
        ("x.many", ("reset", json!([[1, 8], 8, 9, 10]))),
        ("x.manystate", ("reset", json!([{"image": 10}]))),
        ("x.new", ("history", json!([1, 2]))),
        ("x.newstate", ("image", json!([{"image": 2}]))),
        // It began after the id, and no longer has its first updates.
        ("x.newmany", ("reset", json!([[1, 7], 8, 9, 10]))),
        ("x.again", ("image", json!([{"image": 1}]))),
    ])
}

/// Reads up to `ready`. Returns how the topics began, and the messages of each.
#[track_caller]
fn begun(client: &mut Client) -> BTreeMap<String, (String, Value)> {
    let mut topics: BTreeMap<String, (String, Vec<Value>)> = BTreeMap::new();
    let introduce = |topics: &mut BTreeMap<String, (String, Vec<Value>)>, row: &Value| {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        assert!(topics.insert(text("topic"), (text("start"), Vec::new())).is_none(), "twice: {row}");
    };
    loop {
        let message = client.message();
        let received = match message.op() {
            "ready" => break,
            "subscribed" => {
                message.json["topics"].as_array().unwrap().iter().for_each(|row| introduce(&mut topics, row));
                continue;
            }
            "topic" => {
                introduce(&mut topics, &message.json);
                continue;
            }
            "gap" => {
                assert_eq!(message["reason"], "expired", "{message:?}");
                json!([message.num("from"), message.num("to")])
            }
            "image" => json!({"image": message.json["data"]}),
            "update" => message.json["data"].clone(),
            _ => panic!("{message:?}"),
        };
        topics.get_mut(&message.str("topic")).expect("it was introduced").1.push(received);
    }
    topics.into_iter().map(|(topic, (start, received))| (topic, (start, json!(received)))).collect()
}

#[track_caller]
fn assert_as_expected(begun: &BTreeMap<String, (String, Value)>) {
    let begun: BTreeMap<&str, (&str, Value)> =
        begun.iter().map(|(topic, (start, received))| (&**topic, (&**start, received.clone()))).collect();
    assert_eq!(begun, expected());
}

#[test]
fn a_pattern_resumes_with_one_short_request() {
    let (broker, id) = filled();
    let mut client = broker.client();
    client.say(&format!(r#"{{"op":"subscribe","id":1,"topics":["x.*"],"resume":"{id}","ready":true}}"#));
    // `x.gone` is not mentioned.
    assert_as_expected(&begun(&mut client));
    // And then on.
    broker.publish("x.quiet", "event", "1");
    client.expect_has(json!({"op":"update","topic":"x.quiet","seq":2,"data":1}));
}

#[test]
fn names_resume_alike_and_an_entry_with_a_seq_resumes_by_that() {
    let (broker, id) = filled();
    let mut client = broker.client();
    let names: Vec<Value> = expected().keys().map(|name| json!(name)).collect();
    client.say(&json!({"op":"subscribe","topics":names,"resume":id,"ready":true}).to_string());
    assert_as_expected(&begun(&mut client));

    // The client has all of `many` but the newest, and nothing of `few`; `quiet` is a plain entry in both forms.
    let (many, few) = (broker.epoch("x.many"), broker.epoch("x.few"));
    let topics = json!([{"topic":"x.many","epoch":many,"seq":10},{"topic":"x.few","epoch":few,"seq":0},{"topic":"x.quiet"},"x.gone"]);
    let mut client = broker.client();
    client.say(&json!({"op":"subscribe","topics":topics,"resume":id,"ready":true}).to_string());
    let answer = client.expect("subscribed");
    let rows = json!({"topics":[
        {"topic":"x.many","start":"resumed"},{"topic":"x.few","start":"resumed"},{"topic":"x.quiet","start":"resumed"},
        {"topic":"x.gone","kind":null,"epoch":null,"seq":0,"start":"live"}]});
    assert!(answer.has(&rows), "{answer:?}");
    let mut received: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    loop {
        let message = client.message();
        match message.op() {
            "ready" => break,
            "update" => received.entry(message.str("topic")).or_default().push(message.num("seq")),
            _ => panic!("{message:?}"),
        }
    }
    assert_eq!(received, BTreeMap::from([("x.few".into(), vec![1, 2, 3]), ("x.many".into(), vec![11])]));
}

#[test]
fn conflated_topics_begin_with_their_image_once() {
    let (broker, id) = filled();
    let mut client = broker.client();
    client.say(&format!(r#"{{"op":"subscribe","topics":["x.*"],"resume":"{id}","conflate_ms":60000,"ready":true}}"#));
    let begun = begun(&mut client);
    for (topic, (start, received)) in &begun {
        if topic.contains("state") || topic == "x.again" {
            assert_eq!(start, "image", "{topic}");
            assert_eq!(received.as_array().unwrap().len(), 1, "{topic}: {received}");
            assert!(received[0]["image"].is_u64(), "{topic}: {received}");
        } else {
            // Events are never conflated: they resume.
            assert_eq!((&**start, received), (expected()[&**topic].0, &expected()[&**topic].1), "{topic}");
        }
    }
    assert_eq!(begun.len(), expected().len());
}

#[test]
fn ids_of_other_runs_or_of_no_run_begin_anew() {
    let broker = Running::start();
    for n in 1..=3 {
        broker.publish("e", "event", &n.to_string());
        broker.publish("s", "state", &n.to_string());
    }
    let other = Running::start();
    other.publish("e", "event", "1");
    let mut client = other.client();
    client.say(r#"{"op":"subscribe","topics":["e"],"positions":true}"#);
    // This broker was started later: none of its positions is one of the first broker's.
    let later = next_position(&mut client);
    drop(client);
    for id in ["0", "1", "007", "1700000000000000", "9007199254740991", &later] {
        let mut client = broker.client();
        client.say(&format!(r#"{{"op":"subscribe","topics":["e","*"],"resume":"{id}","ready":true}}"#));
        let begun = begun(&mut client);
        let expected = BTreeMap::from([
            ("e".to_owned(), ("history".to_owned(), json!([1, 2, 3]))),
            ("s".to_owned(), ("image".to_owned(), json!([{"image": 3}]))),
        ]);
        assert_eq!(begun, expected, "{id}");
    }
}

#[test]
fn a_malformed_id_is_refused_and_nothing_takes_effect() {
    let broker = Running::start();
    broker.publish("a", "state", "1");
    let mut client = broker.client();
    for wrong in [
        "\"\"",
        "\"abc\"",
        "\"-1\"",
        "\"+1\"",
        "\"1.0\"",
        "\"1e3\"",
        "\" 1\"",
        "\"1 \"",
        "\"0x1\"",
        "\"9007199254740992\"",
        "\"99999999999999999999999\"",
        "1795404341365597",
        "null",
        "true",
        "[\"1\"]",
        "{}",
    ] {
        client.say(&format!(r#"{{"op":"subscribe","id":9,"topics":["a"],"resume":{wrong}}}"#));
        let error = client.expect_error("bad_request");
        assert_eq!((&error["id"], &error["retry"]), (&json!(9), &json!(false)), "{wrong}");
        assert!(error.str("message").contains("resume"), "{wrong}: {error:?}");
    }
    for from in [r#""image""#, r#""live""#, r#"{"last":5}"#] {
        client.say(&format!(r#"{{"op":"subscribe","id":9,"topics":["a"],"resume":"5","from":{from}}}"#));
        let error = client.expect_error("bad_request");
        let message = error.str("message");
        assert!(message.contains("from") && message.contains("resume"), "{from}: {error:?}");
    }
    for (op, field) in [("unsubscribe", r#""topics":["a"]"#), ("ping", ""), ("list", "")] {
        let comma = if field.is_empty() { "" } else { "," };
        for option in [r#""resume":"5""#, r#""positions":true"#, r#""ready":true"#] {
            client.say(&format!(r#"{{"op":"{op}",{field}{comma}{option}}}"#));
            client.expect_error("bad_request");
        }
    }
    client.say(r#"{"op":"list"}"#);
    client.expect_has(json!({"op":"subscriptions","topics":[],"patterns":[]}));
}

/// What a client has of each topic: that is all it has to know to use positions.
#[derive(Default)]
struct Memory {
    has: BTreeMap<String, u64>,
    again: u64,
}

impl Memory {
    fn take(&mut self, message: &Message) {
        match message.op() {
            "update" => {
                let (topic, seq) = (message.str("topic"), message.num("seq"));
                let has = self.has.entry(topic).or_default();
                if seq <= *has {
                    self.again += 1;
                } else {
                    assert_eq!(seq, *has + 1, "{message:?}");
                    *has = seq;
                }
            }
            "topic" => {
                // Topics that began while the client was away are whole.
                let known = self.has.contains_key(&message.str("topic"));
                let start = message.str("start");
                assert!(matches!((&*start, known), ("resumed", true) | ("history" | "live", false)), "{message:?}");
            }
            "subscribed" | "ready" | "position" => {}
            _ => panic!("{message:?}"),
        }
    }
}

#[test]
fn after_cuts_at_any_moment_nothing_is_missing() {
    const NAMES: usize = 40;
    let broker = Running::with(&[("retain_updates", "1000000"), ("retain_bytes", "64MiB")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = broker.client();
            let mut published = 0;
            while !done.load(Ordering::Acquire) {
                let name = published % NAMES;
                publisher.say(&format!(r#"{{"op":"publish","topic":"t.{name}","kind":"event","data":{published}}}"#));
                published += 1;
                if published % 20 == 0 {
                    publisher.say(r#"{"op":"ping"}"#);
                    publisher.expect("pong");
                }
            }
            // The last of each topic: a client that has these has everything.
            for name in 0..NAMES {
                publisher.say(&format!(r#"{{"op":"publish","topic":"t.{name}","kind":"event","data":"last"}}"#));
            }
            publisher.say(r#"{"op":"ping"}"#);
            publisher.expect("pong");
        });
        let _end = Finally(|| done.store(true, Ordering::Release));
        let mut memory = Memory::default();
        let mut id: Option<String> = None;
        // The connection is cut a different number of messages after the last position.
        for after in [0, 1, 7, 50] {
            let mut client = broker.client();
            let resume = id.map(|id| format!(r#","resume":"{id}""#)).unwrap_or(r#","from":{"last":1000000}"#.into());
            client.say(&format!(r#"{{"op":"subscribe","topics":["t.*"],"positions":true{resume}}}"#));
            id = loop {
                let message = client.message();
                memory.take(&message);
                if message.op() == "position" {
                    break Some(message.str("id"));
                }
            };
            for _ in 0..after {
                memory.take(&client.message());
            }
            client.reset();
        }
        done.store(true, Ordering::Release);
        let mut client = broker.client();
        let id = id.unwrap();
        client.say(&format!(r#"{{"op":"subscribe","topics":["t.*"],"resume":"{id}"}}"#));
        let mut ended = BTreeSet::new();
        while ended.len() < NAMES {
            let message = client.message();
            memory.take(&message);
            if message.json["data"] == "last" {
                ended.insert(message.str("topic"));
            }
        }
        assert!(memory.again > 0, "what came after the last position comes again");
        assert_eq!(memory.has.len(), NAMES);
    });
    broker.assert_settles();
}
