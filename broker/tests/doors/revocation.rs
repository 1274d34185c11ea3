//! A token is taken back: its connections are closed and its streams end, and nothing more is delivered to them.

use serde_json::json;

use super::common::{CLOSE, HANDSHAKE, Running, ask, until};
use super::source::{Block, Source};
use super::tokens::{FEED, auth, bearer, broker, now_s, signed, with_token};

const TOPIC: &str = "stocks.a";

/// A token for `sub`, with this id, that was issued then.
fn token(sub: &str, jti: &str, iat: u64) -> String {
    let roles = json!({"roles": ["trader"]});
    signed(json!({"sub": sub, "aud": "tickcast", "iat": iat, "exp": now_s() + 600, "jti": jti, "tickcast": roles}))
}

#[track_caller]
fn publish(broker: &Running, data: &str) {
    let headers = bearer(FEED);
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let answer = ask(broker.listen, &format!("POST /v1/topics/{TOPIC}"), &headers, data.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn stream(broker: &Running, token: &str) -> Source {
    let mut stream = Source::open(broker.listen, &format!("topic={TOPIC}&token={token}"), "");
    stream.until(|message| message.op() == "subscribed");
    stream
}

#[test]
fn what_is_revoked_is_closed_and_gets_nothing_more() {
    let now = now_s();
    // What is revoked, and tokens that it is about and is not about.
    for (entry, gone, stays) in [
        ("jti:one".to_owned(), token("u", "one", now), token("u", "other", now)),
        (format!("sub:u before:{}", now - 10), token("u", "one", now - 11), token("u", "one", now - 10)),
        (format!("sub:u before:{now}"), token("u", "one", now - 1), token("v", "one", now - 1)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let revoked = folder.path().join("revoked");
        std::fs::write(&revoked, "").unwrap();
        let path = revoked.to_str().unwrap();
        let (broker, _folder) =
            broker(&[("token_revoked_file", path), ("tls_reload_ms", "20"), ("token_in_url", "true")], "");
        let mut clients = [&gone, &stays].map(|token| {
            let (mut client, _) = with_token(&broker, token);
            client.subscribe(&[TOPIC]);
            (client, stream(&broker, token))
        });
        publish(&broker, "\"before\"");
        for (client, stream) in &mut clients {
            assert_eq!(client.skip_to(json!({"op":"update"}))["data"], json!("before"));
            assert_eq!(stream.until(|message| message.op() == "update")["data"], json!("before"));
        }
        std::fs::write(&revoked, format!("{entry}\n")).unwrap();
        // Nobody reads meanwhile: what the broker has sent is in the sockets, and shows when it was sent.
        let closed = r#"tickcast_closed_total{reason="unauthenticated"}"#;
        until("both to be closed", || broker.metric(closed) == 2.0);
        publish(&broker, "\"after\"");
        let [(mut client, mut stream), (mut other, mut other_stream)] = clients;
        let mut frames = Vec::from_iter(std::iter::from_fn(|| client.next_frame()));
        let close = frames.pop().map(|frame| (frame.opcode, frame.payload[..2].to_vec()));
        assert_eq!(close, Some((CLOSE, 4001_u16.to_be_bytes().to_vec())), "{entry}");
        let delivered = |text: &str| text.contains(r#""op":"update""#);
        assert!(!frames.iter().any(|frame| delivered(&String::from_utf8_lossy(&frame.payload))), "{entry}: {frames:?}");
        let mut blocks: Vec<Block> =
            std::iter::repeat_with(|| stream.block()).take_while(|block| *block != Block::End).collect();
        let last = blocks.pop();
        assert!(matches!(&last, Some(Block::Comment(text)) if text.starts_with("closed 4001 ")), "{entry}: {last:?}");
        assert!(!blocks.iter().any(|block| matches!(block, Block::Event(text) if delivered(text))), "{blocks:?}");
        // Nor does it come in again, over HTTP, as a stream that resumes, or as another connection.
        let headers = bearer(&gone);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        for line in [format!("GET /v1/topics/{TOPIC}"), format!("GET /v1/sse?topic={TOPIC}"), "GET /v1/ws".to_owned()] {
            let headers = [&headers[..], &HANDSHAKE, &[&format!("Last-Event-ID: {}", stream.last_id)]];
            assert_eq!(ask(broker.listen, &line, &headers.concat(), b"").status, 401, "{line}");
        }
        let mut late = broker.client();
        assert_eq!(auth(&mut late, &gone)["code"], json!("bad_token"));
        // The others go on without a break.
        assert_eq!(other.skip_to(json!({"op":"update"}))["data"], json!("after"), "{entry}");
        assert_eq!(other_stream.until(|message| message.op() == "update")["data"], json!("after"));
    }
}
