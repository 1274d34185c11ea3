//! The admin listener's answers.

use std::net::{IpAddr, SocketAddr};

use broker::access::{AccessRules, Gate, Origin, PagePorts};
use broker::config::{ConfigError, Problem, ReloadError, Reloaded};
use broker::http::{BusyShards, Observe, handle_admin};
use broker::shard::{ConnectionDetail, ConnectionRow, PublisherDetail, Whom};
use broker_identity::TokenDigest;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::json;

struct Broker {
    ready: Result<(), String>,
    clients_at: &'static str,
    silent: Vec<usize>,
    token: Option<&'static str>,
    bad_config: bool,
}

fn ready() -> Broker {
    Broker { ready: Ok(()), clients_at: "127.0.0.1:9000", silent: Vec::new(), token: None, bad_config: false }
}

fn row(session: &str, lag_bytes: u64, lagging_since: Option<u64>) -> ConnectionRow {
    ConnectionRow {
        roles: None,
        session: session.into(),
        remote: "127.0.0.1:5000".into(),
        sub: None,
        connected_ts: 1,
        subscriptions: 2,
        lag_updates: lag_bytes / 100,
        lag_bytes,
        lagging_since,
    }
}

impl Observe for Broker {
    fn ready(&self) -> Result<(), String> {
        self.ready.clone()
    }

    fn clients_at(&self) -> SocketAddr {
        self.clients_at.parse().unwrap()
    }

    fn page_ports(&self) -> PagePorts {
        PagePorts { http: 9000, https: Some(9443) }
    }

    fn metrics(&self) -> String {
        "tickcast_updates_total 3\n".into()
    }

    async fn connections(&self, slowest: usize) -> (Vec<ConnectionRow>, Vec<usize>) {
        assert!(slowest <= 10_000);
        let rows = vec![
            row("fine", 0, None),
            row("worst", 900, Some(7)),
            row("longer", 500, Some(3)),
            row("later", 500, Some(4)),
        ];
        (rows, self.silent.clone())
    }

    fn operators_token(&self) -> Option<TokenDigest> {
        self.token.map(|token| TokenDigest::of(token.as_bytes()))
    }

    fn refused_operator(&self, _remote: IpAddr, path: &str) {
        assert!(path != "/healthz" && path != "/readyz");
    }

    fn session_number(&self, name: &str) -> Option<u64> {
        name.parse().ok()
    }

    async fn connection(&self, session: u64) -> Result<Option<ConnectionDetail>, BusyShards> {
        if !self.silent.is_empty() {
            return Err(BusyShards(self.silent.clone()));
        }
        Ok((session == 7).then(|| ConnectionDetail {
            row: row("7", 0, None),
            subscriptions: vec![json!({"topic":"a","conflate_ms":0,"from":"image"})],
            subscriptions_left_out: 0,
            sent_per_s: 1.5,
            received_per_s: 0.0,
        }))
    }

    async fn close(&self, whom: Whom, named: (&'static str, &str), _: IpAddr) -> Result<u64, BusyShards> {
        match whom {
            Whom::Session(number) => assert_eq!(named, ("session", number.to_string().as_str())),
            Whom::Sub(sub) => assert_eq!(named, ("sub", &*sub)),
            Whom::Addresses(_) => assert_eq!(named.0, "address"),
        }
        Ok(3)
    }

    async fn publishers(&self, topic: &str, count: usize) -> Result<Option<Vec<PublisherDetail>>, BusyShards> {
        assert_eq!(count, 100);
        let address = IpAddr::from([192, 0, 2, 7]);
        let publisher = PublisherDetail { session: None, sub: None, address, last_ts: 5, updates: 2 };
        Ok((topic == "a/b").then(|| vec![publisher]))
    }

    async fn reload(&self, _: IpAddr) -> Result<Reloaded, ReloadError> {
        match self.bad_config {
            true => {
                let problems = ["one", "two"].map(|text| Problem::Sentence(text.into())).to_vec();
                Err(ReloadError::Config(ConfigError { problems }))
            }
            false => Ok(Reloaded { reloaded: vec!["topics"], needs_restart: vec!["listen"] }),
        }
    }
}

async fn ask(line: &str, header: (&str, &str), broker: &Broker) -> (u16, String) {
    send(line, &[header], "", broker).await
}

async fn send(line: &str, headers: &[(&str, &str)], body: &'static str, broker: &Broker) -> (u16, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let origins = vec![Origin::parse("https://desk.example.com").unwrap()];
    let gate = Gate::new(AccessRules { origins, ..AccessRules::default() });
    let mut request = Request::builder().method(method).uri(path).header("Host", "localhost:9001");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    let reply = handle_admin(request, IpAddr::from([127, 0, 0, 1]), &gate, broker).await;
    let status = reply.status().as_u16();
    assert_eq!(reply.headers().get("WWW-Authenticate").is_some(), status == 401);
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn what_operators_ask_and_do() {
    let broker = ready();
    for (line, headers, body, status, part) in [
        (
            "GET /v1/connections/7",
            &[][..],
            "",
            200,
            "\"subscriptions\":[{\"topic\":\"a\",\"conflate_ms\":0,\"from\":\"image\"}]",
        ),
        ("GET /v1/connections/7", &[], "", 200, "\"sent_per_s\":1.5,\"received_per_s\":0.0}"),
        ("GET /v1/connections/8", &[], "", 404, "not_found"),
        ("GET /v1/connections/%37", &[], "", 200, "\"session\":\"7\""),
        ("GET /v1/connections/no-session", &[], "", 404, "not_found"),
        ("POST /v1/connections/7", &[], "", 405, "method_not_allowed"),
        (
            "GET /v1/topics/a%2Fb/publishers",
            &[],
            "",
            200,
            "{\"publishers\":[{\"session\":null,\"sub\":null,\"address\":\"192.0.2.7\",\"last_ts\":5,\"updates\":2}]}",
        ),
        ("GET /v1/topics/a/publishers", &[], "", 404, "not_found"),
        ("GET /v1/topics/a..b/publishers", &[], "", 400, "bad_topic"),
        ("GET /v1/topics/a/b/publishers", &[], "", 404, "%2F"),
        ("POST /v1/connections/close", &[JSON], "{\"session\":\"7\"}", 200, "{\"closed\":3}"),
        ("POST /v1/connections/close", &[JSON], "{\"session\":\"none\"}", 200, "{\"closed\":0}"),
        ("POST /v1/connections/close", &[JSON], "{\"sub\":\"user-42\"}", 200, "{\"closed\":3}"),
        ("POST /v1/connections/close", &[JSON], "{\"address\":\"192.0.2.7\"}", 200, "{\"closed\":3}"),
        ("POST /v1/connections/close", &[JSON], "{\"address\":\"192.0.2.0/24\"}", 200, "{\"closed\":3}"),
        ("POST /v1/connections/close", &[JSON], "{\"address\":\"192.0.2.0/33\"}", 400, "bad_request"),
        ("POST /v1/connections/close", &[JSON], "{\"address\":7}", 400, "bad_request"),
        ("POST /v1/connections/close", &[JSON], "{}", 400, "exactly one"),
        ("POST /v1/connections/close", &[JSON], "{\"sub\":\"a\",\"session\":\"7\"}", 400, "exactly one"),
        ("POST /v1/connections/close", &[JSON], "{\"subject\":\"a\"}", 400, "exactly one"),
        ("POST /v1/connections/close", &[JSON], "[]", 400, "bad_request"),
        ("POST /v1/connections/close", &[JSON], "{", 400, "bad_json"),
        ("POST /v1/connections/close", &[], "{\"session\":\"7\"}", 415, "unsupported_media_type"),
        ("POST /v1/connections/close?all=1", &[JSON], "{\"session\":\"7\"}", 400, "no parameter"),
        ("GET /v1/connections/close", &[], "", 405, "method_not_allowed"),
        ("POST /v1/reload", &[], "", 200, "{\"reloaded\":[\"topics\"],\"needs_restart\":[\"listen\"]}"),
        ("POST /v1/reload", &[JSON], "{}", 200, "reloaded"),
        ("POST /v1/reload", &[JSON], "{\"now\":true}", 400, "bad_request"),
        ("GET /v1/reload", &[], "", 405, "method_not_allowed"),
        // No web page may do this: its browser says who it is.
        ("POST /v1/reload", &[("Origin", "https://evil.example")], "", 403, "forbidden"),
        ("POST /v1/reload", &[("Origin", "https://desk.example.com")], "", 403, "no page of another origin"),
        ("POST /v1/reload", &[("Origin", "null")], "", 403, "forbidden"),
        ("POST /v1/reload", &[("Sec-Fetch-Site", "cross-site")], "", 403, "forbidden"),
        ("POST /v1/reload", &[("Sec-Fetch-Site", "same-site")], "", 403, "forbidden"),
        ("GET /v1/connections/7", &[("Origin", "https://desk.example.com")], "", 200, "\"session\":\"7\""),
    ] {
        let (got, answer) = send(line, headers, body, &broker).await;
        assert!(got == status && answer.contains(part), "{line} {headers:?} {body}: {got} {answer}");
    }
    // But the live page of this very broker: the same host, and the client listener's port, without a proxy between.
    let page = ("Origin", "http://localhost:9000");
    for page in [page, ("Origin", "https://localhost:9443")] {
        assert_eq!(send("POST /v1/reload", &[page], "", &broker).await.0, 200, "{page:?}");
    }
    let ask_first = ("Access-Control-Request-Method", "POST");
    assert_eq!(send("OPTIONS /v1/reload", &[page, ask_first], "", &broker).await.0, 204);
    for origin in [
        "https://localhost:9000",
        "http://localhost:9443",
        "http://127.0.0.1:9000",
        "http://localhost:9002",
        "http://localhost",
    ] {
        for line in ["POST /v1/reload", "OPTIONS /v1/reload", "GET /metrics"] {
            assert_eq!(send(line, &[("Origin", origin), ask_first], "", &broker).await.0, 403, "{line} {origin}");
        }
    }
    let with_token = Broker { token: Some("s3cret"), ..ready() };
    assert_eq!(send("POST /v1/reload", &[page], "", &with_token).await.0, 401);
    assert_eq!(send("OPTIONS /v1/reload", &[page, ask_first], "", &with_token).await.0, 204);
    let refused = Broker { bad_config: true, ..ready() };
    let (status, body) = send("POST /v1/reload", &[], "", &refused).await;
    let error: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (422, &json!("bad_config")));
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("one") && message.contains("two"), "{message}");
    let busy = Broker { silent: vec![1], ..ready() };
    let (status, body) = send("GET /v1/connections/7", &[], "", &busy).await;
    assert!(status == 503 && body.contains("unavailable"), "{status} {body}");
    let large = Box::leak(format!("{{\"sub\":\"{}\"}}", "x".repeat(10_000)).into_boxed_str());
    let (status, body) = send("POST /v1/connections/close", &[JSON], large, &ready()).await;
    assert!(status == 413 && body.contains("too_large"), "{status} {body}");
}

#[tokio::test]
async fn with_a_token_everything_but_health_needs_it() {
    let broker = Broker { token: Some("s3cret"), ..ready() };
    let good = ("Authorization", "Bearer s3cret");
    for (line, open) in [
        ("GET /healthz", true),
        ("GET /readyz", true),
        ("GET /", false),
        ("GET /metrics", false),
        ("GET /v1/connections", false),
        ("GET /v1/connections/7", false),
        ("GET /v1/topics/a%2Fb/publishers", false),
        ("POST /v1/reload", false),
    ] {
        for header in [("Accept", "*/*"), ("Authorization", "Bearer wrong"), ("Authorization", "Basic s3cret")] {
            let (status, body) = ask(line, header, &broker).await;
            assert_eq!(status, if open { 200 } else { 401 }, "{line} {header:?}: {body}");
            assert!(open || body.contains("bad_token") && !body.contains("wrong\""), "{line}: {body}");
        }
        assert_eq!(ask(line, good, &broker).await.0, 200, "{line}");
    }
    // Whether something exists is no business of others.
    for line in ["GET /nothing", "DELETE /metrics", "GET /healthz/", "GET /metrics?x=1", "OPTIONS /v1/reload"] {
        let (without, with) = (ask(line, ("Accept", "*/*"), &broker).await.0, ask(line, good, &broker).await.0);
        assert!(without == 401 && [400, 404, 405].contains(&with), "{line}: {without} {with}");
    }
    // The token does not make a page of another origin an operator.
    let page = [good, ("Origin", "https://desk.example.com")];
    assert_eq!(send("POST /v1/reload", &page, "", &broker).await.0, 403);
}

#[tokio::test]
async fn paths_methods_and_parameters() {
    let broker = ready();
    let none = ("Accept", "*/*");
    for (line, header, status, part) in [
        ("GET /healthz", none, 200, "ok"),
        ("GET /readyz", none, 200, "ready"),
        ("GET /metrics", none, 200, "tickcast_updates_total 3\n"),
        ("HEAD /metrics", none, 200, ""),
        ("POST /metrics", none, 405, "method_not_allowed"),
        ("GET /metrics?x=1", none, 400, "no parameter"),
        ("GET /v1/connections?slowest=0", none, 200, "{\"connections\":[]}"),
        ("GET /v1/connections?slowest=10001", none, 400, "from 0 to 10000"),
        ("GET /v1/topics", none, 404, "not_found"),
        ("GET /metrics", ("Origin", "http://evil.example"), 403, "forbidden"),
        ("GET /metrics", ("Origin", "http://localhost:9001"), 200, "tickcast"),
        ("GET /metrics", ("Sec-Fetch-Site", "cross-site"), 403, "forbidden"),
    ] {
        let (got, body) = ask(line, header, &broker).await;
        assert!(got == status && body.contains(part), "{line} {header:?}: {got} {body}");
    }
    let draining = Broker { ready: Err("the broker is shutting down".into()), ..ready() };
    let (status, body) = ask("GET /readyz", none, &draining).await;
    assert!(status == 503 && body.contains("shutting down"), "{status} {body}");
    assert_eq!(ask("GET /healthz", none, &draining).await.0, 200);
}

#[tokio::test]
async fn the_slowest_come_first() {
    let (_, body) = ask("GET /v1/connections?slowest=3", ("Accept", "*/*"), &ready()).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let sessions: Vec<_> =
        body["connections"].as_array().unwrap().iter().map(|row| row["session"].as_str().unwrap()).collect();
    assert_eq!(sessions, ["worst", "longer", "later"]);
    let expected = json!({
        "session": "worst", "remote": "127.0.0.1:5000", "connected_ts": 1, "subscriptions": 2,
        "lag_updates": 9, "lag_bytes": 900, "lagging_since": 7
    });
    assert_eq!(body["connections"][0], expected);
}

#[tokio::test]
async fn shards_that_are_too_busy_to_report_are_named() {
    let busy = Broker { silent: vec![1, 3], ..ready() };
    let (status, body) = ask("GET /v1/connections", ("Accept", "*/*"), &busy).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["busy_shards"]), (200, &json!([1, 3])));
    assert_eq!(body["connections"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_root_says_where_the_live_page_is() {
    for (clients_at, expected) in [
        ("127.0.0.1:9000", "The live page is at http://127.0.0.1:9000/\n"),
        ("[::1]:9000", "The live page is at http://[::1]:9000/\n"),
        ("0.0.0.0:9000", "The live page is at port 9000 of this host\n"),
    ] {
        let broker = Broker { clients_at, ..ready() };
        let (status, body) = ask("GET /", ("Sec-Fetch-Site", "none"), &broker).await;
        assert_eq!((status, body.contains(expected)), (200, true), "{body}");
    }
}
