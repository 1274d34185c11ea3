//! A token ends: the client is told before, and then the connection is closed, whatever its transport.

use std::time::{Duration, Instant};

use serde_json::json;

use super::common::End;
use super::source::{Block, Source};
use super::tokens::{auth, broker, now_s, signed, with_token};

fn lasting(sub: &str, seconds: u64) -> String {
    signed(json!({"sub": sub, "aud": "tickcast", "exp": now_s() + seconds, "tickcast": {"roles": ["trader"]}}))
}

#[test]
fn a_client_is_told_before_its_token_ends_and_stays_with_a_new_one() {
    let (broker, _folder) = broker(&[("token_leeway_ms", "0")], "");
    let exp = now_s() + 3;
    let claims = json!({"sub": "u", "aud": "tickcast", "exp": exp, "tickcast": {"roles": ["trader"]}});
    let (mut client, _) = with_token(&broker, &signed(claims));
    let (mut other, _) = with_token(&broker, &lasting("v", 3));
    let reauth = client.expect("reauth");
    assert_eq!(reauth["expires_ts"], json!(exp * 1_000_000));
    assert!(now_s() <= exp);
    assert_eq!(auth(&mut client, &lasting("u", 600)).op(), "authenticated");
    other.expect("reauth");
    assert_eq!(other.end(), End::Close(Some(4001)));
    client.say(r#"{"op":"ping","id":1}"#);
    client.expect("pong");
}

#[test]
fn leeway_counts_when_a_token_is_taken_and_when_it_ends() {
    let (broker, _folder) = broker(&[("token_leeway_ms", "2000")], "");
    let began = Instant::now();
    // It has ended a second ago, and is taken for another one.
    let exp = now_s() - 1;
    let claims = json!({"sub": "u", "aud": "tickcast", "exp": exp, "tickcast": {"roles": ["trader"]}});
    let (mut client, first) = with_token(&broker, &signed(claims));
    assert_eq!(first.op(), "authenticated");
    assert_eq!(client.end(), End::Close(Some(4001)));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_stream_ends_with_a_comment() {
    let (broker, _folder) = broker(&[("token_leeway_ms", "0"), ("token_in_url", "true")], "");
    let token = lasting("u", 2);
    let mut stream = Source::open(broker.listen, &format!("topic=stocks.a&token={token}"), "");
    stream.expect("hello");
    stream.expect("authenticated");
    stream.until(|message| message.op() == "subscribed");
    stream.expect("reauth");
    let end = std::iter::repeat_with(|| stream.block()).find_map(|block| match block {
        Block::Comment(text) if text.starts_with("closed") => Some(text),
        Block::End => Some(String::new()),
        _ => None,
    });
    assert_eq!(end.unwrap(), "closed 4001 token expired");
}
