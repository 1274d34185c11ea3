//! Keys from an issuer's address, and revocations from a file, while clients are connected.

use std::time::{Duration, Instant};

use serde_json::json;

use super::common::{Answer, End, Running, ask, until};
use super::issuer::{Issuer, Key};
use super::tokens::{auth, bearer, broker, now_s, signed, with_token};

fn list(broker: &Running, token: &str) -> Answer {
    let headers = bearer(token);
    ask(broker.listen, "GET /v1/topics", &headers.iter().map(String::as_str).collect::<Vec<_>>(), b"")
}

#[test]
fn keys_come_from_the_issuer_and_change() {
    let (issuer, old, new) = (Issuer::new(), Key::new("old"), Key::new("new"));
    let broker = issuer.broker("100");
    let waits = list(&broker, &old.token());
    assert_eq!((waits.status, waits.code()), (503, "unavailable".to_owned()), "{waits:?}");
    issuer.has(&old);
    until("the keys are fetched", || list(&broker, &old.token()).status == 200);
    let (mut client, first) = with_token(&broker, &old.token());
    assert_eq!(first.op(), "authenticated");
    let mut later = broker.client();

    issuer.has(&new);
    // The token of the new key makes the broker fetch it, as soon as the cooldown is over.
    until("the new key counts", || auth(&mut later, &new.token()).op() == "authenticated");
    // The old one verifies nothing any more, and who came with it goes.
    assert_eq!(list(&broker, &old.token()).status, 401);
    assert_eq!(client.end(), End::Close(Some(4001)));
    later.say(r#"{"op":"ping","id":1}"#);
    later.expect("pong");
}

#[test]
fn nobody_makes_the_broker_ask_the_issuer_often() {
    let (issuer, key) = (Issuer::new(), Key::new("one"));
    issuer.has(&key);
    let cooldown = Duration::from_millis(300);
    let broker = issuer.broker("300");
    until("the keys are fetched", || list(&broker, &key.token()).status == 200);
    let (begin, before) = (Instant::now(), issuer.asked());
    let mut client = broker.client();
    for number in 0..300 {
        let token = key.token_with(&format!("../../{number}"));
        let refused = list(&broker, &token);
        assert_eq!((refused.status, refused.code()), (401, "bad_token".to_owned()), "{refused:?}");
        assert_eq!(auth(&mut client, &token)["code"], "bad_token");
    }
    // The broker counts in whole milliseconds.
    let most = 1 + begin.elapsed().as_millis() / (cooldown.as_millis() - 1);
    assert!(u128::from(issuer.asked() - before) <= most, "{} fetches, at most {most}", issuer.asked() - before);
    assert_eq!(list(&broker, &key.token()).status, 200);
}

#[test]
fn who_came_with_a_key_that_has_left_its_file_goes_although_the_issuer_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let (issuer, old, new) = (Issuer::new(), Key::new("old"), Key::new("new"));
    let (write, path) = (|key: &Key| std::fs::write(&path, key.jwks()).unwrap(), path.to_str().unwrap());
    write(&old);
    let url = format!("http://{}/jwks.json", issuer.address);
    let settings = [("token_jwks_url", url.as_str()), ("token_key_file", path), ("tls_reload_ms", "20")];
    let broker = Running::with(&settings);
    let (mut client, first) = with_token(&broker, &old.token());
    assert_eq!(first.op(), "authenticated");
    write(&new);
    assert_eq!(client.end(), End::Close(Some(4001)));
    assert_eq!(with_token(&broker, &new.token()).1.op(), "authenticated");
}

#[test]
fn a_revoked_token_ends() {
    let folder = tempfile::tempdir().unwrap();
    let revoked = folder.path().join("revoked");
    std::fs::write(&revoked, "# nobody\n").unwrap();
    let path = revoked.to_str().unwrap();
    let (broker, _folder) = broker(&[("token_revoked_file", path), ("tls_reload_ms", "20")], "");
    let claims = |jti: &str| json!({"sub": "u", "aud": "tickcast", "exp": now_s() + 600, "jti": jti});
    let (one, other) = (signed(claims("one")), signed(claims("other")));
    let (mut first, _) = with_token(&broker, &one);
    let (mut second, _) = with_token(&broker, &other);
    std::fs::write(&revoked, "nonsense\njti:one\n").unwrap();
    assert_eq!(first.end(), End::Close(Some(4001)));
    assert_eq!(list(&broker, &one).status, 401);
    assert_eq!(list(&broker, &other).status, 200);
    second.say(r#"{"op":"ping","id":1}"#);
    second.expect("pong");
    // The file goes, what it said counts.
    std::fs::remove_file(&revoked).unwrap();
    until("the loss is noticed", || broker.metric(r#"tickcast_token_source_failed{source="revoked_file"}"#) == 1.0);
    assert_eq!(list(&broker, &one).status, 401);
}
