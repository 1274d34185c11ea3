//! `ready`: the picture is complete.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use crate::common::{Client, Hands, Message, PATIENCE, Running};

/// What a client has of each topic, and the `seq` at which each has begun.
#[derive(Default)]
struct Picture {
    has: BTreeMap<String, u64>,
    owed: BTreeMap<String, u64>,
}

impl Picture {
    fn introduce(&mut self, row: &serde_json::Value) {
        // A topic that goes live at once owes nothing.
        if row["start"] != "live" {
            self.owed.insert(row["topic"].as_str().unwrap().to_owned(), row["seq"].as_u64().unwrap());
        }
    }

    fn take(&mut self, message: &Message) {
        match message.op() {
            "subscribed" => message.json["topics"].as_array().unwrap().iter().for_each(|row| self.introduce(row)),
            "topic" => self.introduce(&message.json),
            "image" | "update" | "patch" => drop(self.has.insert(message.str("topic"), message.num("seq"))),
            "gap" => drop(self.has.insert(message.str("topic"), message.num("to"))),
            _ => {}
        }
    }

    /// Returns the topics that were introduced and have not begun.
    fn lacks(&self) -> Vec<(&String, &u64)> {
        self.owed.iter().filter(|(topic, seq)| self.has.get(*topic).is_none_or(|has| has < seq)).collect()
    }

    /// Reads up to the `ready` of a request, and returns it.
    #[track_caller]
    fn up_to_ready(&mut self, client: &mut Client) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            let message = client.message();
            self.take(&message);
            if message.op() == "ready" {
                return message;
            }
            // Heartbeats come for ever.
            assert!(Instant::now() < end, "no ready came for {PATIENCE:?}");
        }
    }
}

/// Expects that no other `ready` comes, before further data or a further answer.
#[track_caller]
fn expect_no_other(broker: &Running, client: &mut Client) {
    broker.publish("a", "state", "\"last\"");
    let skip_to = |client: &mut Client, last: serde_json::Value| {
        loop {
            let message = client.message();
            assert_ne!(message.op(), "ready", "a second one: {message:?}");
            if message.has(&last) {
                return;
            }
        }
    };
    skip_to(client, json!({"topic":"a","data":"last"}));
    client.say(r#"{"op":"ping"}"#);
    skip_to(client, json!({"op":"pong"}));
}

#[test]
fn ready_follows_everything_that_was_requested() {
    const QUIET: usize = 300;
    let broker = Running::with(&[("retain_updates", "3")]);
    broker.publish("a", "state", "1");
    for n in 1..=10 {
        broker.publish("e", "event", &n.to_string());
        broker.publish("lost", "event", &n.to_string());
    }
    for n in 0..QUIET {
        broker.publish(&format!("p.{n}"), if n % 2 == 0 { "state" } else { "event" }, "1");
    }
    let (epoch, lost) = (broker.epoch("e"), broker.epoch("lost"));
    let mut client = broker.client();
    client.say(&format!(
        r#"{{"op":"subscribe","id":"a\u002fb","ready":true,"topics":["a","later","a..b","p.*",
        {{"topic":"e","epoch":"{epoch}","seq":8}},{{"topic":"lost","epoch":"{lost}","seq":2}}]}}"#
    ));
    let mut picture = Picture::default();
    let ready = picture.up_to_ready(&mut client);
    // With the request's own `id`, byte for byte.
    assert_eq!(ready.text, r#"{"op":"ready","id":"a\u002fb"}"#);
    assert_eq!(picture.lacks(), []);
    // The quiet topics of the pattern were introduced too. Those of events go live at once and owe nothing.
    let states = picture.owed.keys().filter(|name| name.starts_with("p.")).count();
    assert_eq!(states, QUIET / 2);
    assert_eq!((picture.has["a"], picture.has["e"], picture.has["lost"]), (1, 10, 10));
    expect_no_other(&broker, &mut client);
}

#[test]
fn ready_comes_although_updates_go_on() {
    let broker = Running::start();
    let image = format!("\"{}\"", "x".repeat(20_000));
    for n in 0..50 {
        broker.publish(&format!("p.{n}"), "state", &image);
    }
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","id":1,"topics":["a","p.*"],"ready":true}"#);
    let mut picture = Picture::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..200).for_each(|n| {
                broker.publish(&format!("p.{}", n % 50), "state", &image);
            })
        });
        let ready = picture.up_to_ready(&mut client);
        assert_eq!(ready.json, json!({"op":"ready","id":1}));
        assert_eq!(picture.lacks(), []);
        assert_eq!(picture.owed.len(), 50);
    });
    expect_no_other(&broker, &mut client);
}

#[test]
fn ready_follows_the_answer_if_there_is_nothing_to_send() {
    let broker = Running::start();
    broker.publish("a", "state", "1");
    broker.publish("e", "event", "1");
    for topics in [r#"["later"]"#, r#"["a..b"]"#, r#"["none.*"]"#, "[]", r#"["e"]"#] {
        let mut client = broker.client();
        client.say(&format!(r#"{{"op":"subscribe","topics":{topics},"ready":true}}"#));
        client.expect("subscribed");
        // Without an `id` it has none.
        assert_eq!(client.expect("ready").text, r#"{"op":"ready"}"#, "{topics}");
    }
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["a"],"from":"live","ready":true}"#);
    client.expect("subscribed");
    client.expect("ready");
}

#[test]
fn conflated_topics_have_begun_with_their_image() {
    let broker = Running::start();
    broker.publish("q.1", "state", "1");
    broker.publish("q.2", "state", "1");
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","topics":["q.1","q.*"],"conflate_ms":60000,"ready":true}"#);
    let mut picture = Picture::default();
    picture.up_to_ready(&mut client);
    assert_eq!((picture.lacks(), picture.has.len()), (vec![], 2));
}

#[test]
fn ready_comes_only_if_requested() {
    let broker = Running::start();
    broker.publish("a", "state", "1");
    for option in ["", r#","ready":false"#] {
        let mut client = broker.client();
        client.say(&format!(r#"{{"op":"subscribe","id":1,"topics":["a","x.*"]{option}}}"#));
        client.expect("subscribed");
        client.expect("image");
        expect_no_other(&broker, &mut client);
    }
    for wrong in ["1", "\"true\"", "null", "[]"] {
        let mut client = broker.client();
        client.say(&format!(r#"{{"op":"subscribe","id":1,"topics":["a"],"ready":{wrong}}}"#));
        let error = client.expect_error("bad_request");
        assert!(error.str("message").contains("ready"), "{error:?}");
        // And nothing took effect.
        client.say(r#"{"op":"list"}"#);
        client.expect_has(json!({"op":"subscriptions","topics":[]}));
    }
}

/// Starts a broker with more images of a pattern than a client accepts without reading, and such a client.
fn stuck(topics: usize) -> (Running, Client) {
    let broker = Running::with(&[("send_buffer_bytes", "4096")]);
    let image = format!("\"{}\"", "x".repeat(60_000));
    for n in 0..topics {
        broker.publish(&format!("p.{n}"), "state", &image);
    }
    let hands = Hands { receive_bytes: Some(4096), ..Hands::default() };
    let client = Client::with(broker.listen, hands, &[], b"");
    (broker, client)
}

#[test]
fn ready_does_not_wait_for_what_was_unsubscribed_or_requested_anew() {
    const TOPICS: usize = 100;
    let (broker, mut client) = stuck(TOPICS);
    // Each `ready` comes once, although the first two requests have received next to nothing when the third begins.
    client.say(r#"{"op":"subscribe","id":1,"topics":["p.*"],"ready":true}"#);
    broker.until_metric("tickcast_connections_parked", |parked| parked == 1.0);
    client.say(r#"{"op":"unsubscribe","id":"left","topics":["p.*"]}"#);
    client.say(r#"{"op":"subscribe","id":2,"topics":["p.*"],"ready":true}"#);
    client.say(r#"{"op":"subscribe","id":3,"topics":["p.*"],"ready":true}"#);
    let (mut picture, mut told, mut begun_at) = (Picture::default(), Vec::new(), Vec::new());
    while told.len() < 3 {
        let message = client.message();
        if message.has(&json!({"op":"subscribed","id":3})) {
            picture = Picture::default();
        }
        picture.take(&message);
        if message.op() == "ready" {
            told.push(message.num("id"));
            begun_at.push(picture.has.len());
        }
    }
    assert_eq!(told, [1, 2, 3]);
    assert!(begun_at[..2].iter().all(|begun| *begun < TOPICS), "{begun_at:?} topics had begun");
    assert_eq!((picture.lacks(), picture.has.len()), (vec![], TOPICS));
    broker.publish("p.0", "state", "0");
    client.skip_to(json!({"op":"update","topic":"p.0","data":0}));
}

#[test]
fn ready_does_not_wait_for_topics_that_ended() {
    const TOPICS: usize = 100;
    let (broker, mut client) = stuck(TOPICS);
    client.say(r#"{"op":"subscribe","id":1,"topics":["p.*","a"],"ready":true}"#);
    broker.until_metric("tickcast_connections_parked", |parked| parked == 1.0);
    for n in 0..TOPICS {
        broker.http(&format!("DELETE /v1/topics/p.{n}"), "");
    }
    let mut picture = Picture::default();
    picture.up_to_ready(&mut client);
    assert!(picture.has.len() < TOPICS, "they had all begun before they ended");
    expect_no_other(&broker, &mut client);
}
