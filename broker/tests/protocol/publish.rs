//! Publishing over WebSocket.

use serde_json::{Value, json};

use crate::common::Running;

#[test]
fn answers() {
    let broker = Running::start();
    let mut client = broker.client();
    let mut watcher = broker.client();
    watcher.subscribe(&["pub.>"]);
    client.say(r#"{"op":"publish","id":"p","topic":"pub.a","kind":"event","data":{"px":"189.10"}}"#);
    let answer = client.expect("published");
    assert_eq!(answer.json, json!({"op":"published","id":"p","topic":"pub.a","epoch":broker.epoch("pub.a"),"seq":1}));
    // Without an id there is no answer, but errors are always sent.
    client.say(r#"{"op":"publish","topic":"pub.a","data":2}"#);
    client.say(r#"{"op":"publish","topic":"pub.a","kind":"state","data":3}"#);
    let error = client.expect_error("kind_mismatch");
    assert!(error["id"].is_null(), "{error:?}");
    watcher.expect("topic");
    watcher.expect_has(json!({"op":"update","seq":1,"data":{"px":"189.10"}}));
    watcher.expect_has(json!({"op":"update","seq":2,"data":2}));
    client.say(r#"{"op":"publish","id":null,"topic":"pub.a","data":2}"#);
    client.expect_error("bad_request");
}

#[test]
fn batches_are_taken_in_order_and_bad_entries_do_not_stop_good_ones() {
    let broker = Running::start();
    let mut client = broker.client();
    let mut watcher = broker.client();
    watcher.subscribe(&["b.a", "b.b"]);
    let batch = json!([
        {"topic":"b.a","kind":"event","data":1},
        {"topic":"b..a","data":2},
        {"topic":"b.b","kind":"state","data":3},
        {"topic":"b.a","kind":"state","data":4},
        {"topic":"$SYS.x","data":5},
        {"topic":"b.a","data":6},
        {"topic":"b.a"},
        {"topic":"b.b","kind":"patch","data":7},
        {"topic":"b.b","data":8,"extra":1},
        9,
        {"topic":"b.a","data":10,"source_ts":11},
    ]);
    client.say(&json!({"op":"publish","id":4,"batch":batch}).to_string());
    let answer = client.expect("published");
    let rejected: Vec<(u64, &str)> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["index"].as_u64().unwrap(), entry["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (1, "bad_topic"),
        (3, "kind_mismatch"),
        (4, "forbidden"),
        (6, "bad_request"),
        (7, "bad_request"),
        (8, "bad_request"),
        (9, "bad_request"),
    ];
    assert_eq!((answer["id"].as_u64(), answer["accepted"].as_u64()), (Some(4), Some(4)), "{answer:?}");
    assert_eq!(rejected, expected);
    watcher.expect_has(json!({"op":"topic","topic":"b.a"}));
    watcher.expect_has(json!({"op":"update","topic":"b.a","seq":1,"data":1}));
    watcher.expect_has(json!({"op":"topic","topic":"b.b"}));
    watcher.expect_has(json!({"op":"update","topic":"b.b","seq":1,"data":3}));
    watcher.expect_has(json!({"op":"update","topic":"b.a","seq":2,"data":6}));
    watcher.expect_has(json!({"op":"update","topic":"b.a","seq":3,"data":10,"source_ts":11}));
    // Without an id there is an answer only if an entry is rejected.
    client.say(&json!({"op":"publish","batch":[{"topic":"b.a","data":1}]}).to_string());
    client.say(&json!({"op":"publish","batch":[{"topic":"b.a","data":1},{"topic":"","data":1}]}).to_string());
    client.expect_has(json!({"accepted":1,"rejected":[{"index":1,"code":"bad_topic"}]}));
    client.say(r#"{"op":"publish","id":5,"batch":[]}"#);
    client.expect_has(json!({"op":"published","id":5,"accepted":0,"rejected":[]}));
}

#[test]
fn an_update_that_a_source_sends_twice_is_published_once() {
    let broker = Running::start();
    let mut feeds = [broker.client(), broker.client()];
    let mut watcher = broker.client();
    watcher.subscribe(&["dedup"]);
    // Which of the two feeds, its source, source_seq, the seq of the answer, and whether it is a duplicate.
    for (feed, source, source_seq, seq, duplicate) in [
        (0, "nyse", 10, 1, false),
        (1, "nyse", 10, 1, true),
        (0, "nyse", 9, 1, true),
        (1, "nyse", 11, 2, false),
        (0, "nyse", 11, 2, true),
        (0, "arca", 1, 3, false),
        (1, "nyse", 11, 3, true),
        (1, "arca", 2, 4, false),
        (0, "nyse", 20, 5, false),
    ] {
        let request = json!({"op":"publish","id":1,"topic":"dedup","kind":"event","data":source_seq,
            "source":source,"source_seq":source_seq});
        let answer = feeds[feed].request(&request.to_string());
        let case = format!("{source} {source_seq}: {answer:?}");
        assert!(answer.has(&json!({"op":"published","topic":"dedup","seq":seq})), "{case}");
        assert_eq!(answer["duplicate"], if duplicate { json!(true) } else { Value::Null }, "{case}");
    }
    watcher.expect("topic");
    for (seq, data) in [(1, 10), (2, 11), (3, 1), (4, 2), (5, 20)] {
        watcher.expect_has(json!({"op":"update","seq":seq,"data":data}));
    }
    let entry = |source_seq: u64| json!({"topic":"dedup","data":0,"source":"nyse","source_seq":source_seq});
    feeds[0].say(&json!({"op":"publish","id":2,"batch":[entry(20),entry(21),entry(21)]}).to_string());
    feeds[0].expect_has(json!({"op":"published","id":2,"accepted":3,"duplicates":2,"rejected":[]}));
    assert_eq!(broker.metric("tickcast_duplicates_total"), 6.0);
    // The topic remembers its sources: a new epoch has none.
    broker.http("DELETE /v1/topics/dedup", "");
    feeds[0].say(&json!({"op":"publish","id":3,"topic":"dedup","data":0,"source":"nyse","source_seq":1}).to_string());
    let answer = feeds[0].expect("published");
    assert_eq!((answer.num("seq"), &answer["duplicate"]), (1, &Value::Null));
}

#[test]
fn a_topic_remembers_the_sixteen_sources_used_last() {
    let broker = Running::start();
    let mut client = broker.client();
    let mut publish = |source: u64| {
        let request =
            json!({"op":"publish","id":1,"topic":"many","data":0,"source":format!("s{source}"),"source_seq":5});
        client.request(&request.to_string())["duplicate"] == true
    };
    assert!((0..16).all(|source| !publish(source)));
    assert!((0..16).all(&mut publish), "all sixteen are remembered");
    // A duplicate counts as a use: now s1 is the source used longest ago.
    assert!(publish(0));
    assert!(!publish(16), "the seventeenth");
    assert!(publish(0));
    assert!(!publish(1), "which was forgotten");
}

#[test]
fn a_publisher_gets_its_own_updates() {
    let broker = Running::start();
    let mut client = broker.client();
    client.subscribe(&["own"]);
    client.say(r#"{"op":"publish","id":1,"topic":"own","kind":"event","data":1}"#);
    let mut ops: Vec<String> = (0..3).map(|_| client.message().op().to_owned()).collect();
    ops.sort();
    assert_eq!(ops, ["published", "topic", "update"]);
}
