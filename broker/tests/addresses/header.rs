//! The PROXY protocol, from a proxy, which is the test itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::common::{Answer, PATIENCE, Running};
use super::{client_from, connect_from, remotes};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 55123 9000\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::7 ::1 55123 9000\r\n";
/// 192.0.2.8:55123, with a field of three bytes.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x12\xc0\x00\x02\x08\x7f\x00\x00\x01\xd7\x53\x23\x28\x04\x00\x03abc";
/// A connection of the proxy's own.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
/// From a proxy behind the proxy.
const CHAIN: &[u8] = b"PROXY TCP4 10.0.0.5 127.0.0.1 55123 9000\r\n";

const REQUEST: &[u8] = b"GET /v1/topics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn behind_a_proxy(settings: &[(&'static str, &str)]) -> Running {
    let usual = [("trusted_proxies", "127.0.0.1,10.0.0.0/8"), ("proxy_protocol", "required")];
    Running::with(&[&usual, settings].concat())
}

/// Reads to the end. Returns nothing if the broker closed without an answer.
fn answer(mut stream: TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A connection that is closed before all of it was read is reset.
    let _ = stream.read_to_end(&mut bytes);
    (!bytes.is_empty()).then(|| Answer::parse(&bytes))
}

#[test]
fn the_address_is_the_one_in_the_header() {
    let broker = behind_a_proxy(&[]);
    for (first, headers, expected) in [
        (V1, &[][..], "192.0.2.7:55123"),
        (V1_IPV6, &[], "[2001:db8::7]:55123"),
        (V2, &[], "192.0.2.8:55123"),
        (b"PROXY UNKNOWN\r\n", &[], "127.0.0.1:"),
        (LOCAL, &[], "127.0.0.1:"),
        // A client behind it cannot name another one.
        (V1, &["X-Forwarded-For: 198.51.100.1"], "192.0.2.7:55123"),
        (V1, &["X-Forwarded-For: 127.0.0.1"], "192.0.2.7:55123"),
        // A proxy behind it can.
        (CHAIN, &["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        (b"PROXY TCP4 127.0.0.3 127.0.0.1 55123 9000\r\n", &[], "127.0.0.3:55123"),
    ] {
        let mut client = client_from([127, 0, 0, 1], &broker, first, headers);
        client.expect("hello");
        let found = remotes(&broker);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{} {headers:?}: {found:?}", first.escape_ascii());
        assert_eq!(client.subscribe(&["$SYS.stats"])["errors"][0]["code"], "forbidden", "{}", first.escape_ascii());
        drop(client);
        broker.assert_settles_but_for(0);
    }
}

#[test]
fn a_header_may_come_byte_by_byte_and_the_request_with_it() {
    let broker = behind_a_proxy(&[]);
    for header in [V1, V2, LOCAL] {
        let mut stream = connect_from([127, 0, 0, 1], broker.listen);
        for byte in header.iter().chain(REQUEST) {
            stream.write_all(&[*byte]).unwrap();
        }
        assert_eq!(answer(stream).unwrap().status, 200, "{}", header.escape_ascii());
        let mut stream = connect_from([127, 0, 0, 1], broker.listen);
        stream.write_all(&[header, REQUEST].concat()).unwrap();
        assert_eq!(answer(stream).unwrap().status, 200, "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_no_header_of_a_trusted_proxy_is_closed() {
    let broker = behind_a_proxy(&[]);
    let too_long = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 600]].concat();
    let client_hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 200]].concat();
    let endless = [b'f'; 2000];
    let endless = [&b"PROXY UNKNOWN "[..], &endless].concat();
    let mut closed = 0.0;
    for (from, bytes) in [
        ([127, 0, 0, 1], REQUEST),
        ([127, 0, 0, 1], &too_long),
        ([127, 0, 0, 1], &client_hello),
        ([127, 0, 0, 1], &endless),
        ([127, 0, 0, 1], b"PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n"),
        ([127, 0, 0, 1], b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n"),
        // From a stranger, even with a header, and even before it sends anything.
        ([127, 0, 0, 2], V1),
        ([127, 0, 0, 2], V2),
        ([127, 0, 0, 2], b""),
    ] {
        let mut stream = connect_from(from, broker.listen);
        // The broker may have closed already.
        let _ = stream.write_all(bytes);
        let begin = Instant::now();
        let answer = answer(stream);
        assert!(answer.is_none(), "{}: {answer:?}", bytes.escape_ascii());
        assert!(begin.elapsed() < PATIENCE / 2);
        closed += 1.0;
        broker.until_metric(r#"tickcast_refused_total{what="proxy"}"#, |count| count == closed);
    }
    broker.until_metric("tickcast_http_connections", |count| count == 1.0);
    // The proxy is served as before.
    let mut stream = connect_from([127, 0, 0, 1], broker.listen);
    stream.write_all(&[V1, REQUEST].concat()).unwrap();
    assert_eq!(answer(stream).unwrap().status, 200);
}

#[test]
fn a_header_that_is_cut_is_waited_for_as_long_as_a_request() {
    let handshake = Duration::from_millis(300);
    let broker = behind_a_proxy(&[("handshake_ms", "300")]);
    for part in [&b""[..], &V1[..20], &V2[..16], &V2[..33], V1] {
        let mut stream = connect_from([127, 0, 0, 1], broker.listen);
        stream.write_all(part).unwrap();
        let begin = Instant::now();
        assert!(answer(stream).is_none(), "{}", part.escape_ascii());
        assert!((handshake..PATIENCE / 2).contains(&(begin.elapsed() + Duration::from_millis(50))));
    }
    // One whose sender leaves is closed at once.
    let mut stream = connect_from([127, 0, 0, 1], broker.listen);
    stream.write_all(&V1[..20]).unwrap();
    drop(stream);
    broker.until_metric("tickcast_http_connections", |count| count == 1.0);
}

#[test]
fn connections_count_by_the_address_in_the_header() {
    let broker = behind_a_proxy(&[("connections_per_address_max", "1")]);
    let connect = |first| client_from([127, 0, 0, 1], &broker, first, &[]);
    let mut clients = [V1, V2, V1_IPV6].map(connect);
    clients.iter_mut().for_each(|client| drop(client.expect("hello")));
    for first in [V1, V2, b"PROXY TCP6 2001:db8::ffff:1 ::1 1 2\r\n"] {
        connect(first).expect_close(4029);
    }
}

#[test]
fn the_setting_needs_proxies() {
    let flags = [("proxy_protocol", "required".into())];
    let error = broker::config::resolve(&flags, [], None).err().unwrap().to_string();
    assert!(error.contains("proxy_protocol") && error.contains("trusted_proxies"), "{error}");
    for (name, value, hint) in [
        ("proxy_protocol", "optional", "cannot be optional"),
        ("trusted_proxies", "10.0.0.0/8,proxy.example", "IP addresses or blocks"),
    ] {
        let error = broker::config::resolve(&[(name, value.into())], [], None).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains(hint), "{error}");
    }
}
