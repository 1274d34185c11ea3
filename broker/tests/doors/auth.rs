//! Saying who one is: in the header, by `auth`, and again.

use serde_json::json;

use super::common::{Client, End, Hands, Running, ask};
use super::tokens::{FEED, auth, broker, now_s, signed, token, with_token};

#[test]
fn without_tokens_nothing_is_asked() {
    let broker = Running::start();
    let header = "Authorization: Bearer anything";
    let client = Client::with(broker.listen, Hands::default(), &[header], b"");
    assert_eq!((&client.hello["features"], &client.hello["auth"]), (&json!([]), &json!(null)));
    assert_eq!(ask(broker.listen, "GET /v1/topics", &[header], b"").status, 200);
}

#[test]
fn hello_says_whether_a_token_is_needed() {
    let (required, _folder) = broker(&[], "");
    assert_eq!(required.client().hello["features"], json!(["auth"]));
    assert_eq!(required.client().hello["auth"], json!("required"));
    let (optional, _folder) = broker(&[], "[[roles]]\nname = \"anonymous\"\nsub = [\"public.>\"]\n");
    let mut client = optional.client();
    assert_eq!(client.hello["auth"], json!("optional"));
    assert_eq!(client.subscribe(&["public.a", "stocks.a"])["errors"][0]["code"], json!("forbidden"));
}

#[test]
fn a_token_in_the_header_is_answered_after_hello() {
    let (broker, _folder) = broker(&[], "");
    let exp = now_s() + 600;
    let claims = json!({"sub": "user-42", "aud": ["other", "tickcast"], "exp": exp,
        "tickcast": {"roles": ["reader"], "pub": ["chat.user-42"], "deny": ["stocks.secret.>"]}});
    let (mut client, first) = with_token(&broker, &signed(claims));
    assert_eq!(
        first.json,
        json!({"op": "authenticated", "sub": "user-42", "expires_ts": exp * 1_000_000, "allow": {
            "sub": ["stocks.>", "users.user-42.>"], "pub": ["chat.user-42"], "deny": ["stocks.*.internal", "stocks.secret.>"]}})
    );
    assert_eq!(client.subscribe(&["stocks.a"])["errors"], json!([]));
    let (_client, first) = with_token(&broker, FEED);
    assert_eq!((&first["sub"], &first["expires_ts"]), (&json!("feed-a"), &json!(null)));
}

#[test]
fn before_auth_only_auth_and_ping() {
    let (broker, _folder) = broker(&[], "");
    let mut client = broker.client();
    for request in [
        r#"{"op":"subscribe","id":1,"topics":["stocks.a"]}"#,
        r#"{"op":"unsubscribe","id":1,"topics":["stocks.a"]}"#,
        r#"{"op":"publish","id":1,"topic":"chat.a","data":1}"#,
        r#"{"op":"publish","id":1,"batch":[{"topic":"chat.a","data":1}]}"#,
        r#"{"op":"list","id":1}"#,
    ] {
        client.say(request);
        let error = client.expect_error("bad_token");
        assert_eq!(error["id"], json!(1));
    }
    // An `auth` that cannot be read is answered with what is wrong with it.
    for (request, wrong) in [
        (r#"{"op":"auth","id":1}"#, "\"token\" is missing"),
        (r#"{"op":"auth","id":1,"token":5}"#, "\"token\" must be a string"),
        (r#"{"op":"auth","id":1,"token":"a","tokens":"b"}"#, "\"tokens\" is not a field of auth"),
        (r#"{"op":"auth","id":1,"token":"a}"#, "invalid JSON at byte"),
    ] {
        client.say(request);
        let error = client.expect_error("bad_token");
        assert_eq!(error["id"], json!(1));
        let text = error.str("message");
        assert!(text.starts_with("authenticate first: send auth with a token. ") && text.contains(wrong), "{text}");
    }
    client.say(r#"{"op":"ping","id":2}"#);
    assert_eq!(client.message().op(), "pong");
    // What follows `auth` in the same packet is done after it.
    let (auth, subscribe) = (token("u", &["trader"]), r#"{"op":"subscribe","id":4,"topics":["stocks.a"]}"#);
    client.raw(
        &[
            super::common::masked(0x81, format!(r#"{{"op":"auth","id":3,"token":"{auth}"}}"#).as_bytes()),
            super::common::masked(0x81, subscribe.as_bytes()),
        ]
        .concat(),
    );
    let answer = client.message();
    assert_eq!((answer.op(), &answer["id"], &answer["sub"]), ("authenticated", &json!(3), &json!("u")));
    assert_eq!(client.expect("subscribed")["errors"], json!([]));
}

#[test]
fn a_token_that_is_not_taken_changes_nothing() {
    let (broker, _folder) = broker(&[], "");
    let (mut client, _) = with_token(&broker, &token("u", &["trader"]));
    let good = token("u", &["trader"]);
    let expired =
        signed(json!({"sub": "u", "aud": "tickcast", "exp": now_s() - 60, "tickcast": {"roles": ["trader"]}}));
    let other = signed(json!({"sub": "u", "aud": "other", "exp": now_s() + 60}));
    for wrong in ["nonsense", &good[..good.len() - 3], &expired, &other, ""] {
        let answer = auth(&mut client, wrong);
        assert_eq!((answer.op(), &answer["code"]), ("error", &json!("bad_token")), "{answer:?}");
        assert_eq!((&answer["id"], &answer["retry"]), (&json!("a"), &json!(false)));
    }
    let answer = auth(&mut client, &token("somebody else", &["boss"]));
    assert_eq!(answer["code"], json!("forbidden"), "{answer:?}");
    client.say(r#"{"op":"publish","id":1,"topic":"chat.a","data":1}"#);
    client.expect("published");
    client.say(r#"{"op":"publish","id":1,"topic":"orders.a","data":1}"#);
    client.expect_error("forbidden");
}

#[test]
fn the_upgrade_is_refused_with_a_wrong_token_or_two() {
    let (broker, _folder) = broker(&[("token_in_url", "true")], "");
    let good = token("u", &["trader"]);
    let upgrade = |headers: &[&str], path: &str| {
        let mut all = super::common::HANDSHAKE.to_vec();
        all.extend(headers);
        ask(broker.listen, &format!("GET {path}"), &all, b"")
    };
    let header = format!("Authorization: Bearer {good}");
    for (headers, path) in [
        (&["Authorization: Bearer nonsense"][..], "/v1/ws".to_owned()),
        (&["Authorization: Basic dXNlcjpwYXNz"], "/v1/ws".to_owned()),
        (&[&header], format!("/v1/ws?token={good}")),
        (&[&header, &header], "/v1/ws".to_owned()),
    ] {
        let answer = upgrade(headers, &path);
        assert_eq!((answer.status, answer.code().as_str()), (401, "bad_token"), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

#[test]
fn a_silent_connection_is_closed() {
    let (broker, _folder) = broker(&[("auth_ms", "200")], "");
    let mut silent = broker.client();
    let mut known = broker.client();
    assert_eq!(auth(&mut known, FEED).op(), "authenticated");
    assert_eq!(silent.end(), End::Close(Some(4001)));
    known.say(r#"{"op":"ping"}"#);
    known.expect("pong");
}

#[test]
fn before_auth_a_message_is_no_longer_than_a_token() {
    let (broker, _folder) = broker(&[("token_bytes_max", "1000")], "");
    let mut client = broker.client();
    client.say(&format!(r#"{{"op":"auth","token":"{}"}}"#, "x".repeat(1001)));
    client.expect_error("bad_token");
    client.say(&format!(r#"{{"op":"auth","token":"{}"}}"#, "x".repeat(1300)));
    assert_eq!(client.end(), End::Close(Some(1009)));
}
