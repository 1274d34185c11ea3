//! Questions about connections and publishers, and closing connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::configured::Configured;
use crate::common::{Client, End, Hands, until};

const QUIET: &str = "drain_ms = 0\n";

fn session(client: &Client) -> String {
    client.hello.str("session")
}

#[test]
fn one_connection_in_detail() {
    let broker = Configured::start(QUIET);
    broker.publish("a.state?kind=state", "{}");
    let mut client = broker.process.client();
    client.say(r#"{"op":"subscribe","topics":["a.state","a.none"],"conflate_ms":90}"#);
    client.expect("subscribed");
    client.say(r#"{"op":"subscribe","topics":["b.*"],"from":{"last":1000}}"#);
    client.skip_to(json!({"op":"subscribed"}));
    client.say(r#"{"op":"subscribe","topics":["c"],"from":"live"}"#);
    client.skip_to(json!({"op":"subscribed"}));
    client.say(r#"{"op":"subscribe","topics":[{"topic":"d","epoch":"x","seq":5}]}"#);
    client.skip_to(json!({"op":"subscribed"}));
    client.say(r#"{"op":"subscribe","topics":["e.>"],"resume":"5"}"#);
    client.skip_to(json!({"op":"subscribed"}));
    let detail = broker.admin(&format!("/v1/connections/{}", session(&client))).json();
    let mut subscriptions = detail["subscriptions"].as_array().unwrap().clone();
    subscriptions.sort_by_key(ToString::to_string);
    let mut expected = vec![
        json!({"topic":"a.state","conflate_ms":100,"from":"image"}),
        json!({"topic":"a.none","conflate_ms":100,"from":"image"}),
        json!({"pattern":"b.*","conflate_ms":0,"from":{"last":1000}}),
        json!({"topic":"c","conflate_ms":0,"from":"live"}),
        json!({"topic":"d","conflate_ms":0,"from":"resume"}),
        json!({"pattern":"e.>","conflate_ms":0,"from":"resume"}),
    ];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(subscriptions, expected);
    let listed = broker.admin("/v1/connections").json()["connections"][0].clone();
    for (name, value) in listed.as_object().unwrap().iter().filter(|(name, _)| *name != "subscriptions") {
        assert_eq!(&detail[name], value, "{name}");
    }
    assert_eq!(detail.as_object().unwrap().len(), listed.as_object().unwrap().len() + 2, "{detail}");
    assert_eq!(broker.admin("/v1/connections/none").status, 404);
    assert_eq!(broker.admin("/v1/connections/0000").status, 404);
    let gone = session(&client);
    drop(client);
    until("it to be gone", || broker.admin(&format!("/v1/connections/{gone}")).status == 404);
}

#[test]
fn messages_a_second() {
    let broker = Configured::start(QUIET);
    let mut client = broker.process.client();
    client.subscribe(&["a"]);
    // Some 200 a second for two seconds are 40 a second in the mean of ten. The machine may be slow, so the true number
    // counts.
    let begin = Instant::now();
    let mut published = 0u32;
    while begin.elapsed() < Duration::from_secs(2) {
        client.say(r#"{"op":"publish","topic":"a","data":1}"#);
        client.skip_to(json!({"op":"update"}));
        published += 1;
    }
    let detail = broker.admin(&format!("/v1/connections/{}", session(&client))).json();
    let (sent, received) = (detail["sent_per_s"].as_f64().unwrap(), detail["received_per_s"].as_f64().unwrap());
    let mean = f64::from(published) / 10.0;
    assert!((mean * 0.8..=mean * 1.3 + 1.0).contains(&sent), "{published} in all, {sent} a second");
    assert!((mean * 0.8..=mean * 1.3 + 1.0).contains(&received), "{published} in all, {received} a second");
    let other = broker.process.client();
    let detail = broker.admin(&format!("/v1/connections/{}", session(&other))).json();
    assert_eq!(detail["received_per_s"], 0.0);
}

#[test]
fn closing_by_session_and_by_address() {
    let broker = Configured::start(QUIET);
    let (mut one, mut other) = (broker.process.client(), broker.process.client());
    let close = |body: Value| {
        let answer = broker.post("/v1/connections/close", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["closed"].as_u64().unwrap()
    };
    assert_eq!(close(json!({"session": session(&one)})), 1);
    assert_eq!(one.end(), End::Close(Some(4001)));
    assert_eq!(close(json!({"session": session(&one)})), 0);
    assert_eq!(close(json!({"sub": "nobody"})), 0);
    assert_eq!(close(json!({"address": "192.0.2.0/24"})), 0);
    other.say(r#"{"op":"ping"}"#);
    other.expect("pong");
    // Server-Sent Events are told in their own way. The mapped address is the IPv4 address, and bits of hosts do not count.
    let stream = std::thread::spawn({
        let listen = broker.process.listen;
        move || crate::common::ask(listen, "GET /v1/sse?topic=a", &[], b"").body
    });
    until("the stream", || broker.process.metric("tickcast_sse_connections") == 1.0);
    assert_eq!(close(json!({"address": "::ffff:127.0.0.9/104"})), 2);
    assert_eq!(other.end(), End::Close(Some(4029)));
    let events = stream.join().unwrap();
    assert!(events.contains(": closed 4029 closed by an operator"), "{events}");
    assert_eq!(broker.post("/v1/connections/close", "{\"address\":\"localhost\"}").code(), "bad_request");
}

#[test]
fn closing_many_is_done_in_portions() {
    const CONNECTIONS: usize = 600;
    let broker = Configured::start(QUIET);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| broker.process.client()).collect();
    let answer = broker.post("/v1/connections/close", "{\"address\":\"127.0.0.1\"}");
    assert_eq!(answer.json()["closed"], CONNECTIONS);
    clients.iter_mut().for_each(|client| assert_eq!(client.end(), End::Close(Some(4029))));
    drop(clients);
    until("all to be gone", || broker.process.metric("tickcast_connections") == 0.0);
}

#[test]
fn who_publishes() {
    let broker = Configured::start(QUIET);
    assert_eq!(broker.admin("/v1/topics/a%2Fb/publishers").status, 404);
    let mut first = broker.process.client();
    let mut second = Client::with(broker.process.listen, Hands::default(), &[], b"");
    first.request(r#"{"op":"publish","id":1,"topic":"a/b","data":1}"#);
    // An update that was published already takes no `seq`.
    for _ in 0..3 {
        second.request(r#"{"op":"publish","id":2,"topic":"a/b","data":1,"source":"s","source_seq":5}"#);
    }
    let batch = r#"{"op":"publish","id":3,"batch":[{"topic":"a/b","data":1},{"topic":"other","data":1}]}"#;
    second.request(batch);
    broker.publish("a%2Fb", "1");
    broker.publish("a%2Fb", "1");
    let found = broker.admin("/v1/topics/a%2Fb/publishers").json();
    let publishers = found["publishers"].as_array().unwrap();
    let mut expected = vec![(Value::Null, 2), (json!(session(&second)), 2), (json!(session(&first)), 1)];
    // Those of the same microsecond are in any order.
    let mut got: Vec<(Value, u64)> =
        publishers.iter().map(|row| (row["session"].clone(), row["updates"].as_u64().unwrap())).collect();
    assert_eq!(got[0], expected[0], "{found}");
    got.sort_by_key(|(session, _)| session.to_string());
    expected.sort_by_key(|(session, _)| session.to_string());
    assert_eq!(got, expected, "{found}");
    for row in publishers {
        assert_eq!(row.as_object().unwrap().len(), 5, "{row}");
        assert_eq!((&row["address"], &row["sub"]), (&json!("127.0.0.1"), &Value::Null), "{row}");
        assert!(row["last_ts"].as_u64().unwrap() > 1_600_000_000_000_000, "{row}");
    }
    // A connection that has ended is still known.
    drop(second);
    until("it to be gone", || broker.process.metric("tickcast_connections") == 1.0);
    assert_eq!(broker.admin("/v1/topics/a%2Fb/publishers").json(), found);
    assert_eq!(broker.http("DELETE /v1/topics/a%2Fb", "").status, 200);
    assert_eq!(broker.admin("/v1/topics/a%2Fb/publishers").status, 404);
}
