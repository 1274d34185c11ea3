//! `list`, `ping`, `auth`, and identifiers.

use serde_json::json;

use crate::common::{Running, with_journal};

#[test]
fn identifiers_are_echoed_byte_for_byte() {
    let broker = Running::start();
    let mut client = broker.client();
    let long = format!("\"{}\"", "x".repeat(64));
    for id in ["0", "-7", "1.50", "1E+2", "12345678901234567890123", r#""a""#, r#""ä\u00e4\/""#, r#""""#, &long] {
        for (request, op) in [
            (r#"{"op":"ping","id":ID}"#, "pong"),
            (r#"{"id":ID,"op":"list"}"#, "subscriptions"),
            (r#"{"op":"subscribe","id":ID,"topics":["a"]}"#, "subscribed"),
            (r#"{"op":"unsubscribe","topics":["a"],"id":ID}"#, "unsubscribed"),
            (r#"{"op":"publish","id":ID,"topic":"b","data":1}"#, "published"),
            (r#"{"op":"publish","id":ID,"topic":"b..","data":1}"#, "error"),
            (r#"{"op":"nonsense","id":ID}"#, "error"),
            (r#"{"op":"ping","id":ID,"unknown":1}"#, "error"),
            (r#"{"op":"auth","id":ID,"token":"t"}"#, "error"),
        ] {
            client.say(&request.replace("ID", id));
            let answer = client.expect(op);
            assert!(answer.text.contains(&format!("\"id\":{id}")), "{id} in {answer:?}");
        }
        client.say(r#"{"op":"unsubscribe","topics":["a"]}"#);
        assert!(client.expect("unsubscribed")["id"].is_null(), "no id, none echoed");
    }
}

#[test]
fn list_returns_the_subscriptions_and_their_options() {
    let broker = Running::start();
    let mut client = broker.client();
    client.say(r#"{"op":"list","id":6}"#);
    let empty = client.expect("subscriptions");
    assert_eq!(empty.json, json!({"op":"subscriptions","id":6,"topics":[],"patterns":[]}));
    client.say(r#"{"op":"subscribe","topics":["l.a","l.*"],"conflate_ms":75,"on_slow":"retain"}"#);
    client.expect("subscribed");
    client.say(r#"{"op":"subscribe","topics":["l.b"],"on_slow":"disconnect"}"#);
    client.expect("subscribed");
    client.say(r#"{"op":"list"}"#);
    let mut list = client.expect("subscriptions").json;
    list["topics"].as_array_mut().unwrap().sort_by_key(|row| row["topic"].as_str().unwrap().to_owned());
    let expected = json!({"op":"subscriptions",
        "topics":[{"topic":"l.a","conflate_ms":100,"on_slow":"retain"},{"topic":"l.b","conflate_ms":0,"on_slow":"disconnect"}],
        "patterns":[{"pattern":"l.*","conflate_ms":100,"on_slow":"retain"}]});
    assert_eq!(list, expected);
    client.say(r#"{"op":"unsubscribe","id":2,"topics":["l.*","l.b"]}"#);
    assert_eq!(client.expect("unsubscribed").json, json!({"op":"unsubscribed","id":2,"topics":["l.*","l.b"]}));
    client.say(r#"{"op":"list"}"#);
    let list = client.expect("subscriptions");
    assert_eq!(list["topics"].as_array().unwrap().len(), 1);
    assert_eq!(list["patterns"], json!([]));
}

#[test]
fn tokens_are_reserved() {
    let broker = Running::start();
    let mut client = broker.client();
    client.say(r#"{"op":"auth","id":5,"token":"t"}"#);
    let error = client.expect_error("bad_request");
    assert_eq!((&error["id"], &error["retry"]), (&json!(5), &json!(false)));
}

#[test]
fn answers_come_in_the_order_of_their_requests() {
    let broker = Running::start();
    let mut client = broker.client();
    for index in 0..500 {
        match index % 3 {
            // A pong does not wait for the journal.
            0 if !with_journal() => client.say(&format!(r#"{{"op":"ping","id":{index}}}"#)),
            0 | 1 => client.say(&format!(r#"{{"op":"list","id":{index}}}"#)),
            _ => client.say(&format!(r#"{{"op":"publish","id":{index},"topic":"o","data":1}}"#)),
        }
    }
    for index in 0..500 {
        assert_eq!(client.message()["id"], index);
    }
}
