//! Wrong requests, and clients that do the unexpected.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::common::{PATIENCE, Running, ask, until};
use crate::source::Source;

const FORM: &[&str] = &["Content-Type: application/x-www-form-urlencoded"];

#[test]
fn errors_say_what_is_wrong() {
    let broker = Running::with(&[("subscriptions", "3")]);
    let cases: &[(&str, &[&str], u16, &str, &str)] = &[
        ("GET /v1/sse", &[], 400, "bad_request", "the parameter topic is missing"),
        ("GET /v1/sse?topic=", &[], 400, "bad_topic", ""),
        ("GET /v1/sse?topic=a..b", &[], 400, "bad_topic", "segment 2 of \"a..b\" is empty"),
        ("GET /v1/sse?topic=ok&topic=a.%3E.b", &[], 400, "bad_pattern", ""),
        ("GET /v1/sse?topic=a&topics=b", &[], 400, "bad_request", "there is no parameter \"topics\""),
        ("GET /v1/sse?topic=a&conflate_ms=-5", &[], 400, "bad_request", "conflate_ms"),
        ("GET /v1/sse?topic=a&conflate_ms=5&conflate_ms=6", &[], 400, "bad_request", "is given twice"),
        ("GET /v1/sse?topic=a&resume=abc", &[], 400, "bad_request", "resume"),
        ("GET /v1/sse?topic=a", &["Last-Event-ID: now"], 400, "bad_request", "Last-Event-ID"),
        ("GET /v1/sse?topic=a&topic=b&topic=c&topic=d", &[], 429, "limit", "subscriptions"),
        ("GET /v1/sse?topic=a", &["Origin: http://elsewhere.example"], 403, "forbidden", ""),
        ("GET /v1/sse?topic=a&on_slow=wait", &[], 400, "bad_request", "conflate, retain or disconnect"),
        ("GET /v1/sse?topic=a&ready=1", &[], 400, "bad_request", "true or false"),
        ("GET /v1/sse?topic=a&lastEventId=now", &[], 400, "bad_request", "Last-Event-ID"),
        ("GET /v1/sse?topic=a&lastEventId=1&resume=x", &[], 400, "bad_request", "resume"),
        ("PUT /v1/sse?topic=a", &[], 405, "method_not_allowed", ""),
        ("POST /v1/sse?topic=a", FORM, 400, "bad_request", "there is no parameter \"topic\": this request takes none"),
        ("POST /v1/sse", FORM, 400, "bad_request", "the parameter topic is missing"),
        ("POST /v1/sse", &[], 415, "unsupported_media_type", "application/x-www-form-urlencoded"),
        ("GET /v1/sse/x?topic=a", &[], 404, "not_found", ""),
    ];
    for (line, headers, status, code, part) in cases {
        let answer = ask(broker.listen, line, headers, b"");
        assert_eq!((answer.status, answer.code().as_str()), (*status, *code), "{line}: {answer:?}");
        assert!(answer.body.contains(&part.replace('"', "\\\"")), "{line}: {answer:?}");
    }
    broker.assert_settles();
}

#[test]
fn a_form_is_bounded_and_checked_like_a_url() {
    let broker = Running::with(&[("subscriptions", "3")]);
    let longest = "topic=%61&".repeat(50_000);
    let cases: &[(&[u8], u16, &str)] = &[
        (b"topic=a&topic=b..c", 400, "segment 2"),
        (b"topic=a&topic=b&topic=c&topic=d", 429, "subscriptions"),
        (b"topic=a&topics=b", 400, "there is no parameter"),
        (b"topic=\xff", 400, "not UTF-8"),
        (longest.as_bytes(), 413, "subscriptions"),
    ];
    for (body, status, part) in cases {
        let answer = ask(broker.listen, "POST /v1/sse", FORM, body);
        assert_eq!(answer.status, *status, "{answer:?}");
        assert!(answer.body.contains(part), "{answer:?}");
    }
    broker.assert_settles();
}

#[test]
fn streams_count_against_connections_max() {
    let broker = Running::with(&[("connections_max", "1")]);
    let source = Source::open(broker.listen, "topic=a", "");
    let answer = ask(broker.listen, "GET /v1/sse?topic=a", &[], b"");
    assert_eq!((answer.status, answer.code().as_str()), (429, "limit"), "{answer:?}");
    drop(source);
    broker.until_metric("tickcast_admitted", |count| count == 0.0);
    drop(Source::open(broker.listen, "topic=a", ""));
}

#[test]
fn input_after_the_request_is_ignored() {
    let broker = Running::start();
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /v1/sse?topic=a HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    stream.write_all(request.as_bytes()).unwrap();
    for _ in 0..100 {
        stream.write_all(&[0x81; 10_000]).unwrap();
    }
    // The image or the update, whichever comes first.
    broker.publish("a", "state", "42");
    let (mut received, mut buffer) = (String::new(), [0; 4096]);
    while !received.contains("\"data\":42}\n\n") {
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "{received}");
        received.push_str(str::from_utf8(&buffer[..len]).unwrap());
    }
    drop(stream);
    broker.assert_settles();
}

#[test]
fn other_requests_may_come_before_on_the_same_connection() {
    let broker = Running::start();
    broker.publish("s", "state", "7");
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let get = |path: &str, version: &str| format!("GET {path} HTTP/{version}\r\nHost: {}\r\n\r\n", broker.listen);
    // Both at once: the second is answered after the first.
    let both = format!("{}{}", get("/v1/topics/s", "1.1"), get("/v1/sse?topic=s", "1.1"));
    stream.write_all(both.as_bytes()).unwrap();
    let (mut received, mut buffer) = (String::new(), [0; 4096]);
    while received.matches("\"op\":\"image\"").count() < 2 {
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "{received}");
        received.push_str(str::from_utf8(&buffer[..len]).unwrap());
    }
    let (first, second) = received.split_once("text/event-stream").unwrap();
    assert!(first.contains("content-length: ") && first.contains("\"op\":\"image\""), "{received}");
    assert!(!second.contains("content-length"), "{received}");
    drop(stream);
    broker.assert_settles();
}

#[test]
fn a_client_may_half_close_and_read() {
    let broker = Running::start();
    broker.publish("half", "state", "1");
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(broker.listen).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET /v1/sse?topic=half HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        streams.push((stream, String::new()));
    }
    for data in ["1", "2", "3"] {
        broker.publish("half", "state", data);
        for (stream, received) in &mut streams {
            let mut buffer = [0; 4096];
            while !received.contains(&format!("\"data\":{data}}}\n\n")) {
                let len = stream.read(&mut buffer).unwrap();
                assert!(len > 0, "{received}");
                received.push_str(str::from_utf8(&buffer[..len]).unwrap());
            }
        }
    }
    // Closing the connection altogether looks the same: the next event finds it out.
    drop(streams);
    until("them to be gone", || {
        broker.publish("half", "state", "4");
        broker.metric("tickcast_sse_connections") == 0.0
    });
    broker.assert_settles();
}

#[test]
fn a_client_that_hangs_up_is_gone_at_once() {
    let broker = Running::start();
    drop((Source::open(broker.listen, "topic=a", ""), Source::open(broker.listen, "topic=a", "")));
    let begin = std::time::Instant::now();
    broker.until_metric("tickcast_sse_connections", |count| count == 0.0);
    // Not only with the next heartbeat.
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
    broker.assert_settles();
}

#[test]
fn head_is_the_head_of_what_get_would_answer() {
    let broker = Running::start();
    let answer = ask(broker.listen, "HEAD /v1/sse?topic=a", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{answer:?}");
    assert_eq!(answer.body, "");
    assert_eq!(ask(broker.listen, "HEAD /v1/sse?topic=a..b", &[], b"").status, 400);
    assert_eq!(broker.metric("tickcast_opened_total"), 0.0);
    broker.assert_settles();
}
