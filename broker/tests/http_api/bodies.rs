//! Bodies: their types, sizes and pace.

use std::time::Duration;

use broker::http::BodyBudget;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::server::{MESSAGE_BYTES, NDJSON_BYTES_MAX, read_answer, start, start_for};

#[tokio::test]
async fn a_form_cannot_publish() {
    let server = start().await;
    let cases = [
        ("/v1/topics/a", "application/json", 200),
        ("/v1/topics/a", "application/json; charset=utf-8", 200),
        ("/v1/topics/a", "application/x-ndjson", 415),
        ("/v1/topics/a", "text/plain", 415),
        ("/v1/topics/a", "application/x-www-form-urlencoded", 415),
        ("/v1/topics/a", "multipart/form-data; boundary=x", 415),
        ("/v1/topics/a", "", 415),
        ("/v1/publish", "application/x-ndjson", 200),
        ("/v1/publish", "application/json", 200),
        ("/v1/publish", "text/plain", 415),
    ];
    for (path, content_type, status) in cases {
        let header = format!("Content-Type: {content_type}");
        let headers: &[&str] = if content_type.is_empty() { &[] } else { &[&header] };
        let answer = server.ask(&format!("POST {path}"), headers, b"{\"topic\":\"b\",\"data\":1}").await;
        assert_eq!(answer.status, status, "{path} {content_type}: {answer:?}");
        if status == 415 {
            assert_eq!(answer.code(), "unsupported_media_type");
        }
    }
    for (coding, status) in [("gzip", 415), ("identity", 200), ("Identity", 200)] {
        let headers = ["Content-Type: application/json", &format!("Content-Encoding: {coding}")];
        assert_eq!(server.ask("POST /v1/topics/a", &headers, b"1").await.status, status, "{coding}");
    }
}

#[tokio::test]
async fn a_body_over_its_bound_is_413() {
    let server = start().await;
    let fits = format!("\"{}\"", "x".repeat(MESSAGE_BYTES as usize - 2));
    assert_eq!(server.post("/v1/topics/a", &fits).await.status, 200);
    for excess in [1, 100_000] {
        let body = format!("{fits}{}", " ".repeat(excess));
        let answer = server.post("/v1/topics/a", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"), "{excess}");
        let body = " ".repeat(NDJSON_BYTES_MAX as usize + excess);
        let answer = server.post("/v1/publish", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"), "{excess}");
    }
    assert_eq!(server.context.bodies.bytes(), 0);
}

#[tokio::test]
async fn an_announced_body_of_gigabytes_is_refused_before_it_comes() {
    let server = start().await;
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n",
        server.address
    );
    let answer = server.raw(head.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn a_body_in_chunks_is_bounded_as_well() {
    let server = start().await;
    let head = format!(
        "POST /v1/topics/a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    let good = format!("{head}2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n");
    assert_eq!(server.raw(good.as_bytes()).await.json()["seq"], json!(1));
    let chunk = format!("64\r\n{}\r\n", " ".repeat(100));
    let long = format!("{head}{}0\r\n\r\n", chunk.repeat(11));
    assert_eq!(server.raw(long.as_bytes()).await.status, 413);
    let cut = format!("{head}zz\r\n");
    assert_eq!(server.raw(cut.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_times_out() {
    let server = start_for("127.0.0.1", |context| context.body_silence_ms = 50.into()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/topics/a HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n123",
        server.address
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let answer = read_answer(&mut socket).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "timeout"), "{answer:?}");
    assert_eq!((answer.header("connection"), answer.header("retry-after")), (Some("close"), Some("1")));
    assert_eq!(server.context.bodies.bytes(), 0);
}

/// Begins an NDJSON body of 9,000 bytes and sends all but the last of them.
async fn hold_back(server: &super::server::Server) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n",
        server.address
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(" ".repeat(8_999).as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn a_few_large_bodies_do_not_keep_out_a_small_one() {
    let server = start_for("192.0.2.1", |context| context.bodies = BodyBudget::new(50_000)).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(hold_back(&server).await);
    }
    while server.context.bodies.bytes() < 45_000 {
        tokio::task::yield_now().await;
    }
    // There is room for small bodies, and for others that are not small.
    for _ in 0..3 {
        assert_eq!(server.post("/v1/topics/a", &format!("\"{}\"", "x".repeat(900))).await.status, 200);
    }
    let body = format!("{{\"topic\":\"b\",\"data\":\"{}\"}}", "x".repeat(700)) + "\n" + &" ".repeat(6_000);
    assert_eq!(server.post("/v1/publish", &body).await.json()["accepted"], 1);
    // One of the held bodies was given up, and its sender gets the reason.
    let mut paid = 0;
    for mut socket in held {
        if server.context.bodies.given_up() == paid {
            break;
        }
        let mut byte = [0];
        if tokio::time::timeout(Duration::from_millis(50), socket.peek(&mut byte)).await.is_ok() {
            let answer = read_answer(&mut socket).await;
            assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
            assert_eq!(answer.header("retry-after"), Some("1"));
            paid += 1;
        }
    }
    assert_eq!((paid, server.context.bodies.given_up()), (1, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_leaves_nothing() {
    let server = start().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/topics/a HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n123",
        server.address
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    while server.context.bodies.bytes() == 0 {
        tokio::task::yield_now().await;
    }
    drop(socket);
    while server.context.bodies.bytes() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.get("/v1/topics/a").await.status, 404);
}
