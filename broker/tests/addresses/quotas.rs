//! The quotas of addresses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use super::common::{Answer, HANDSHAKE, PATIENCE, Running, ask};

/// Asks for a connection. Returns its socket and the head of the answer, and the body if it is an error.
fn connect(broker: &Running, line: &str, headers: &[&str]) -> (TcpStream, Answer) {
    let stream = TcpStream::connect(broker.listen).unwrap();
    request(stream, broker, line, &[headers, &HANDSHAKE].concat(), b"")
}

/// Sends a request. Returns the socket and the head of the answer, and the body if its length is told.
fn request(mut stream: TcpStream, broker: &Running, line: &str, headers: &[&str], body: &[u8]) -> (TcpStream, Answer) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", broker.listen, headers.join("\r\n"));
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
    }
    let mut answer = Answer::parse(&bytes);
    if let Some(len) = answer.header("content-length").and_then(|len| len.parse().ok()) {
        let mut body = vec![0; len];
        stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    (stream, answer)
}

/// Connects again and again, with these headers, until an answer is 429. Returns how often it worked, and that answer.
fn until_refused(broker: &Running, lines: &[&str], header: impl Fn(usize) -> String) -> (usize, Answer) {
    let begun = Instant::now();
    for count in 0.. {
        let (_stream, answer) = connect(broker, lines[count % lines.len()], &[&header(count)]);
        if answer.status == 429 {
            // Ten at once, and one in each second since.
            assert!((10..=11 + begun.elapsed().as_secs() as usize).contains(&count), "{count} connected");
            return (count, answer);
        }
        assert!(matches!(answer.status, 101 | 200), "{answer:?}");
    }
    unreachable!()
}

#[test]
fn new_connections_of_an_address_have_a_rate() {
    let broker = Running::with(&[("trusted_proxies", "127.0.0.1"), ("connects_per_address_per_s", "1")]);
    let both = ["GET /v1/ws", "GET /v1/sse?topic=a"];
    for (lines, block) in [(&both[..1], "192.0.2.1"), (&both[1..], "192.0.2.2"), (&both, "192.0.2.3")] {
        let (_, refused) = until_refused(&broker, lines, |_| format!("X-Forwarded-For: {block}"));
        assert_eq!((&*refused.code(), refused.header("retry-after")), ("rate_limited", Some("1")), "{refused:?}");
        // Plain requests are no connects, and others connect.
        let named = format!("X-Forwarded-For: {block}");
        assert_eq!(ask(broker.listen, "GET /v1/topics", &[&named], b"").status, 200);
        assert_eq!(ask(broker.listen, "HEAD /v1/sse?topic=a", &[&named], b"").status, 200);
    }
    // Another address of the same block each time is no other client.
    let (count, _) = until_refused(&broker, &both, |count| format!("X-Forwarded-For: 2001:db8::{count:x}:{count:x}"));
    let (_stream, answer) = connect(&broker, "GET /v1/ws", &["X-Forwarded-For: 2001:db8:0:1::1"]);
    assert_eq!(answer.status, 101, "after {count}");
    let name = r#"tickcast_quota_refused_total{quota="connects_per_address_per_s",dry_run="false"}"#;
    assert_eq!(broker.metric(name), 4.0);
}

const NDJSON: &str = "Content-Type: application/x-ndjson";
const JSON: &str = "Content-Type: application/json";

#[test]
fn publishing_over_http_has_the_quotas_of_its_address() {
    let broker =
        Running::with(&[("trusted_proxies", "127.0.0.1"), ("publishes_per_s", "1"), ("publish_bytes_per_s", "100")]);
    let one = "X-Forwarded-For: 2001:db8::1";
    let publish = |headers: &[&str], body: &str| ask(broker.listen, "POST /v1/publish", headers, body.as_bytes());
    let line = |bytes: usize| format!("{{\"topic\":\"a\",\"data\":\"{}\"}}\n", "x".repeat(bytes - 2));
    let body = [300, 200, 20, 30].map(line).join("") + "\n5\n" + &[10, 10, 10].map(line).join("");
    let answer = publish(&[NDJSON, one], &body).json();
    assert_eq!(answer["accepted"], 4, "{answer}");
    let rejected: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|line| (&line["line"], &line["code"])).collect();
    let limited = json!("rate_limited");
    let expected =
        [(&json!(2), &limited), (&json!(6), &json!("bad_request")), (&json!(8), &limited), (&json!(9), &limited)];
    assert_eq!(rejected, expected, "{answer}");
    // Three updates of 220 bytes in all are left: three seconds, or 170 bytes of which some have come since.
    let retry_ms = answer["retry_ms"].as_u64().unwrap();
    assert!((2_000..=3_000).contains(&retry_ms), "{answer}");
    // One that is larger than the burst is taken by a full bucket, which then owes the rest for minutes.
    let other = "X-Forwarded-For: 192.0.2.7";
    let large = format!("\"{}\"", "x".repeat(20_000));
    let single = |header: &str, data: &str| ask(broker.listen, "POST /v1/topics/b", &[JSON, header], data.as_bytes());
    assert_eq!(single(other, &large).status, 200);
    let refused = single(other, "1");
    assert_eq!((refused.status, &*refused.code()), (429, "rate_limited"), "{refused:?}");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((150..=197).contains(&seconds), "{refused:?}");
    // By lines, from a new connection, or as another address of the block: it is one bucket.
    let answer = publish(&[NDJSON, other], &line(10)).json();
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["code"]), (&json!(0), &limited), "{answer}");
    let block = "X-Forwarded-For: 2001:db8:7::1";
    assert_eq!(single(block, &large).status, 200);
    assert_eq!(single("X-Forwarded-For: [2001:db8:7::2]:80", "1").status, 429);
    assert_eq!(single("X-Forwarded-For: 2001:db8:7:1::1", "1").status, 200);
    assert_eq!(broker.metric(r#"tickcast_publish_errors_total{code="rate_limited"}"#), 6.0);
    // Reading is no publishing.
    assert_eq!(ask(broker.listen, "GET /v1/topics/b/history", &[other], b"").json()["seq"], 3);
    // A body that fits says nothing of waiting.
    let answer = publish(&[NDJSON, "X-Forwarded-For: 192.0.2.8"], &line(10)).json();
    assert!(answer.get("retry_ms").is_none(), "{answer}");
}

/// How a proxy names a client: what its connection begins with, and a header line.
type Way = fn(&str) -> (String, String);

const WAYS: [(&str, Way); 2] = [
    ("off", |address| (String::new(), format!("X-Forwarded-For: {address}"))),
    ("required", |address| (format!("PROXY TCP6 {address} ::1 55123 9000\r\n"), "X-None: x".to_owned())),
];

/// Sends a request as this client.
fn ask_as(broker: &Running, line: &str, way: Way, address: &str) -> (TcpStream, Answer) {
    let (first, header) = way(address);
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    match line.starts_with("POST") {
        true => request(stream, broker, line, &[&header, JSON, "Content-Length: 1"], b"1"),
        false => request(stream, broker, line, &[&header], b""),
    }
}

/// The first and the last address of one /64, some between them, and the nearest ones outside.
const INSIDE: [&str; 4] =
    ["2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1:8000::", "2001:db8:0:1::1"];
const OUTSIDE: [&str; 2] = ["2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:2::"];

#[test]
fn one_customers_block_of_ipv6_is_one_client_whoever_names_it() {
    for (proxy_protocol, way) in WAYS {
        let usual = [("trusted_proxies", "127.0.0.1"), ("proxy_protocol", proxy_protocol)];
        // Another address for each connection, and one quota.
        let broker = Running::with(&[&usual[..], &[("connections_per_address_max", "4")]].concat());
        let open = |address: &str| ask_as(&broker, "GET /v1/sse?topic=a", way, address);
        let held: Vec<_> = INSIDE.iter().chain(&OUTSIDE).map(|address| open(address)).collect();
        held.iter().for_each(|(_, answer)| assert_eq!(answer.status, 200, "{answer:?}"));
        for address in INSIDE {
            let (_, answer) = open(address);
            assert_eq!((answer.status, &*answer.code()), (429, "limit"), "{proxy_protocol} {address}");
        }
        let others: Vec<_> = OUTSIDE.iter().map(|address| open(address)).collect();
        others.iter().for_each(|(_, answer)| assert_eq!(answer.status, 200, "{answer:?}"));

        // Ten at once, and one in each second since.
        let broker = Running::with(&[&usual[..], &[("connects_per_address_per_s", "1")]].concat());
        let (begun, mut refused) = (Instant::now(), 0);
        for number in 0..40 {
            let (_, answer) = ask_as(&broker, "GET /v1/sse?topic=a", way, INSIDE[number % INSIDE.len()]);
            refused += usize::from(answer.status == 429);
        }
        assert!(refused + 11 + begun.elapsed().as_secs() as usize >= 40, "{proxy_protocol}: {refused} of 40 refused");
        for address in OUTSIDE {
            let (_, answer) = ask_as(&broker, "GET /v1/sse?topic=a", way, address);
            assert_eq!(answer.status, 200, "{proxy_protocol} {address}");
        }

        let broker = Running::with(&[&usual[..], &[("publishes_per_s", "1")]].concat());
        let (begun, mut refused) = (Instant::now(), 0);
        for number in 0..20 {
            let (_, answer) = ask_as(&broker, "POST /v1/topics/a", way, INSIDE[number % INSIDE.len()]);
            refused += usize::from(answer.status == 429);
        }
        assert!(refused + 5 + begun.elapsed().as_secs() as usize >= 20, "{proxy_protocol}: {refused} of 20 refused");
        for address in OUTSIDE {
            let (_, answer) = ask_as(&broker, "POST /v1/topics/a", way, address);
            assert_eq!(answer.status, 200, "{proxy_protocol} {address}");
        }
    }
}
