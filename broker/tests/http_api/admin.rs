//! The admin listener's answers.

use std::net::{IpAddr, SocketAddr};

use broker::access::{AccessRules, Gate};
use broker::http::{Observe, handle_admin};
use broker::shard::ConnectionRow;
use http_body_util::BodyExt;
use hyper::Request;
use serde_json::json;

struct Broker {
    ready: Result<(), String>,
    clients_at: &'static str,
    silent: Vec<usize>,
}

fn ready() -> Broker {
    Broker { ready: Ok(()), clients_at: "127.0.0.1:9000", silent: Vec::new() }
}

fn row(session: &str, lag_bytes: u64, lagging_since: Option<u64>) -> ConnectionRow {
    ConnectionRow {
        sub: None,
        roles: None,
        session: session.into(),
        remote: "127.0.0.1:5000".into(),
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
}

async fn ask(line: &str, header: (&str, &str), broker: &Broker) -> (u16, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let gate = Gate::new(AccessRules::default());
    let request =
        Request::builder().method(method).uri(path).header("Host", "localhost:9001").header(header.0, header.1);
    let reply = handle_admin(request.body(()).unwrap(), IpAddr::from([127, 0, 0, 1]), &gate, broker).await;
    let status = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
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
