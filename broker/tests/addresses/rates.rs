//! The quotas of one connection. What has to be within one moment is sent at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{Client, FIN, Message, PING, PONG, Running, TEXT, masked, until};

/// Sends requests at once.
fn send(client: &mut Client, requests: &[String]) {
    let frames: Vec<u8> = requests.iter().flat_map(|request| masked(FIN | TEXT, request.as_bytes())).collect();
    client.raw(&frames);
}

fn send_all(client: &mut Client, requests: &[&str]) {
    send(client, &requests.iter().map(|request| (*request).to_owned()).collect::<Vec<_>>());
}

fn refused(broker: &Running, quota: &str, dry_run: bool) -> f64 {
    broker.metric(&format!("tickcast_quota_refused_total{{quota=\"{quota}\",dry_run=\"{dry_run}\"}}"))
}

#[track_caller]
fn expect_rate_limited(client: &mut Client, id: Value, wait_ms: std::ops::RangeInclusive<u64>) -> Message {
    let error = client.expect_error("rate_limited");
    assert_eq!((error.json.get("id").cloned().unwrap_or_default(), &error["retry"]), (id, &json!(true)), "{error:?}");
    assert!(wait_ms.contains(&error.num("retry_ms")), "{error:?}");
    error
}

#[test]
fn requests_beyond_the_rate_are_refused_and_answered() {
    let broker = Running::with(&[("requests_per_s", "1")]);
    let mut client = broker.client();
    send_all(
        &mut client,
        &[
            r#"{"op":"list","id":1}"#,
            r#"{"op":"publish","id":2,"topic":"a","data":1}"#,
            "no request",
            r#"{"op":"subscribe","id":3,"topics":["b"]}"#,
            r#"{"op":"list","id":"five"}"#,
            r#"{"op":"publish","topic":"a","data":2}"#,
            r#"{"op":"publish","id":7,"batch":[{"topic":"a","data":3}]}"#,
            r#"{"op":"subscribe","topics":["c"]}"#,
            "neither",
            r#"{"op":"list","id":9,"unknown":1}"#,
            // These are counted and never refused.
            r#"{"op":"ping","id":10}"#,
            r#"{"op":"unsubscribe","id":11,"topics":["b"]}"#,
            r#"{"op":"auth","id":12,"token":"x"}"#,
        ],
    );
    client.expect_has(json!({"op":"subscriptions","id":1}));
    client.expect_has(json!({"op":"published","id":2,"seq":1}));
    client.expect_error("bad_json");
    client.expect_has(json!({"op":"subscribed","id":3}));
    expect_rate_limited(&mut client, json!("five"), 1..=1000);
    expect_rate_limited(&mut client, Value::Null, 1..=1000);
    expect_rate_limited(&mut client, json!(7), 1..=1000);
    expect_rate_limited(&mut client, Value::Null, 1..=1000);
    expect_rate_limited(&mut client, Value::Null, 1..=1000);
    expect_rate_limited(&mut client, json!(9), 1..=1000);
    client.expect_has(json!({"op":"pong","id":10}));
    client.expect_has(json!({"op":"unsubscribed","id":11}));
    client.expect_has(json!({"op":"error","id":12,"code":"bad_request"}));
    // Nothing of what was refused took effect.
    assert_eq!(broker.http("GET /v1/topics/a/history", "").json()["seq"], 1);
    assert_eq!(refused(&broker, "requests_per_s", false), 6.0);
    assert_eq!(broker.metric(r#"tickcast_errors_total{code="rate_limited"}"#), 6.0);
    assert_eq!(broker.metric(r#"tickcast_publish_errors_total{code="rate_limited"}"#), 1.0);
    // Another connection has its own.
    broker.client().request(r#"{"op":"list"}"#).has(&json!({"op":"subscriptions"}));
    // After the time that the error names, there is one again.
    let wait = loop {
        client.say(r#"{"op":"list","id":13}"#);
        let answer = client.message();
        match answer["retry_ms"].as_u64() {
            Some(ms) => {
                let begun = Instant::now();
                until("the time has passed", || begun.elapsed() >= Duration::from_millis(ms));
            }
            None => break answer,
        }
    };
    assert_eq!(wait.op(), "subscriptions");
}

#[test]
fn pings_and_pongs_count() {
    let broker = Running::with(&[("requests_per_s", "1")]);
    for opcode in [PING, PONG] {
        let mut client = broker.client();
        let mut bytes: Vec<u8> = (0..4).flat_map(|_| masked(FIN | opcode, b"")).collect();
        bytes.extend(masked(FIN | TEXT, br#"{"op":"list"}"#));
        client.raw(&bytes);
        expect_rate_limited(&mut client, Value::Null, 1..=1000);
    }
}

#[test]
fn a_subscribe_is_taken_or_refused_whole() {
    let broker = Running::with(&[("subscribes_per_s", "1")]);
    let mut client = broker.client();
    send_all(
        &mut client,
        &[
            r#"{"op":"subscribe","id":1,"topics":["a","b","c"]}"#,
            r#"{"op":"subscribe","id":2,"topics":["d","e"]}"#,
            r#"{"op":"subscribe","id":3,"topics":["f.>"]}"#,
            r#"{"op":"list","id":4}"#,
        ],
    );
    client.expect_has(json!({"op":"subscribed","id":1}));
    expect_rate_limited(&mut client, json!(2), 1000..=1000);
    client.expect_has(json!({"op":"subscribed","id":3}));
    let list = client.expect("subscriptions");
    assert_eq!((list["topics"].as_array().unwrap().len(), list["patterns"].as_array().unwrap().len()), (3, 1));
    // One that is larger than the burst is taken when the bucket is full, which then owes the rest.
    let mut client = broker.client();
    let topics: Vec<String> = (0..100).map(|number| format!("\"t{number}\"")).collect();
    send(
        &mut client,
        &[
            format!(r#"{{"op":"subscribe","id":1,"topics":[{}]}}"#, topics.join(",")),
            r#"{"op":"subscribe","id":2,"topics":["x"]}"#.to_owned(),
        ],
    );
    client.expect_has(json!({"op":"subscribed","id":1}));
    expect_rate_limited(&mut client, json!(2), 90_000..=97_000);
    assert_eq!(refused(&broker, "subscribes_per_s", false), 2.0);
    // Over Server-Sent Events it is one request.
    let query: Vec<String> = (0..100).map(|number| format!("topic=t{number}")).collect();
    let head = super::common::ask(broker.listen, &format!("HEAD /v1/sse?{}", query.join("&")), &[], b"");
    assert_eq!(head.status, 200);
}

#[test]
fn a_batch_publishes_what_fits() {
    let broker = Running::with(&[("publishes_per_s", "1"), ("publish_bytes_per_s", "100")]);
    let mut client = broker.client();
    let update = |bytes: usize| format!(r#"{{"topic":"a","data":"{}"}}"#, "x".repeat(bytes - 2));
    let batch = |updates: &[usize]| updates.iter().map(|bytes| update(*bytes)).collect::<Vec<_>>().join(",");
    send(
        &mut client,
        &[
            // Too many bytes in the middle do not keep the others out; nor does what is no update count.
            format!(r#"{{"op":"publish","id":1,"batch":[{},5,{}]}}"#, batch(&[300, 200]), batch(&[20, 30])),
            format!(r#"{{"op":"publish","batch":[{}]}}"#, batch(&[10, 10, 10])),
            format!(r#"{{"op":"publish","id":3,{}}}"#, &update(10)[1..update(10).len() - 1]),
        ],
    );
    let first = client.expect("published");
    assert_eq!((&first["id"], first.num("accepted")), (&json!(1), 3), "{first:?}");
    assert!(first.has(&json!({"rejected":[{"index":1,"code":"rate_limited"},{"index":2,"code":"bad_request"}]})));
    // 50 bytes are left, and 200 fit when the bucket has them.
    assert_eq!(first.num("retry_ms"), 1500);
    // Without an id there is an answer if something was refused. One more fits; two do in two seconds.
    let second = client.expect("published");
    assert!(second.json.get("id").is_none());
    assert!(
        second.has(&json!({"accepted":1,"rejected":[{"index":1,"code":"rate_limited"},{"index":2}]})),
        "{second:?}"
    );
    assert_eq!(second.num("retry_ms"), 2000);
    expect_rate_limited(&mut client, json!(3), 1000..=1000);
    assert_eq!(
        (refused(&broker, "publishes_per_s", false), refused(&broker, "publish_bytes_per_s", false)),
        (3.0, 1.0)
    );
    // A batch that fits says nothing of waiting.
    let answer = broker.client().request(&format!(r#"{{"op":"publish","id":1,"batch":[{}]}}"#, batch(&[10])));
    assert!(answer.json.get("retry_ms").is_none(), "{answer:?}");
}

#[test]
fn who_goes_on_in_spite_of_refusals_is_sent_away() {
    let broker = Running::with(&[("requests_per_s", "1"), ("publishes_per_s", "1")]);
    let lists = |count: usize| vec![r#"{"op":"list"}"#.to_owned(); count];
    let mut client = broker.client();
    send(&mut client, &lists(4 + 19));
    (0..4).for_each(|_| drop(client.expect("subscriptions")));
    (0..19).for_each(|_| drop(expect_rate_limited(&mut client, Value::Null, 1..=1000)));
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");

    let mut client = broker.client();
    send(&mut client, &lists(4 + 30));
    (0..4).for_each(|_| drop(client.expect("subscriptions")));
    (0..20).for_each(|_| drop(expect_rate_limited(&mut client, Value::Null, 1..=1000)));
    client.expect_has(json!({"op":"goaway","reason":"rate_limited","after_ms":5000}));
    client.expect_close(4029);
    broker.until_metric(r#"tickcast_closed_total{reason="limit_exceeded"}"#, |count| count == 1.0);
    broker.assert_settles_but_for(1);
}

#[test]
fn a_batch_is_one_refusal() {
    let broker = Running::with(&[("publishes_per_s", "1")]);
    let updates = [r#"{"topic":"a","data":1}"#; 30].join(",");
    let batches = vec![format!(r#"{{"op":"publish","batch":[{updates}]}}"#); 20];
    let mut client = broker.client();
    send(&mut client, &batches);
    for number in 0..20 {
        let answer = client.expect("published");
        assert_eq!(answer.num("accepted"), if number == 0 { 4 } else { 0 }, "{answer:?}");
    }
    client.expect_has(json!({"op":"goaway","reason":"rate_limited"}));
    client.expect_close(4029);
}

#[test]
fn a_dry_run_counts_and_refuses_nothing() {
    let broker = Running::with(&[
        ("requests_per_s", "1"),
        ("publishes_per_s", "1"),
        ("connections_per_address_max", "1"),
        ("connects_per_address_per_s", "1"),
        ("quota_dry_run", "true"),
    ]);
    let mut clients: Vec<Client> = (0..15).map(|_| broker.client()).collect();
    let client = &mut clients[0];
    let updates = [r#"{"topic":"a","data":1}"#; 10].join(",");
    let requests: Vec<String> =
        (0..30).map(|id| format!(r#"{{"op":"publish","id":{id},"batch":[{updates}]}}"#)).collect();
    send(client, &requests);
    for id in 0..30 {
        let answer = client.expect("published");
        assert!(answer.has(&json!({"id":id,"accepted":10,"rejected":[]})), "{answer:?}");
        assert!(answer.json.get("retry_ms").is_none());
    }
    assert_eq!(refused(&broker, "requests_per_s", true), 26.0);
    assert_eq!(refused(&broker, "publishes_per_s", true), 296.0);
    assert_eq!(refused(&broker, "connections_per_address_max", true), 14.0);
    assert!(refused(&broker, "connects_per_address_per_s", true) >= 1.0);
    for quota in ["requests_per_s", "publishes_per_s", "connections_per_address_max", "connects_per_address_per_s"] {
        assert_eq!(refused(&broker, quota, false), 0.0, "{quota}");
    }
}
