//! What a client may subscribe to and publish to, and what changes on an open connection.

use serde_json::json;

use super::tokens::{FEED, auth, broker, now_s, signed, token, with_token};

#[test]
fn what_is_not_allowed_is_refused_entry_by_entry() {
    let (broker, _folder) = broker(&[], "");
    let (mut client, _) = with_token(&broker, &token("u", &["reader"]));
    let answer = client.subscribe(&[
        "stocks.a",
        "stocks.a.internal",
        "orders.a",
        "users.u.x",
        "users.v.x",
        "stocks.>",
        ">",
        "*.a",
        "stocks.*.internal",
        "$SYS.stats",
    ]);
    let refused: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["topic"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    let expected = ["stocks.a.internal", "orders.a", "users.v.x", ">", "*.a", "stocks.*.internal", "$SYS.stats"];
    assert_eq!(refused, expected.map(|entry| (entry, "forbidden")));
    assert!(answer["errors"][3]["message"].as_str().unwrap().contains("stocks.>, users.u.>"), "{answer:?}");
    client.say(r#"{"op":"publish","id":1,"batch":[{"topic":"stocks.a","data":1},{"topic":"a..b","data":1}]}"#);
    let published = client.expect("published");
    assert_eq!((&published["accepted"], &published["rejected"][0]["code"]), (&json!(0), &json!("forbidden")));
}

#[test]
fn a_denied_topic_of_a_pattern_is_never_mentioned() {
    let (broker, _folder) = broker(&[], "");
    let (mut feed, _) = with_token(&broker, FEED);
    let mut publish = |topic: &str, number: u64| {
        feed.say(&format!(r#"{{"op":"publish","id":1,"topic":"{topic}","kind":"state","data":{{"n":{number}}}}}"#));
        feed.expect("published");
    };
    publish("stocks.a.internal", 1);
    publish("stocks.a.quote", 2);
    let (mut client, _) = with_token(&broker, &token("u", &["reader"]));
    assert_eq!(client.subscribe(&["stocks.>"])["patterns"][0]["matched"], json!(1));
    // One that begins later is denied as well.
    publish("stocks.b.internal", 3);
    publish("stocks.a.internal", 4);
    publish("stocks.b.quote", 5);
    let mut topics = Vec::new();
    while topics.len() < 4 {
        let message = client.message();
        topics.push(format!("{} {}", message.op(), message["topic"].as_str().unwrap_or_default()));
    }
    assert_eq!(
        topics,
        ["topic stocks.a.quote", "image stocks.a.quote", "topic stocks.b.quote", "update stocks.b.quote"]
    );
}

#[test]
fn other_permissions_count_at_once() {
    let (broker, _folder) = broker(&[], "");
    let (mut feed, _) = with_token(&broker, FEED);
    let mut publish = |topic: &str| {
        feed.say(&format!(r#"{{"op":"publish","id":1,"topic":"{topic}","kind":"state","data":{{}}}}"#));
        feed.expect("published");
    };
    for topic in ["stocks.a.quote", "stocks.a.internal", "orders.a"] {
        publish(topic);
    }
    let with = |sub: &[&str], deny: &[&str]| {
        signed(json!({"sub": "u", "aud": "tickcast", "exp": now_s() + 600, "tickcast": {"sub": sub, "deny": deny}}))
    };
    let (mut client, _) = with_token(&broker, &with(&["stocks.>", "orders.>"], &["stocks.*.internal"]));
    client.say(r#"{"op":"subscribe","topics":["stocks.>","orders.a","orders.*"],"ready":true}"#);
    while client.message().op() != "ready" {}
    // One topic is denied now, another one is not any more, and two subscriptions end.
    let mut told = vec![auth(&mut client, &with(&["stocks.>"], &["stocks.*.quote"]))];
    while told.last().unwrap().op() != "authenticated" {
        told.push(client.message());
    }
    let entry = |message: &super::common::Message| {
        let name = message["topic"].as_str().or(message["pattern"].as_str());
        (name.unwrap_or_default().to_owned(), message["code"].as_str().unwrap_or_default().to_owned())
    };
    let mut ended: Vec<_> = told[..told.len() - 1].iter().map(entry).collect();
    ended.sort();
    let expected = ["orders.*", "orders.a", "stocks.a.quote"].map(|name| (name.to_owned(), "forbidden".to_owned()));
    assert_eq!(ended, expected);
    assert_eq!(client.message()["topic"], json!("stocks.a.internal"), "it is introduced");
    assert_eq!(client.message().op(), "image");
    for topic in ["orders.a", "stocks.a.quote", "stocks.b.quote", "stocks.a.internal"] {
        publish(topic);
    }
    let next = client.message();
    assert_eq!((next.op(), &next["topic"]), ("update", &json!("stocks.a.internal")));
    // The same permissions again: nothing is interrupted.
    let again = auth(&mut client, &with(&["stocks.>"], &["stocks.*.quote"]));
    assert_eq!(again.op(), "authenticated");
    publish("stocks.a.internal");
    assert_eq!(client.message()["topic"], json!("stocks.a.internal"));
}

#[test]
fn the_free_tier_is_conflated() {
    let (broker, _folder) = broker(&[], "[[roles]]\nname = \"free\"\nsub = [\">\"]\nconflate_ms_min = 700\n");
    let (mut client, _) = with_token(&broker, &token("u", &["free"]));
    client.say(r#"{"op":"subscribe","topics":["a","b.>"],"conflate_ms":10}"#);
    let answer = client.expect("subscribed");
    assert_eq!(
        (&answer["topics"][0]["conflate_ms"], &answer["patterns"][0]["conflate_ms"]),
        (&json!(1000), &json!(1000))
    );
    client.say(r#"{"op":"subscribe","topics":["a"],"conflate_ms":5000}"#);
    assert_eq!(client.expect("subscribed")["topics"][0]["conflate_ms"], json!(5000));
}
