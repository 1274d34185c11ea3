//! `X-Forwarded-For` from a proxy, which is the test itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use super::common::{Client, Hands, Running, ask};
use super::{client_from, connect_from, remotes};

fn behind_a_proxy(settings: &[(&'static str, &str)]) -> Running {
    Running::with(&[&[("trusted_proxies", "127.0.0.1,10.0.0.0/8")], settings].concat())
}

fn connect(broker: &Running, headers: &[&str]) -> Client {
    Client::with(broker.listen, Hands::default(), headers, b"")
}

#[test]
fn the_address_is_the_first_that_no_proxy_added() {
    let broker = behind_a_proxy(&[]);
    let many = format!("X-Forwarded-For: {}", ["198.51.100.9"; 50].join(", "));
    for (headers, expected) in [
        (&["X-Forwarded-For: 192.0.2.7"][..], Some("192.0.2.7")),
        (&["X-Forwarded-For: 127.0.0.1, 192.0.2.7"], Some("192.0.2.7")),
        (&["X-Forwarded-For: 127.0.0.1", "x-forwarded-for: 192.0.2.7, 10.1.2.3"], Some("192.0.2.7")),
        (&["X-Forwarded-For: [2001:db8::7]:50123"], Some("2001:db8::7")),
        (&["X-Forwarded-For: 192.0.2.7:50123"], Some("192.0.2.7")),
        (&[&many], Some("198.51.100.9")),
        // Nobody is named: these connections are the proxy's own.
        (&[], None),
        (&["X-Forwarded-For: 127.0.0.1"], None),
        (&["X-Forwarded-For: 192.0.2.7, garbage"], None),
        (&["X-Forwarded-For: 192.0.2.7, \u{e9}"], None),
        (&["X-Forwarded-For:"], None),
        (&["X-Real-IP: 192.0.2.7", "Forwarded: for=192.0.2.7", "X-Client-IP: 192.0.2.7"], None),
    ] {
        let mut client = connect(&broker, headers);
        let found = remotes(&broker);
        match expected {
            Some(address) => assert_eq!(found, [address], "{headers:?}"),
            None => assert!(found[0].starts_with("127.0.0.1:"), "{headers:?}: {found:?}"),
        }
        // Nobody who comes through a proxy is on this machine, nor is the proxy.
        assert_eq!(client.subscribe(&["$SYS.stats"])["errors"][0]["code"], "forbidden", "{headers:?}");
        for line in ["GET /v1/topics/$SYS.stats", "GET /v1/topics?match=$SYS.%3E", "GET /v1/sse?topic=$SYS.stats"] {
            assert_eq!(ask(broker.listen, line, headers, b"").code(), "forbidden", "{line} {headers:?}");
        }
        drop(client);
        broker.assert_settles_but_for(0);
    }
}

#[test]
fn who_is_no_proxy_is_not_believed() {
    let broker = behind_a_proxy(&[]);
    let mut client = client_from([127, 0, 0, 2], &broker, b"", &["X-Forwarded-For: 192.0.2.7"]);
    client.expect("hello");
    assert!(remotes(&broker)[0].starts_with("127.0.0.2:"), "{:?}", remotes(&broker));
    assert_eq!(client.subscribe(&["$SYS.stats"])["errors"], json!([]));
    // Without trusted proxies nobody is.
    let broker = Running::start();
    let mut client = connect(&broker, &["X-Forwarded-For: 192.0.2.7"]);
    assert!(remotes(&broker)[0].starts_with("127.0.0.1:"), "{:?}", remotes(&broker));
    assert_eq!(client.subscribe(&["$SYS.stats"])["errors"], json!([]));
}

#[test]
fn connections_count_by_the_address_that_the_proxy_names() {
    let broker = behind_a_proxy(&[("connections_per_address_max", "2")]);
    let named = |address: &str| format!("X-Forwarded-For: 203.0.113.1, {address}");
    let mut clients = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2:3", "192.0.2.2"] {
        clients.push(connect(&broker, &[&named(address)]));
    }
    for address in ["192.0.2.1", "[2001:db8::4]:443", "::ffff:192.0.2.1"] {
        let (mut refused, _) = Client::shake_hands(broker.listen, Hands::default(), &[&named(address)], b"");
        refused.expect_close(4029);
        let stream = ask(broker.listen, "GET /v1/sse?topic=a", &[&named(address)], b"");
        assert_eq!((stream.status, &*stream.code()), (429, "limit"), "{address}");
    }
    clients.push(connect(&broker, &[&named("192.0.2.2")]));
    let stream = ask(broker.listen, "HEAD /v1/sse?topic=a", &[&named("192.0.2.1")], b"");
    assert_eq!(stream.status, 200, "HEAD begins no stream");
}

/// A connection that stays open between requests, as a proxy keeps them.
struct Kept(TcpStream);

impl Kept {
    fn open(address: SocketAddr) -> Kept {
        Kept(connect_from([127, 0, 0, 1], address))
    }

    /// Sends a request for this client. Returns whether it was answered with 200.
    fn ask_for(&mut self, client: &str) -> bool {
        let request = format!("HEAD /v1/topics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\n\r\n");
        let mut answer = Vec::new();
        while self.0.write_all(request.as_bytes()).is_ok() && !answer.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 4096];
            match self.0.read(&mut bytes) {
                Ok(len) if len > 0 => answer.extend_from_slice(&bytes[..len]),
                _ => return false,
            }
            if answer.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        answer.starts_with(b"HTTP/1.1 200 ")
    }
}

#[test]
fn a_proxy_is_not_the_client_with_the_most_sockets() {
    let broker = behind_a_proxy(&[("http_connections_max", "16")]);
    // Ten clients on one socket of the proxy each, and one on six.
    let mut ones: Vec<Kept> = (0..10).map(|_| Kept::open(broker.listen)).collect();
    for (index, one) in ones.iter_mut().enumerate() {
        assert!(one.ask_for(&format!("192.0.2.{index}")));
    }
    let mut six: Vec<Kept> = (0..6).map(|_| Kept::open(broker.listen)).collect();
    for socket in &mut six {
        // Another client's request was on it before.
        assert!(socket.ask_for("198.51.100.7"));
        assert!(socket.ask_for("203.0.113.66"));
    }
    // Three more clients.
    let mut more: Vec<Kept> = (0..3).map(|_| Kept::open(broker.listen)).collect();
    for (index, one) in more.iter_mut().enumerate() {
        assert!(one.ask_for(&format!("198.51.100.{}", 100 + index)));
    }
    assert_eq!(broker.metric("tickcast_http_evicted_total"), 3.0);
    for (index, one) in ones.iter_mut().enumerate() {
        assert!(one.ask_for(&format!("192.0.2.{index}")), "client {index} lost its socket");
    }
    assert_eq!(six.iter_mut().filter_map(|socket| socket.ask_for("203.0.113.66").then_some(())).count(), 3);
}
