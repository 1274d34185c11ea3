//! Text messages that are not valid requests: they get an error with the documented code, and the connection stays
//! open.

use crate::common::{Client, Running};

#[track_caller]
fn check(client: &mut Client, text: &str, code: &str) {
    client.say(text);
    let error = client.expect("error");
    let short: String = text.chars().take(200).collect();
    assert_eq!(error["code"], code, "{short}: {error:?}");
    assert!(error.text.len() < 2_000, "an error of {} bytes to {short}", error.text.len());
}

#[test]
fn malformed_json() {
    let broker = Running::start();
    let mut client = broker.client();
    let whole = r#"{"op":"subscribe","id":1,"topics":["a.b",{"topic":"c","epoch":"e","seq":1}],"from":{"last":3}}"#;
    for cut in 0..whole.len() {
        check(&mut client, &whole[..cut], "bad_json");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "nul",
        "{]",
        r#"{"op":}"#,
        r#"{"op" "ping"}"#,
        r#"{"op":"ping"}}"#,
        r#"{"op":"ping"} x"#,
        r#"{"op":"ping",}"#,
        r#"{'op':'ping'}"#,
        r#"{op:"ping"}"#,
        "{\"op\":\"pi\nng\"}",
        r#"{"op":"\x"}"#,
        r#"{"op":"ping","id":01}"#,
        r#"{"op":"ping","id":1.}"#,
        r#"{"op":"ping","id":.5}"#,
        r#"{"op":"ping","id":+1}"#,
        r#"{"op":"ping","id":1e}"#,
        r#"{"op":"ping","id":NaN}"#,
        r#"{"op":"ping","id":Infinity}"#,
        "\u{feff}{\"op\":\"ping\"}",
        "{\"op\":\"ping\"}\0",
        "// {}\n{\"op\":\"ping\"}",
    ] {
        check(&mut client, text, "bad_json");
    }
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");
    drop(client);
    broker.assert_settles();
}

#[test]
fn json_that_is_not_a_request() {
    let broker = Running::start();
    let mut client = broker.client();
    for text in [
        "null",
        "true",
        "1",
        r#""ping""#,
        "[]",
        r#"[{"op":"ping"}]"#,
        "{}",
        r#"{"id":1}"#,
        r#"{"op":null}"#,
        r#"{"op":1}"#,
        r#"{"op":["ping"]}"#,
        r#"{"OP":"ping"}"#,
        r#"{"op":"\ud800"}"#,
        // The same key twice: which of them would count?
        r#"{"op":"ping","op":"list"}"#,
        r#"{"op":"ping","id":1,"id":2}"#,
        r#"{"op":"ping","\u006fp":"ping"}"#,
        r#"{"op":"subscribe","topics":["a"],"topics":["b"]}"#,
        r#"{"op":"publish","topic":"a","data":1,"data":2}"#,
        // Identifiers.
        r#"{"op":"ping","id":null}"#,
        r#"{"op":"ping","id":true}"#,
        r#"{"op":"ping","id":[]}"#,
        r#"{"op":"ping","id":{}}"#,
        // Unknown fields, including those of other operations.
        r#"{"op":"ping","extra":1}"#,
        r#"{"op":"ping","topics":[]}"#,
        r#"{"op":"list","topic":"a"}"#,
        r#"{"op":"subscribe","topics":["a"],"form":"live"}"#,
        r#"{"op":"subscribe","topics":["a"],"data":1}"#,
        r#"{"op":"unsubscribe","topics":["a"],"from":"live"}"#,
        r#"{"op":"publish","topic":"a","data":1,"on_slow":"retain"}"#,
        // Types and ranges.
        r#"{"op":"subscribe"}"#,
        r#"{"op":"subscribe","topics":"a"}"#,
        r#"{"op":"subscribe","topics":{}}"#,
        r#"{"op":"subscribe","topics":null}"#,
        r#"{"op":"subscribe","topics":["a"],"from":"image "}"#,
        r#"{"op":"subscribe","topics":["a"],"from":1}"#,
        r#"{"op":"subscribe","topics":["a"],"from":{"last":-1}}"#,
        r#"{"op":"subscribe","topics":["a"],"from":{"last":"1"}}"#,
        r#"{"op":"subscribe","topics":["a"],"from":{"last":1.5}}"#,
        r#"{"op":"subscribe","topics":["a"],"from":{}}"#,
        r#"{"op":"subscribe","topics":["a"],"from":{"last":1,"first":1}}"#,
        r#"{"op":"subscribe","topics":["a"],"conflate_ms":-1}"#,
        r#"{"op":"subscribe","topics":["a"],"conflate_ms":"100"}"#,
        r#"{"op":"subscribe","topics":["a"],"on_slow":"drop"}"#,
        r#"{"op":"subscribe","topics":["a"],"on_slow":null}"#,
        r#"{"op":"unsubscribe"}"#,
        r#"{"op":"unsubscribe","topics":"a"}"#,
        r#"{"op":"publish"}"#,
        r#"{"op":"publish","topic":"a"}"#,
        r#"{"op":"publish","data":1}"#,
        r#"{"op":"publish","topic":1,"data":1}"#,
        r#"{"op":"publish","topic":"a","kind":"trade","data":1}"#,
        r#"{"op":"publish","topic":"a","kind":1,"data":1}"#,
        r#"{"op":"publish","topic":"a","data":1,"batch":[]}"#,
        r#"{"op":"publish","batch":{}}"#,
        r#"{"op":"publish","batch":"a"}"#,
        r#"{"op":"publish","topic":"a","data":1,"source":"s"}"#,
        r#"{"op":"publish","topic":"a","data":1,"source_seq":1}"#,
        r#"{"op":"publish","topic":"a","data":1,"source":1,"source_seq":1}"#,
        r#"{"op":"publish","topic":"a","data":1,"source":"s","source_seq":-1}"#,
        r#"{"op":"publish","topic":"a","data":1,"source":"s","source_seq":1.5}"#,
        r#"{"op":"publish","topic":"a","data":1,"source_ts":"now"}"#,
        // A merge patch is an object without duplicate keys.
        r#"{"op":"publish","topic":"a","kind":"patch","data":1}"#,
        r#"{"op":"publish","topic":"a","kind":"patch","data":[]}"#,
        r#"{"op":"publish","topic":"a","kind":"patch","data":{"k":1,"k":2}}"#,
        r#"{"op":"publish","topic":"a","kind":"patch","data":{"o":{"k":1,"\u006b":2}}}"#,
        // Tokens are not configured.
        r#"{"op":"auth","token":"secret"}"#,
        r#"{"op":"auth"}"#,
    ] {
        check(&mut client, text, "bad_request");
    }
    for text in [r#"{"op":""}"#, r#"{"op":"PING"}"#, r#"{"op":"publish "}"#, r#"{"op":"drop_tables","all":true}"#] {
        check(&mut client, text, "unknown_op");
    }
    let long = "x".repeat(65);
    check(&mut client, &format!(r#"{{"op":"ping","id":"{long}"}}"#), "bad_request");
    check(
        &mut client,
        &format!(r#"{{"op":"publish","topic":"a","data":1,"source":"{long}","source_seq":1}}"#),
        "bad_request",
    );
    check(&mut client, &format!(r#"{{"op":"{}"}}"#, "x".repeat(60_000)), "unknown_op");
    check(&mut client, &format!(r#"{{"op":"ping","{}":1}}"#, "x".repeat(60_000)), "bad_request");
    // None of them left anything behind.
    assert_eq!(client.request(r#"{"op":"list"}"#)["topics"], serde_json::json!([]));
    assert_eq!(broker.http("GET /v1/topics", "").json()["topics"], serde_json::json!([]));
    drop(client);
    broker.assert_settles();
}

#[test]
fn an_unknown_field_is_named() {
    let broker = Running::start();
    let mut client = broker.client();
    client.say(r#"{"op":"subscribe","id":"a-7","topics":["a"],"conflate":100}"#);
    let error = client.expect_error("bad_request");
    assert_eq!(error["id"], "a-7");
    assert!(error.str("message").contains("conflate"), "{error:?}");
}

#[test]
fn deep_nesting() {
    let broker = Running::start();
    let mut client = broker.client();
    for levels in [10_000, 32_000] {
        let arrays = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let open = "[".repeat(levels);
        check(&mut client, &arrays, "bad_request");
        check(&mut client, &open, "bad_json");
        check(&mut client, &format!(r#"{{"op":"publish","topic":"deep","data":{arrays}}}"#), "bad_request");
        client.say(&format!(r#"{{"op":"subscribe","topics":{arrays}}}"#));
        let answer = client.expect("subscribed");
        assert_eq!(answer["errors"][0]["code"], "bad_request", "{answer:?}");
        assert!(answer.text.len() < 2_000, "{} bytes", answer.text.len());
        check(&mut client, &format!(r#"{{"op":"ping","id":{arrays}}}"#), "bad_request");
        check(&mut client, &format!(r#"{{"op":"subscribe","topics":["a"],"from":{arrays}}}"#), "bad_request");
    }
    let levels = 10_000;
    let objects = format!("{}1{}", r#"{"k":"#.repeat(levels), "}".repeat(levels));
    check(&mut client, &format!(r#"{{"op":"publish","topic":"deep","kind":"patch","data":{objects}}}"#), "bad_request");
    // As deep as data may be, and one level more.
    for (levels, good) in [(128, true), (129, false)] {
        let arrays = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        client.say(&format!(r#"{{"op":"publish","id":1,"topic":"deep","data":{arrays}}}"#));
        client.expect(if good { "published" } else { "error" });
    }
    drop(client);
    broker.assert_settles();
}

#[test]
fn huge_numbers() {
    let broker = Running::start();
    let mut client = broker.client();
    let digits = "9".repeat(5_000);
    for number in ["1e400", "-1e400", "1e999999999", "18446744073709551616", "9007199254740992", "-0", &digits] {
        let bad = [
            format!(r#"{{"op":"subscribe","topics":[{{"topic":"a","epoch":"e","seq":{number}}}]}}"#),
            format!(r#"{{"op":"publish","topic":"a","data":1,"source":"s","source_seq":{number}}}"#),
            format!(r#"{{"op":"publish","topic":"a","data":1,"source_ts":{number}}}"#),
        ];
        for text in &bad {
            client.say(text);
            let answer = client.message();
            // -0 is zero; no sequence can have any of the others.
            assert!(matches!(answer.op(), "error" | "subscribed") || number == "-0", "{text}: {answer:?}");
        }
        // As data every number is carried unchanged.
        let data = format!("[{number},-{number}]").replace("--", "-");
        client.say(&format!(r#"{{"op":"publish","id":1,"topic":"numbers","kind":"state","data":{data}}}"#));
        client.expect("published");
        let image = broker.http("GET /v1/topics/numbers", "");
        assert!(image.body.contains(&data), "{data} in {image:?}");
    }
    // An interval above the longest counts as the longest.
    client.say(r#"{"op":"subscribe","topics":["a.b"],"conflate_ms":18446744073709551616}"#);
    assert_eq!(client.expect("subscribed")["topics"][0]["conflate_ms"], 60_000);
    drop(client);
    broker.assert_settles();
}
