//! What a reload changes of tokens and quotas, setting by setting.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::configured::Configured;
use crate::common::{CLOSE, Client, End, FIN, HANDSHAKE, Hands, ask, until};

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const ROLE: &str = "[[roles]]\nname = \"reader\"\nsub = [\"a\"]\n";

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET).unwrap()).unwrap()
}

/// Claims of a client that may subscribe to the topic `a`, with these changes.
fn claims(changes: Value) -> Value {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "sub": "anna", "aud": "tickcast", "iat": now_s, "exp": now_s + 3600, "tickcast": {"roles": ["reader"]},
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// A broker whose file begins with these lines, and whose clients need tokens.
fn broker() -> (Configured, String) {
    let broker = Configured::start("drain_ms = 0\n");
    broker.publish("a", "1");
    std::fs::write(broker.path("secret"), SECRET).unwrap();
    let file = format!("drain_ms = 0\ntoken_secret_file = {:?}\n", broker.path("secret"));
    assert_eq!(broker.reload(&format!("{file}{ROLE}")), [""; 0]);
    (broker, file)
}

fn status(broker: &Configured, token: &str) -> u16 {
    let bearer = format!("Authorization: Bearer {token}");
    ask(broker.process.listen, "GET /v1/topics/a/history", &[&bearer], b"").status
}

#[test]
fn what_tokens_have_to_be() {
    let (broker, file) = broker();
    let now_s = claims(json!({}))["iat"].as_u64().unwrap();
    let with = |changes| signed(&claims(changes));
    std::fs::write(broker.path("revoked"), "sub:anna before:9999999999\n").unwrap();
    std::fs::write(broker.path("other"), b"another secret of more than thirty-two bytes").unwrap();
    let revoked = format!("token_revoked_file = {:?}", broker.path("revoked"));
    let plain = with(json!({}));
    let late = with(json!({"exp": now_s - 10}));
    let by_groups = with(json!({"tickcast": {}, "groups": ["reader"]}));
    for (line, token, before, after) in [
        ("token_audience = \"other\"", &plain, 200, 401),
        ("token_issuer = \"someone\"", &plain, 200, 401),
        ("token_claim = \"other\"", &plain, 200, 403),
        ("token_roles_claim = \"groups\"", &by_groups, 403, 200),
        ("token_leeway_ms = 0", &late, 200, 401),
        ("token_lifetime_max_ms = 60000", &plain, 200, 401),
        ("token_bytes_max = 64", &plain, 200, 401),
        (&revoked, &plain, 200, 401),
        ("token_algorithms = [\"HS256\", \"ES256\"]", &plain, 200, 200),
    ] {
        assert_eq!(status(&broker, token), before, "{line}");
        assert_eq!(broker.reload(&format!("{file}{line}\n{ROLE}")), [""; 0]);
        assert_eq!(status(&broker, token), after, "{line}");
        assert_eq!(broker.reload(&format!("{file}{ROLE}")), [""; 0]);
        assert_eq!(status(&broker, token), before, "{line}");
    }
    let other = file.replace("/secret\"", "/other\"");
    assert_ne!(other, file);
    broker.reload(&format!("{other}{ROLE}"));
    assert_eq!(status(&broker, &plain), 401);
    // Clients that have come in already are judged anew.
    let bearer = format!("Authorization: Bearer {plain}");
    for changed in [other, format!("{file}token_audience = \"other\"\n"), format!("{file}{revoked}\n")] {
        broker.reload(&format!("{file}{ROLE}"));
        let mut client = Client::with(broker.process.listen, Hands::default(), &[&bearer], b"");
        client.expect("authenticated");
        broker.reload(&format!("{changed}{ROLE}"));
        assert_eq!(client.end(), End::Close(Some(4001)), "{changed}");
    }
    broker.reload(&format!("{file}{}", ROLE.replace("\"a\"]", "\"b\"]")));
    assert_eq!(status(&broker, &plain), 403);
}

#[test]
fn a_wrong_line_of_revocations_is_skipped_when_the_file_changes_and_refused_by_a_reload() {
    let mut broker = Configured::start("drain_ms = 0\ntls_reload_ms = 20\n");
    broker.publish("a", "1");
    let path = broker.path("revoked");
    std::fs::write(&path, "").unwrap();
    std::fs::write(broker.path("secret"), SECRET).unwrap();
    let file = format!("token_secret_file = {:?}\ntoken_revoked_file = {path:?}\n", broker.path("secret"));
    let file = format!("drain_ms = 0\ntls_reload_ms = 20\n{file}{ROLE}");
    broker.reload(&file);
    let plain = signed(&claims(json!({})));
    assert_eq!(status(&broker, &plain), 200);
    std::fs::write(broker.path("new"), "nonsense\nsub:anna before:9999999999\n").unwrap();
    std::fs::rename(broker.path("new"), &path).unwrap();
    broker.process.until_logged("line 1 is no entry: it begins neither with jti: nor with sub:; it is skipped");
    until("the other line to count", || status(&broker, &plain) == 401);
    broker.write(&file.replace("[\"a\"]", "[\"b\"]"));
    let answer = broker.post_reload();
    assert_eq!((answer.status, answer.code()), (422, "bad_config".to_owned()), "{answer:?}");
    assert!(answer.body.contains("line 1 is no entry") && !answer.body.contains("skipped"), "{answer:?}");
    std::fs::write(&path, "").unwrap();
    until("nothing to be revoked", || status(&broker, &plain) != 401);
    assert_eq!(status(&broker, &plain), 200, "the role is as before");
}

#[test]
fn who_has_to_show_one_and_when() {
    let (broker, file) = broker();
    let mut client = Client::with(broker.process.listen, Hands::default(), &[], b"");
    // A connection that came when it had longer ends at the time that was said then, and others at the new one.
    broker.reload(&format!("{file}auth_ms = 100\n{ROLE}"));
    let mut later = Client::with(broker.process.listen, Hands::default(), &[], b"");
    assert_eq!(later.end(), End::Close(Some(4001)));
    client.request(&json!({"op": "auth", "id": 1, "token": signed(&claims(json!({})))}).to_string());
    assert_eq!(client.subscribe(&["a"])["errors"], json!([]));
    // Without keys nobody is asked any more.
    broker.reload("drain_ms = 0\n");
    assert_eq!(broker.http("POST /v1/topics/b", "1").status, 200);
}

#[test]
fn who_came_with_a_token_has_what_everybody_has_once_nobody_is_asked() {
    // Behind a proxy, nobody reads the broker's own topics unless permissions say so.
    let broker = Configured::start("drain_ms = 0\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let all = "drain_ms = 0\ntrusted_proxies = [\"127.0.0.1\"]\nauth_ms = 500\n";
    ["a.b", "a.secret"].iter().for_each(|topic| broker.publish(topic, "1"));
    std::fs::write(broker.path("secret"), SECRET).unwrap();
    let role = "[[roles]]\nname = \"reader\"\nsub = [\"a.>\", \"$SYS.>\"]\ndeny = [\"a.secret\"]\nrequests_per_s = 1\n";
    broker.reload(&format!("{all}token_secret_file = {:?}\n{role}", broker.path("secret")));

    let bearer = format!("Authorization: Bearer {}", signed(&claims(json!({}))));
    let forwarded = "X-Forwarded-For: 203.0.113.7";
    let mut anna = Client::with(broker.process.listen, Hands::default(), &[&bearer, forwarded], b"");
    anna.expect("authenticated");
    assert_eq!(anna.subscribe(&["a.>", "$SYS.stats"])["errors"], json!([]));
    anna.skip_to(json!({"op": "image", "topic": "$SYS.stats"}));
    let mut silent = Client::with(broker.process.listen, Hands::default(), &[forwarded], b"");
    let since = Instant::now();

    broker.reload(all);
    // The topic goes on every second, so that a subscription that does not end is noticed.
    let ended = (0..10).map(|_| anna.message()).find(|message| message.op() == "error").expect("no end of $SYS.stats");
    assert!(ended.has(&json!({"topic": "$SYS.stats", "code": "forbidden"})), "{ended:?}");
    anna.expect_has(json!({"op": "topic", "topic": "a.secret"}));
    broker.publish("a.secret", "2");
    anna.skip_to(json!({"op": "update", "topic": "a.secret", "data": 2}));
    for _ in 0..20 {
        assert_eq!(anna.request(r#"{"op":"list","id":1}"#).op(), "subscriptions");
    }
    let shown = broker.admin(&format!("/v1/connections/{}", anna.hello.str("session"))).json();
    assert_eq!(shown["sub"], json!(null), "{shown}");
    // Nothing of the broker's own topics has come by, and who had to show a token in time need not any more.
    until("the time for a token to be over", || since.elapsed() > Duration::from_millis(700));
    silent.say(r#"{"op":"ping","id":2}"#);
    silent.expect("pong");
    assert_eq!(silent.subscribe(&["a.>"])["errors"], json!([]));

    // Once tokens are asked for again, everybody has to authenticate anew, also who has shown a token before.
    broker.reload(&format!("{all}token_secret_file = {:?}\n{role}", broker.path("secret")));
    for mut client in [anna, silent] {
        client.skip_to(json!({"op": "error", "pattern": "a.>", "code": "forbidden"}));
        assert_eq!(client.end(), End::Close(Some(4001)));
    }
}

#[test]
fn quotas() {
    let broker = Configured::start("drain_ms = 0\n");
    // The number of listings, subscriptions and updates, out of six, that are refused on a new connection.
    let refused = || {
        let mut client = broker.process.client();
        let mut ask = |text: &str| {
            let codes = (0..6).map(|_| client.request(text));
            codes.filter(|answer| answer.text.contains("rate_limited")).count()
        };
        let listings = ask(r#"{"op":"list","id":1}"#);
        let subscribes = ask(r#"{"op":"subscribe","id":1,"topics":["a"]}"#);
        (listings, subscribes, ask(r#"{"op":"publish","id":1,"topic":"b","data":1}"#))
    };
    assert_eq!(refused(), (0, 0, 0));
    for (line, kinds) in [
        ("requests_per_s = 1", (true, true, true)),
        ("subscribes_per_s = 1", (false, true, false)),
        ("publishes_per_s = 1", (false, false, true)),
        ("publish_bytes_per_s = 1", (false, false, true)),
    ] {
        broker.reload(&format!("drain_ms = 0\n{line}\n"));
        let (listings, subscribes, publishes) = refused();
        assert_eq!((listings > 0, subscribes > 0, publishes > 0), kinds, "{line}");
        broker.reload(&format!("drain_ms = 0\nquota_dry_run = true\n{line}\n"));
        assert_eq!(refused(), (0, 0, 0), "{line}");
    }
    // The number of connections, out of fifteen, that are refused: before the upgrade, or with a close frame in place of
    // `hello`.
    let connects = || {
        let handshake = format!("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
        let open = |_| {
            let mut stream = TcpStream::connect(broker.process.listen).unwrap();
            stream.write_all(handshake.as_bytes()).unwrap();
            BufReader::new(stream)
        };
        let is_refused = |stream: &mut BufReader<TcpStream>| {
            let mut status = String::new();
            stream.read_line(&mut status).unwrap();
            if status.contains(" 429 ") {
                return true;
            }
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                assert!(stream.read_line(&mut line).unwrap() > 0, "{status}");
            }
            let mut first = [0];
            stream.read_exact(&mut first).unwrap();
            first == [FIN | CLOSE]
        };
        let mut streams: Vec<_> = (0..15).map(open).collect();
        streams.iter_mut().map(is_refused).filter(|is_refused| *is_refused).count()
    };
    for (line, taken) in [("connections_per_address_max = 2", 2), ("connects_per_address_per_s = 1", 10)] {
        broker.reload("drain_ms = 0\n");
        assert_eq!(connects(), 0, "{line}");
        until("them to be gone", || broker.process.metric("tickcast_connections") == 0.0);
        broker.reload(&format!("drain_ms = 0\n{line}\n"));
        let refused = connects();
        assert!(refused > 0 && refused <= 15 - taken, "{line}: {refused}");
    }
}

#[test]
fn connections_of_one_user() {
    let (broker, file) = broker();
    let token = signed(&claims(json!({})));
    let bearer = format!("Authorization: Bearer {token}");
    let one = || Client::with(broker.process.listen, Hands::default(), &[&bearer], b"");
    let mut open: Vec<Client> = (0..2).map(|_| one()).collect();
    broker.reload(&format!("{file}connections_per_user_max = 1\n{ROLE}"));
    let (mut refused, _) = Client::shake_hands(broker.process.listen, Hands::default(), &[&bearer], b"");
    assert_eq!(refused.end(), End::Close(Some(4029)));
    // Those that are open stay open.
    for client in &mut open {
        client.say(r#"{"op":"ping"}"#);
        client.skip_to(json!({"op": "pong"}));
    }
}

#[test]
fn who_came_is_written_down_and_can_be_closed_by_name() {
    let (broker, file) = broker();
    let path = broker.path("audit.jsonl");
    broker.reload(&format!("{file}audit_log = {path:?}\n{ROLE}"));
    let (good, wrong) = (signed(&claims(json!({}))), signed(&claims(json!({"aud": "other"}))));
    let bearer = format!("Authorization: Bearer {good}");
    let mut anna = Client::with(broker.process.listen, Hands::default(), &[&bearer], b"");
    let session = anna.hello.str("session");
    assert_eq!(anna.message().op(), "authenticated");
    let mut other = Client::with(broker.process.listen, Hands::default(), &[], b"");
    let refused = other.request(&json!({"op": "auth", "id": 1, "token": wrong}).to_string());
    assert_eq!(refused["code"], "bad_token");
    assert_eq!(status(&broker, &wrong), 401);
    let shown = broker.admin(&format!("/v1/connections/{session}")).json();
    assert_eq!(shown["sub"], "anna", "{shown}");
    let closed =
        |sub: &str| broker.post("/v1/connections/close", &json!({"sub": sub}).to_string()).json()["closed"].clone();
    assert_eq!(closed("berta"), 0);
    assert_eq!(closed("anna"), 1);
    assert_eq!(anna.end(), End::Close(Some(4001)));
    let lines = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let of = |event: &str| lines().into_iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    until("both refusals", || of("login_refused").len() == 2);
    let (taken, refused) = (of("login_taken"), of("login_refused"));
    assert_eq!((taken.len(), &taken[0]["sub"], &taken[0]["session"]), (1, &json!("anna"), &json!(session)));
    let expires_ts = claims(json!({}))["exp"].as_u64().unwrap() * 1_000_000;
    assert!(taken[0]["expires_ts"].as_u64().unwrap().abs_diff(expires_ts) < 120_000_000, "{taken:?}");
    assert!(refused.iter().all(|line| line["reason"].as_str().unwrap().contains("aud")), "{refused:?}");
    assert_eq!(refused.iter().filter(|line| line["session"].is_null()).count(), 1, "{refused:?}");
    let text = format!("{:?}", lines());
    assert!(!text.contains(&good) && !text.contains(&wrong), "{text}");
}
