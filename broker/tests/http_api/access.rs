//! Who may connect, with real requests. The table of all cases is in the unit tests of `access`.

use std::sync::Arc;

use broker::quota::AddressQuotas;
use broker_engine::Rates;

use super::server::{Answer, start, start_for};

#[tokio::test]
async fn foreign_pages_are_refused_before_anything_is_done() {
    let server = start().await;
    let own = format!("Origin: http://{}", server.address);
    let cases: &[(&[&str], u16)] = &[
        (&[], 200),
        (&["Host: localhost"], 200),
        (&["Host: feed.example.com", "Origin: https://feed.example.com"], 200),
        (&[&own], 200),
        (&["Origin: https://desk.example.com"], 200),
        (&["Sec-Fetch-Site: same-origin"], 200),
        (&["Origin: null"], 403),
        (&["Origin: http://evil.example"], 403),
        (&["Host: evil.example"], 403),
        (&["Sec-Fetch-Site: cross-site"], 403),
    ];
    for (headers, status) in cases {
        let mut headers = headers.to_vec();
        headers.push("Content-Type: application/json");
        let answer = server.ask("POST /v1/topics/a", &headers, b"1").await;
        assert_eq!(answer.status, *status, "{headers:?}: {answer:?}");
        // Whatever the request: the answer does not show what exists.
        let upgrade = if *status == 403 { 403 } else { 426 };
        assert_eq!(server.ask("GET /v1/ws", &headers, b"").await.status, upgrade, "{headers:?}");
        let nothing = if *status == 403 { 403 } else { 404 };
        assert_eq!(server.ask("GET /nothing", &headers, b"").await.status, nothing, "{headers:?}");
    }
    let published = server.get("/v1/topics/a/history").await.json()["seq"].as_u64();
    assert_eq!(published, Some(6), "what was refused was not published");
}

#[tokio::test]
async fn http_1_1_needs_exactly_one_host() {
    let server = start().await;
    for (request, status) in [
        ("GET /v1/topics HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1/topics HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET /v1/topics HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET /v1/topics HTTP/1.0\r\n\r\n", 200),
        ("GET /v1/topics HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        ("GET /v1/topics HTTP/1.0\r\nHost: evil.example\r\n\r\n", 403),
        ("GET /v1/topics HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n", 403),
    ] {
        let answer = server.raw(request.as_bytes()).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        if status == 400 {
            assert_eq!(answer.code(), "bad_request");
        }
    }
    let denied: Vec<u64> = server.context.access.denied().map(|(_, count)| count).collect();
    assert_eq!(denied, [1, 1, 0, 0], "by host, origin, site and proxy");
}

#[tokio::test]
async fn an_allowed_page_may_read_the_answers() {
    let server = start().await;
    let origin = "Origin: https://desk.example.com";
    for (line, status) in [("GET /v1/topics", 200), ("GET /v1/topics/none", 404)] {
        let answer = server.ask(line, &[origin], b"").await;
        let allowed = (answer.status, answer.header("access-control-allow-origin"), answer.header("vary"));
        assert_eq!(allowed, (status, Some("https://desk.example.com"), Some("Origin")), "{line}");
    }
    assert_eq!(server.get("/v1/topics").await.header("access-control-allow-origin"), None);

    let preflight = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"];
    let asked = server.ask("OPTIONS /v1/topics/a", &[origin, preflight[0], preflight[1]], b"").await;
    let allowed = asked.header("access-control-allow-headers").unwrap_or_default();
    let allowed: Vec<&str> = allowed.split(", ").collect();
    assert_eq!(asked.status, 204);
    // For publishing, resuming a stream by `fetch`, tokens, and for clients of streams that forbid caches.
    for field in ["content-type", "last-event-id", "authorization", "cache-control"] {
        assert!(allowed.contains(&field), "{asked:?}");
    }
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://desk.example.com"));
    let evil = server.ask("OPTIONS /v1/topics/a", &["Origin: https://evil.example", preflight[0]], b"").await;
    assert_eq!((evil.status, evil.header("access-control-allow-origin")), (403, None));
}

#[tokio::test]
async fn an_allowed_page_sees_how_long_to_wait() {
    // One connect a second, and ten at once.
    let quotas = Arc::new(AddressQuotas::new(1, Rates::default(), Arc::default()));
    let server = start_for("192.0.2.1", |context| context.quotas = quotas).await;
    let origin = "Origin: https://desk.example.com";
    let shown = |answer: &Answer| {
        let fields = answer.header("access-control-expose-headers").unwrap_or_default();
        fields.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut asked = 0;
    let refused = loop {
        let answer = server.ask("GET /v1/sse?topic=a", &[origin], b"").await;
        if answer.status == 429 {
            break answer;
        }
        asked += 1;
        assert!(answer.status == 200 && asked < 1000, "{answer:?}");
    };
    assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
    assert!(shown(&refused).iter().any(|field| field == "retry-after"), "{refused:?}");
    // Answers to others do not name what pages of other origins see.
    for headers in [&[][..], &["Origin: https://evil.example"]] {
        let answer = server.ask("GET /v1/sse?topic=a", headers, b"").await;
        assert_eq!(answer.header("access-control-expose-headers"), None, "{headers:?}: {answer:?}");
    }
}
