//! Malformed topics and patterns.

use serde_json::json;

use crate::common::Running;

fn bad_topics() -> Vec<String> {
    let mut names: Vec<String> = [
        "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\u{0}b", "ä", "a/ö", "a,b", "a#b", "a?b", "a%b", "<b", "a\"b",
        "a\\b", "a&b",
    ]
    .map(String::from)
    .to_vec();
    names.push("x".repeat(256));
    names.push(["s"; 17].join("."));
    names.push("x".repeat(50_000));
    names
}

const BAD_PATTERNS: [&str; 10] = [">.a", "a.>.b", "a*", "*a.b", "a.b>", "**", ">>", "a..*", "*.", "a b.*"];

#[test]
fn wrong_entries_are_listed_and_the_others_take_effect() {
    let broker = Running::start();
    let mut client = broker.client();
    for (names, code) in [(bad_topics(), "bad_topic"), (BAD_PATTERNS.map(String::from).to_vec(), "bad_pattern")] {
        for name in names {
            client.say(&json!({"op":"subscribe","id":7,"topics":[name,"good"]}).to_string());
            let answer = client.expect("subscribed");
            assert_eq!(answer["topics"][0]["topic"], "good", "{answer:?}");
            let errors = answer["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{answer:?}");
            assert_eq!(
                (&errors[0]["code"], &errors[0]["retry"]),
                (&json!(code), &json!(false)),
                "{name:?}: {answer:?}"
            );
            let echoed = errors[0]["topic"].as_str().or(errors[0]["pattern"].as_str()).unwrap();
            assert!(name.starts_with(echoed), "{name:?} was echoed as {echoed:?}");
            assert!(answer.text.len() < 3_000, "{} bytes", answer.text.len());
        }
    }
    // Entries of a wrong type, incomplete resumes, and a resume of a pattern.
    for (entry, codes) in [
        (json!(7), "bad_request"),
        (json!(null), "bad_request"),
        (json!(["a"]), "bad_request"),
        (json!({}), "bad_request"),
        (json!({"topic": 1}), "bad_request"),
        (json!({"topic": "a", "epoch": "e"}), "bad_request"),
        (json!({"topic": "a", "seq": 1}), "bad_request"),
        (json!({"topic": "a", "epoch": "e", "seq": "1"}), "bad_request"),
        (json!({"topic": "a", "epoch": "e", "seq": -1}), "bad_request"),
        (json!({"topic": "a", "epoch": 5, "seq": 1}), "bad_request"),
        (json!({"topic": "a", "epoch": "e", "seq": 1, "extra": 1}), "bad_request"),
        (json!({"topic": "a", "topic ": "b"}), "bad_request"),
        (json!({"topic": "a.*", "epoch": "e", "seq": 1}), "bad_topic"),
    ] {
        client.say(&json!({"op":"subscribe","topics":[entry]}).to_string());
        let answer = client.message();
        // A wrong type may be an error of the whole message or of the entry. Either way it is reported, and has no
        // effect.
        let code = if answer.op() == "error" { &answer["code"] } else { &answer["errors"][0]["code"] };
        assert_eq!(code, codes, "{entry}: {answer:?}");
    }
    let list = client.request(r#"{"op":"list"}"#);
    assert_eq!(list["topics"].as_array().unwrap().len(), 1, "{list:?}");
    drop(client);
    broker.assert_settles();
}

#[test]
fn nothing_is_published_to_a_malformed_name() {
    let broker = Running::start();
    let mut client = broker.client();
    let patterns = ["*", ">", "a.*", "a.>"].map(String::from);
    for name in bad_topics().iter().chain(&patterns) {
        client.say(&json!({"op":"publish","id":1,"topic":name,"data":1}).to_string());
        let error = client.expect_error("bad_topic");
        assert_eq!(error["id"], 1);
        assert!(error.text.len() < 3_000);
        client.say(
            &json!({"op":"publish","id":2,"batch":[{"topic":name,"data":1},{"topic":"good","data":2}]}).to_string(),
        );
        client.expect_has(json!({"op":"published","id":2,"accepted":1,"rejected":[{"index":0,"code":"bad_topic"}]}));
    }
    for name in ["$SYS.stats", "$SYS", "$", "$mine.own"] {
        client.say(&json!({"op":"publish","id":3,"topic":name,"data":1}).to_string());
        client.expect_error("forbidden");
    }
    assert_eq!(broker.http("GET /v1/topics", "").json()["topics"].as_array().unwrap().len(), 1);
    drop(client);
    broker.assert_settles();
}

#[test]
fn unsubscribing_from_what_was_never_subscribed_is_harmless() {
    let broker = Running::start();
    let mut client = broker.client();
    for name in bad_topics().iter().map(String::as_str).chain(BAD_PATTERNS).chain(["never", "never.*", ">"]) {
        client.say(&json!({"op":"unsubscribe","id":1,"topics":[name]}).to_string());
        let answer = client.message();
        assert!(matches!(answer.op(), "unsubscribed" | "error"), "{answer:?}");
        assert_eq!(answer["id"], 1, "{answer:?}");
    }
    drop(client);
    broker.assert_settles();
}
