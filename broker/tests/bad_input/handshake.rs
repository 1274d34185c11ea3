//! Requests for a WebSocket that are refused.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::common::{Answer, HANDSHAKE, PATIENCE, Running, ask, exchange};

/// The method, the beginnings of the header lines that are left out, the added lines; the status and the code of the
/// answer.
type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], u16, &'a str);

/// Sends a handshake without the lines that begin with one of `without`, and with the lines of `with`.
#[track_caller]
fn shake(broker: &Running, method: &str, without: &[&str], with: &[&str]) -> Answer {
    let kept = HANDSHAKE.iter().filter(|line| without.iter().all(|name| !line.starts_with(name)));
    let lines: Vec<&str> = kept.chain(with).copied().collect();
    let mut request = format!("{method} /v1/ws HTTP/1.1\r\n");
    if !with.iter().any(|line| line.starts_with("Host")) && !without.contains(&"Host") {
        request.push_str(&format!("Host: {}\r\n", broker.listen));
    }
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    // Read one whole answer: the broker keeps the connection open, as HTTP defines.
    let (mut answer, mut bytes) = (Vec::new(), [0; 1024]);
    loop {
        let parsed = Answer::parse(&answer);
        let body = parsed.header("content-length").map_or(0, |len| len.parse().unwrap());
        if answer.windows(4).any(|end| end == b"\r\n\r\n") && (parsed.body.len() >= body || parsed.status == 101) {
            return parsed;
        }
        let len = stream.read(&mut bytes).unwrap();
        assert!(len > 0, "no answer to {request:?} but {parsed:?}");
        answer.extend_from_slice(&bytes[..len]);
    }
}

#[test]
fn invalid_handshakes_are_refused_with_a_reason() {
    let broker = Running::start();
    let short = "Sec-WebSocket-Key: c2hvcnQ=";
    let long = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBpcyBsb25n";
    let key = HANDSHAKE[3];
    let cases: &[Case<'_>] = &[
        ("POST", &[], &[], 405, "method_not_allowed"),
        ("POST", &[], &["Content-Length: 2"], 405, "method_not_allowed"),
        ("PUT", &[], &[], 405, "method_not_allowed"),
        ("GET", &["Upgrade"], &[], 426, "bad_request"),
        ("GET", &["Connection"], &[], 426, "bad_request"),
        ("GET", &["Upgrade", "Connection"], &[], 426, "bad_request"),
        ("GET", &["Upgrade"], &["Upgrade: h2c"], 426, "bad_request"),
        ("GET", &["Connection"], &["Connection: keep-alive"], 426, "bad_request"),
        ("GET", &["Sec-WebSocket-Version"], &[], 426, "bad_request"),
        ("GET", &["Sec-WebSocket-Version"], &["Sec-WebSocket-Version: 8"], 426, "bad_request"),
        ("GET", &["Sec-WebSocket-Version"], &["Sec-WebSocket-Version: 13, 8"], 426, "bad_request"),
        ("GET", &[], &["Sec-WebSocket-Version: 13"], 426, "bad_request"),
        ("GET", &["Sec-WebSocket-Key"], &[], 400, "bad_request"),
        ("GET", &["Sec-WebSocket-Key"], &["Sec-WebSocket-Key: "], 400, "bad_request"),
        ("GET", &["Sec-WebSocket-Key"], &[short], 400, "bad_request"),
        ("GET", &["Sec-WebSocket-Key"], &[long], 400, "bad_request"),
        ("GET", &["Sec-WebSocket-Key"], &["Sec-WebSocket-Key: ########################"], 400, "bad_request"),
        ("GET", &[], &[key], 400, "bad_request"),
        ("GET", &[], &["Sec-WebSocket-Protocol: graphql-ws"], 400, "bad_request"),
        ("GET", &[], &["Sec-WebSocket-Protocol: tickcast.v2.json, mqtt"], 400, "bad_request"),
        ("GET", &[], &["Sec-WebSocket-Protocol: TICKCAST.V1.JSON"], 400, "bad_request"),
        ("GET", &[], &["Content-Length: 5"], 400, "bad_request"),
        ("GET", &[], &["Transfer-Encoding: chunked"], 400, "bad_request"),
        ("GET", &[], &["Origin: https://evil.example"], 403, "forbidden"),
        ("GET", &[], &["Origin: null"], 403, "forbidden"),
        ("GET", &[], &["Sec-Fetch-Site: cross-site"], 403, "forbidden"),
        ("GET", &[], &["Host: rebound.example"], 403, "forbidden"),
        ("GET", &[], &["Host: 127.0.0.1.nip.io"], 403, "forbidden"),
        ("GET", &[], &["Host: localhost.evil.example"], 403, "forbidden"),
        ("GET", &["Host"], &[], 400, "bad_request"),
        ("GET", &[], &["Host: localhost", "Host: localhost"], 400, "bad_request"),
    ];
    for (method, without, with, status, code) in cases {
        let answer = shake(&broker, method, without, with);
        let case = format!("{method} without {without:?} with {with:?}: {answer:?}");
        assert_eq!(answer.status, *status, "{case}");
        assert_eq!(answer.code(), *code, "{case}");
        let version =
            (*status == 426 && !without.contains(&"Upgrade") && !without.contains(&"Connection")).then_some("13");
        assert_eq!(answer.header("sec-websocket-version"), version, "{case}");
        let allow = (*status == 405).then_some("GET");
        assert_eq!(answer.header("allow"), allow, "{case}");
    }
    broker.assert_settles();
}

#[test]
fn other_forms_of_a_valid_handshake() {
    let broker = Running::start();
    let protocol = Some("tickcast.v1.json");
    let cases: &[(&[&str], &[&str], Option<&str>)] = &[
        (&[], &[], None),
        (&[], &["Sec-WebSocket-Protocol: tickcast.v1.json"], protocol),
        (&[], &["Sec-WebSocket-Protocol: mqtt, tickcast.v1.json"], protocol),
        (&[], &["Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Protocol: tickcast.v1.json"], protocol),
        (&["Connection"], &["Connection: keep-alive, Upgrade"], None),
        (&["Upgrade"], &["Upgrade: WebSocket"], None),
        (&[], &["Host: localhost"], None),
        (&[], &["Host: [::1]:80"], None),
        (&[], &["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"], None),
        (&[], &["Sec-Fetch-Site: same-origin"], None),
        (&[], &["Content-Length: 0"], None),
    ];
    for (without, with, protocol) in cases {
        let answer = shake(&broker, "GET", without, with);
        assert_eq!(answer.status, 101, "{with:?}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), *protocol, "{with:?}");
        assert_eq!(answer.header("sec-websocket-extensions"), None, "no extension is agreed to");
        // RFC 6455 §1.3 gives this answer to this key.
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{with:?}");
    }
    let own = format!("Origin: http://{}", broker.listen);
    assert_eq!(shake(&broker, "GET", &[], &[&own]).status, 101);
    broker.assert_settles();
}

#[test]
fn not_http_1_1() {
    let broker = Running::start();
    let handshake = format!("Host: {}\r\n{}\r\n\r\n", broker.listen, HANDSHAKE.join("\r\n"));
    let old = exchange(broker.listen, format!("GET /v1/ws HTTP/1.0\r\n{handshake}").as_bytes());
    assert_eq!(old.status, 400, "{old:?}");
    let two = exchange(broker.listen, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_ne!(two.status, 101, "{two:?}");
    broker.assert_settles();
}

#[test]
fn oversized_headers() {
    let broker = Running::start();
    let one = format!("X-Long: {}", "x".repeat(20_000));
    let answer = ask(broker.listen, "GET /v1/ws", &[&one], b"");
    assert_eq!((answer.status, answer.code().as_str()), (431, "too_large"), "{answer:?}");
    let many: Vec<String> = (0..200).map(|index| format!("X-{index}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = ask(broker.listen, "GET /v1/ws", &many, b"");
    assert_eq!((answer.status, answer.code().as_str()), (431, "too_large"), "{answer:?}");
    let path = format!("GET /v1/topics/{}", "x".repeat(20_000));
    let answer = ask(broker.listen, &path, &[], b"");
    assert!([414, 431].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.code(), "too_large", "{answer:?}");
    broker.assert_settles();
}

#[test]
fn a_handshake_that_never_finishes_times_out() {
    let broker = Running::with(&[("handshake_ms", "200")]);
    let parts: [&[u8]; 5] = [
        b"",
        b"G",
        b"GET /v1/ws HTTP/1.1\r\n",
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgr",
        // A whole request, and nothing more on the same connection.
        b"GET /v1/topics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    for address in [broker.listen, broker.admin] {
        for part in parts {
            let begin = Instant::now();
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(part).unwrap();
            let mut answer = Vec::new();
            let part = String::from_utf8_lossy(part);
            stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{part:?} on {address}: {error}"));
            let took = begin.elapsed();
            assert!(took > Duration::from_millis(150) && took < Duration::from_secs(10), "{part:?}: {took:?}");
        }
    }
    broker.assert_settles();
}

#[test]
fn a_handshake_that_drips_times_out() {
    let broker = Running::with(&[("handshake_ms", "300")]);
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begin = Instant::now();
    let mut drips = b"GET /v1/ws HTTP/1.1\r\nX-Drip: ".iter().chain(std::iter::repeat(&b'x'));
    // The read time-out is the interval of the drips.
    let ended = loop {
        let drop = *drips.next().unwrap();
        if stream.write_all(&[drop]).is_err() {
            break begin.elapsed();
        }
        match stream.read(&mut [0; 1024]) {
            Ok(0) => break begin.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break begin.elapsed(),
        }
        assert!(begin.elapsed() < PATIENCE, "it may drip for ever");
    };
    assert!(ended < Duration::from_secs(10), "{ended:?}");
    broker.assert_settles();
}

#[test]
fn a_client_that_hangs_up_in_the_middle_of_a_handshake_leaves_nothing() {
    let broker = Running::start();
    let handshake = format!("GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", broker.listen, HANDSHAKE.join("\r\n"));
    for end in (1..handshake.len()).step_by(17).chain([handshake.len() - 1, handshake.len()]) {
        let mut stream = TcpStream::connect(broker.listen).unwrap();
        stream.write_all(&handshake.as_bytes()[..end]).unwrap();
        drop(stream);
    }
    broker.assert_settles();
}
