//! Far too many of something that is harmless alone.

use serde_json::json;

use crate::common::{CONTINUATION, FIN, Running, TEXT, with_journal};

#[test]
fn a_hundred_thousand_subscriptions_on_one_connection() {
    let broker = Running::start();
    let mut client = broker.client();
    let limit = client.hello["limits"]["subscriptions"].as_u64().unwrap();
    let (mut taken, mut refused) = (0, 0);
    for block in 0..100 {
        let names: Vec<String> = (0..1000).map(|index| format!("flood.{block}.{index}")).collect();
        client.say(&json!({"op":"subscribe","topics":names}).to_string());
        let answer = client.expect("subscribed");
        taken += answer["topics"].as_array().unwrap().len() as u64;
        let errors = answer["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["code"] == "limit" && error["retry"] == true), "{answer:?}");
        refused += errors.len() as u64;
    }
    assert_eq!((taken, refused), (limit, 100_000 - limit));
    assert_eq!(broker.metric("tickcast_subscriptions"), limit as f64);
    assert_eq!(broker.metric("tickcast_followed_topics"), limit as f64);
    // Patterns count too. An existing subscription may be made again, and unsubscribing makes room.
    assert_eq!(client.subscribe(&["flood.*"])["errors"][0]["code"], "limit");
    assert_eq!(client.subscribe(&["flood.0.0"])["topics"][0]["topic"], "flood.0.0");
    assert_eq!(client.request(r#"{"op":"unsubscribe","topics":["flood.0.0"]}"#).op(), "unsubscribed");
    assert_eq!(client.subscribe(&["flood.*"])["patterns"][0]["pattern"], "flood.*");
    assert_eq!(client.subscribe(&["flood.0.0"])["errors"][0]["code"], "limit");
    // Another connection has a limit of its own.
    assert_eq!(broker.client().subscribe(&["flood.0.0"])["topics"][0]["topic"], "flood.0.0");
    drop(client);
    broker.assert_settles();
}

#[test]
fn as_many_entries_as_a_message_holds() {
    let broker = Running::start();
    let mut client = broker.client();
    let ready_for = client.hello["limits"]["image_bytes"].as_u64().unwrap() as usize + 1024;
    let list = |entry: &str| vec![entry; 65_000 / (entry.len() + 1)].join(",");
    for (request, answered) in [
        (format!(r#"{{"op":"publish","id":1,"batch":[{}]}}"#, list("0")), "published"),
        (format!(r#"{{"op":"publish","id":1,"batch":[{}]}}"#, list("{}")), "published"),
        (format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, list("0")), "subscribed"),
        (format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, list(r#""""#)), "subscribed"),
        (format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, list(r#""a""#)), "subscribed"),
        (format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, list(r#""*""#)), "subscribed"),
    ] {
        client.say(&request);
        let answer = client.expect(answered);
        assert!(answer.text.len() < ready_for, "{} bytes to {}", answer.text.len(), &request[..60]);
        // Errors that are not listed are counted, and an entry that was given ten thousand times was subscribed once.
        let refused = ["rejected", "errors"].iter().find_map(|list| answer[*list].as_array()?.last());
        assert!(refused.is_none_or(|last| last["message"].as_str().unwrap().contains("are not listed")), "{refused:?}");
        let taken =
            ["topics", "patterns"].iter().map(|list| answer[*list].as_array().map_or(0, Vec::len)).sum::<usize>();
        assert!(taken <= 1, "{taken} of {}", &request[..60]);
    }
    assert_eq!(broker.metric("tickcast_subscriptions"), 2.0);
    // A realistic number of entries is answered one by one.
    let wrong = vec![r#"{"topic":"a..b","data":1}"#; 2_400];
    client.say(&format!(r#"{{"op":"publish","id":2,"batch":[{}]}}"#, wrong.join(",")));
    assert_eq!(client.expect("published")["rejected"].as_array().unwrap().len(), wrong.len());
    let names: Vec<String> = (0..8_000).map(|index| format!("{index:05}")).collect();
    client.say(&json!({"op":"subscribe","topics":names}).to_string());
    let answer = client.expect("subscribed");
    let count = |list: &str| answer[list].as_array().unwrap().len();
    assert_eq!((count("topics") + count("errors"), count("topics")), (names.len(), 1024 - 2));
    assert!(answer.text.len() < ready_for, "{} bytes", answer.text.len());
    drop(client);
    broker.assert_settles();
}

#[test]
fn endless_subscribing_and_unsubscribing_leaves_nothing() {
    let broker = Running::start();
    for index in 0..50 {
        broker.publish(&format!("churn.old.{index}"), "state", r#"{"a":1}"#);
    }
    let mut client = broker.client();
    for round in 0..200 {
        let names: Vec<String> = (0..50)
            .map(|index| if index % 2 == 0 { format!("churn.old.{index}") } else { format!("churn.{round}.{index}") })
            .chain([format!("churn.*.{round}"), "churn.>".to_owned(), "*.old.*".to_owned()])
            .collect();
        let conflate_ms = [0, 10, 1000][round % 3];
        client.say(&json!({"op":"subscribe","id":"s","topics":names,"conflate_ms":conflate_ms}).to_string());
        if round % 5 == 0 {
            broker.publish(&format!("churn.old.{}", round % 50), "state", r#"{"a":2}"#);
        }
        client.say(&json!({"op":"unsubscribe","id":"u","topics":names}).to_string());
        client.skip_to(json!({"op":"unsubscribed","id":"u"}));
    }
    assert_eq!(broker.metric("tickcast_subscriptions"), 0.0);
    // Names that only a pattern had followed are forgotten one by one.
    broker.until_metric("tickcast_followed_topics", |names| names == 0.0);
    drop(client);
    broker.assert_settles();
}

#[test]
fn endless_connecting_and_hanging_up_leaves_nothing() {
    let broker = Running::start();
    broker.publish("churn.a", "state", "1");
    for round in 0..300 {
        let mut client = broker.client();
        if round % 2 == 0 {
            client.subscribe(&["churn.a", "churn.*", "churn.waiting"]);
        }
        if round % 3 == 0 {
            client.reset();
        }
    }
    broker.assert_settles();
}

#[test]
fn a_message_in_as_many_pieces_as_bytes() {
    let broker = Running::start();
    let mut client = broker.client();
    let text = br#"{"op":"ping","id":"drip"}"#;
    client.frame(TEXT, &text[..1]);
    for byte in &text[1..] {
        client.frame(CONTINUATION, &[*byte]);
    }
    client.frame(FIN | CONTINUATION, b"");
    assert_eq!(client.expect("pong")["id"], "drip");
    drop(client);
    broker.assert_settles();
}

#[test]
fn more_topics_than_topics_max() {
    let broker = Running::with(&[("topics_max", "10")]);
    let mut client = broker.client();
    // One of them is the broker's own, which has to exist first.
    client.subscribe(&["$SYS.stats"]);
    client.skip_to(json!({"topic":"$SYS.stats"}));
    client.say(r#"{"op":"unsubscribe","topics":["$SYS.stats"]}"#);
    client.skip_to(json!({"op":"unsubscribed"}));
    let mut refused = 0;
    for index in 0..20 {
        client.say(&format!(r#"{{"op":"publish","id":{index},"topic":"many.{index}","data":1}}"#));
        let answer = client.message();
        if answer.op() == "error" {
            assert_eq!((&answer["code"], &answer["retry"]), (&json!("limit"), &json!(true)), "{answer:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 11);
    // Publishing to an existing topic still works, and a topic that ends makes room.
    client.say(r#"{"op":"publish","id":"again","topic":"many.0","data":1}"#);
    client.expect("published");
    assert_eq!(broker.http("DELETE /v1/topics/many.0", "").status, 200);
    client.say(r#"{"op":"publish","id":"again","topic":"many.19","data":1}"#);
    client.expect("published");
    drop(client);
    broker.assert_settles();
}

#[test]
fn an_image_that_grows_too_large() {
    let broker = Running::with(&[("message_bytes", "1000"), ("image_bytes", "2000"), ("images_bytes_max", "70000")]);
    let mut client = broker.client();
    broker.publish("grows", "state", "{}");
    let mut seq = 1;
    let refusal = loop {
        let key = format!("k{}", seq - 1);
        client.say(
            &json!({"op":"publish","id":1,"topic":"grows","kind":"patch","data":{key: "x".repeat(300)}}).to_string(),
        );
        let answer = client.message();
        if answer.op() == "error" {
            break answer;
        }
        seq += 1;
    };
    assert_eq!((&refusal["code"], &refusal["retry"]), (&json!("too_large"), &json!(false)), "{refusal:?}");
    assert!(seq > 2, "{seq}");
    client.say(r#"{"op":"publish","id":2,"topic":"grows","kind":"patch","data":{"k0":null}}"#);
    assert_eq!(client.expect("published").num("seq"), seq + 1, "what was refused took no seq");
    drop(client);
    broker.assert_settles();
}

#[test]
fn a_first_state_for_which_there_is_no_room() {
    if with_journal() {
        // It is judged before it goes into the log, so the last image that is taken may exceed the bound.
        return;
    }
    let sizes = [("message_bytes", "32768"), ("image_bytes", "32768"), ("images_bytes_max", "65536")];
    let broker = Running::with(&[&sizes[..], &[("shards", "1")]].concat());
    let (mut publisher, mut watcher) = (broker.client(), broker.client());
    // The broker's own topic has to exist first.
    watcher.subscribe(&["$SYS.stats"]);
    watcher.skip_to(json!({"topic":"$SYS.stats"}));
    watcher.say(r#"{"op":"unsubscribe","topics":["$SYS.stats"]}"#);
    watcher.skip_to(json!({"op":"unsubscribed"}));
    watcher.subscribe(&["ghost.>", "ghost.7"]);
    let mut publish = |topic: &str, bytes: usize| {
        let data = json!({"x":"x".repeat(bytes)});
        let request = json!({"op":"publish","id":1,"topic":topic,"kind":"state","data":data});
        publisher.request(&request.to_string())
    };
    // Nearly full: there is room for less than another kilobyte.
    for bytes in [30_000, 1_000] {
        let taken = (0..).take_while(|number| publish(&format!("full.{bytes}.{number}"), bytes).op() == "published");
        assert!(taken.count() > 0, "{bytes}");
    }
    let topics = broker.metric("tickcast_topics");
    for number in 0..20 {
        let answer = publish(&format!("ghost.{number}"), 1_000 + number * 100);
        assert_eq!((answer.op(), &answer["code"], &answer["retry"]), ("error", &json!("limit"), &json!(true)));
    }
    // Nothing is left of what was refused: it is not counted, not listed, not there, and nobody was told of it.
    assert_eq!(broker.metric("tickcast_topics"), topics);
    assert_eq!(broker.http("GET /v1/topics?match=ghost.%3E", "").json()["topics"], json!([]));
    assert_eq!(broker.http("GET /v1/topics/ghost.7", "").status, 404);
    assert_eq!(broker.http("DELETE /v1/topics/full.30000.0", "").status, 200);
    let answer = publish("ghost.7", 1_000);
    assert_eq!((answer.op(), answer.num("seq")), ("published", 1), "{answer:?}");
    watcher.expect_has(json!({"op":"topic","topic":"ghost.7","seq":0}));
    watcher.expect_has(json!({"op":"update","topic":"ghost.7","seq":1}));
    drop((publisher, watcher));
    broker.assert_settles();
}
