//! Nothing of a token in any output: not in answers, logs, metrics or listings, whatever goes wrong.

use std::fs::{File, read_to_string, write};

use serde_json::json;

use super::common::{Client, HANDSHAKE, Hands, Process, ask};
use super::tokens::{ROLES, SECRET, now_s, signed};

#[test]
fn nothing_of_a_token_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(path("secret"), SECRET).unwrap();
    let roles = ROLES.replace("7f6b2e5c", &"ab".repeat(32));
    write(path("tickcast.toml"), format!("token_secret_file = {:?}\n{roles}", path("secret"))).unwrap();
    let log = File::create(path("log")).unwrap();
    let flags =
        ["--config", &path("tickcast.toml"), "--token-in-url", "--log-level", "trace", "--token-leeway-ms", "0"];
    let broker = Process::logging_to(log.into(), &flags);

    let claims =
        |exp: u64| json!({"sub": "u", "aud": "tickcast", "exp": exp, "jti": "marker", "tickcast": {"roles": ["boss"]}});
    let (good, expired) = (signed(claims(now_s() + 60)), signed(claims(now_s() - 60)));
    let (forged, cut) = (format!("{}AAAA", &good[..good.len() - 4]), &good[..good.len() / 2]);
    let mut seen = String::new();
    for token in [&*good, &expired, &forged, cut, "static-marker-token"] {
        let bearer = format!("Authorization: Bearer {token}");
        for line in [
            "GET /v1/topics".to_owned(),
            format!("GET /v1/topics?token={token}"),
            format!("GET /v1/sse?token={token}&topic=a..b"),
            format!("GET /nowhere?token={token}"),
            format!("POST /v1/topics/a?token={token}"),
        ] {
            for headers in [&[][..], &[&*bearer], &["Authorization: Basic x", &bearer]] {
                seen += &format!("{:?}", ask(broker.listen, &line, headers, b"1"));
            }
        }
        seen += &format!(
            "{:?}",
            ask(broker.listen, "GET /v1/ws", &[&HANDSHAKE[..], &["Authorization: Bearer", &bearer]].concat(), b"")
        );
        let mut client = Client::with(broker.listen, Hands::default(), &[], b"");
        for message in [
            format!(r#"{{"op":"auth","id":1,"token":"{token}"}}"#),
            format!(r#"{{"op":"auth","id":1,"token":"{token}","more":"{token}"}}"#),
            format!(r#"{{"op":"auth","id":1,"tokens":"{token}"}}"#),
            format!(r#"{{"op":"auth","token":"{token}"#),
        ] {
            seen += &client.request(&message).text;
        }
        seen += &format!("{:?}", broker.get(broker.admin, "/v1/connections"));
    }
    seen += &format!("{:?}", broker.get(broker.admin, "/metrics"));
    drop(broker);
    let log = read_to_string(path("log")).unwrap();
    assert!(log.len() > 1000, "the log has everything: {log}");
    // Header, claims and signature of the tokens, each of which would be half a secret.
    let parts = [&good, &expired].into_iter().flat_map(|token| token.split('.').skip(1));
    for part in parts.chain(["static-marker-token"]) {
        for (what, text) in [("answers", &seen), ("log", &log)] {
            if let Some(at) = text.find(&part[..part.len().min(20)]) {
                panic!("in the {what}: {}", &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
            }
        }
    }
}
