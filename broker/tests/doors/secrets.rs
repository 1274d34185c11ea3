//! Nothing of a token in any output: not in answers, logs, metrics or listings, whatever goes wrong.

use std::fs::{File, read_to_string, write};

use rustix::process::Signal;
use serde_json::json;

use super::common::{Client, HANDSHAKE, Hands, Process, ask};
use super::source::{Block, Source};
use super::tokens::{ROLES, SECRET, now_s, signed};

const JSON: &str = "Content-Type: application/json";

#[test]
fn nothing_of_a_token_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(path("secret"), SECRET).unwrap();
    let roles = ROLES.replace("7f6b2e5c", &"ab".repeat(32));
    write(path("tickcast.toml"), format!("token_secret_file = {:?}\n{roles}", path("secret"))).unwrap();
    let log = File::create(path("log")).unwrap();
    let flags = [
        ["--config", &path("tickcast.toml")],
        ["--log-level", "trace"],
        ["--token-leeway-ms", "0"],
        ["--audit-log", &path("audit")],
        ["--drain-ms", "0"],
    ];
    let mut broker = Process::logging_to(log.into(), &[flags.as_flattened(), &["--token-in-url"]].concat());

    let claims =
        |exp: u64| json!({"sub": "u", "aud": "tickcast", "exp": exp, "jti": "marker", "tickcast": {"roles": ["boss"]}});
    let (good, expired) = (signed(claims(now_s() + 60)), signed(claims(now_s() - 60)));
    let (forged, cut) = (format!("{}AAAA", &good[..good.len() - 4]), &good[..good.len() / 2]);
    let mut seen = String::new();
    for token in [&*good, &expired, &forged, cut, "static-marker-token"] {
        let bearer = format!("Authorization: Bearer {token}");
        let referer = format!("Referer: http://{}/?token={token}", broker.listen);
        let cookie = format!("Cookie: token={token}");
        for line in [
            "GET /v1/topics".to_owned(),
            format!("GET /v1/topics?token={token}"),
            format!("GET /v1/sse?token={token}&topic=a..b"),
            format!("GET /nowhere?token={token}"),
            format!("POST /v1/topics/a?token={token}"),
            format!("DELETE /v1/topics/a?kind=state&token={token}"),
            format!("OPTIONS /v1/topics?token={token}"),
            format!("PUT /v1/publish?token={token}"),
            // The page, which a browser then names in `Referer`.
            format!("GET /?token={token}"),
            format!("GET /tickcast.js?token={token}"),
            // Twice, in capitals, encoded wrongly, in a URL with a host, in one that is too long.
            format!("GET /v1/topics?token={token}&token={token}"),
            format!("GET /v1/topics?TOKEN={token}"),
            format!("GET /v1/topics?match=%zz&token={token}"),
            format!("GET /v1/topics?token=%zz{token}"),
            format!("GET http://{}/v1/topics?token={token}", broker.listen),
            format!("GET /v1/topics?token={token}&match={}", "m".repeat(70_000)),
            format!("GET /v1/topics?token={token} x"),
        ] {
            for headers in [
                &[][..],
                &[&*bearer],
                &["Authorization: Basic x", &bearer],
                &[&*referer, &*cookie],
                &["Origin: https://elsewhere.example", &*referer],
            ] {
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
        let form = format!("topic=a..b&token={token}");
        let of_form = ["Content-Type: application/x-www-form-urlencoded"];
        seen += &format!("{:?}", ask(broker.listen, "POST /v1/sse", &of_form, form.as_bytes()));
        for line in ["GET /v1/connections", "GET /v1/nowhere", "GET /v1/topics/a/publishers"] {
            seen += &format!("{:?}", ask(broker.admin, &format!("{line}?token={token}"), &[&bearer, &referer], b""));
        }
        seen += &format!("{:?}", broker.get(broker.admin, "/v1/connections"));
    }
    // Connections and streams that are open with the token, until an operator closes them.
    let bearer = format!("Authorization: Bearer {good}");
    let mut clients = [
        Client::at(broker.listen, &format!("/v1/ws?token={good}"), &[]),
        Client::with(broker.listen, Hands::default(), &[&bearer], b""),
    ];
    let mut stream = Source::open(broker.listen, &format!("topic=a&topic=$SYS.stats&token={good}"), "");
    seen += &stream.until(|message| message.op() == "image").text;
    let rows = broker.get(broker.admin, "/v1/connections");
    let sessions: Vec<String> = clients.iter().map(|client| client.hello.str("session")).collect();
    assert!(sessions.iter().all(|session| rows.body.contains(session)), "{rows:?}");
    seen += &format!("{rows:?}");
    for session in &sessions {
        seen += &format!("{:?}", broker.get(broker.admin, &format!("/v1/connections/{session}")));
    }
    seen += &format!("{:?}", ask(broker.admin, "POST /v1/reload", &[JSON], b""));
    seen += &format!("{:?}", ask(broker.admin, "POST /v1/connections/close", &[JSON], br#"{"sub":"u"}"#));
    for client in &mut clients {
        while let Some(frame) = client.next_frame() {
            seen += &String::from_utf8_lossy(&frame.payload);
        }
    }
    while let block @ (Block::Event(_) | Block::Comment(_) | Block::Id) = stream.block() {
        seen += &format!("{block:?}");
    }
    seen += &format!("{:?}", broker.get(broker.admin, "/metrics"));
    // It has written down everything when it has ended by itself.
    broker.end(Signal::TERM);
    let log = read_to_string(path("log")).unwrap();
    assert!(log.len() > 1000, "the log has everything: {log}");
    let audit = read_to_string(path("audit")).unwrap();
    // Header, claims and signature of the tokens, each of which would be half a secret.
    let parts = [&good, &expired].into_iter().flat_map(|token| token.split('.').skip(1));
    for part in parts.chain(["static-marker-token"]) {
        for (what, text) in [("answers", &seen), ("log", &log), ("audit log", &audit)] {
            if let Some(at) = text.find(&part[..part.len().min(20)]) {
                panic!("in the {what}: {}", &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
            }
        }
    }
    for event in ["login_taken", "login_refused", "closed"] {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "there is no {event} in the audit log: {audit}");
    }
}
