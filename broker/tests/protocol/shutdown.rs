//! The broker stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{End, HANDSHAKE, PATIENCE, Running, ask, until};

#[test]
fn clients_get_goaway_and_are_then_closed() {
    let mut broker = Running::with(&[("drain_ms", "1500")]);
    let (mut one, mut other) = (broker.client(), broker.client());
    one.subscribe(&["late"]);
    let begin = Instant::now();
    broker.begin_stop();
    for client in [&mut one, &mut other] {
        let goaway = client.expect("goaway");
        assert_eq!(goaway.json, json!({"op":"goaway","reason":"shutdown","after_ms":1500}));
    }
    // No new client is accepted, and the admin listener says why.
    until("the listener to close", || TcpStream::connect(broker.listen).is_err());
    let ready = ask(broker.admin, "GET /readyz", &[], b"");
    assert_eq!((ready.status, ready.code().as_str()), (503, "unavailable"), "{ready:?}");
    assert_eq!(ask(broker.admin, "GET /healthz", &[], b"").status, 200);
    // Until the close everything goes on.
    other.request(r#"{"op":"publish","id":1,"topic":"late","kind":"event","data":1}"#);
    one.expect("topic");
    one.expect_has(json!({"op":"update","seq":1}));
    assert_eq!(one.end(), End::Close(Some(1001)));
    assert_eq!(other.end(), End::Close(Some(1001)));
    assert!(begin.elapsed() >= Duration::from_millis(1400), "{:?}", begin.elapsed());
    drop((one, other));
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[test]
fn the_broker_ends_once_all_clients_have_left() {
    let mut broker = Running::with(&[("drain_ms", "60000")]);
    let mut client = broker.client();
    let begin = Instant::now();
    broker.begin_stop();
    client.expect("goaway");
    drop(client);
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_client_that_does_not_hang_up_does_not_delay_the_end() {
    let mut broker = Running::with(&[("drain_ms", "100")]);
    let client = broker.client();
    let begin = Instant::now();
    broker.begin_stop();
    broker.join();
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    drop(client);
}

#[test]
fn a_handshake_that_was_answered_before_gets_goaway() {
    let settings = [("drain_ms", "1000"), ("send_buffer_bytes", "4096"), ("notsent_lowat_bytes", "0")];
    let mut broker = Running::with(&settings);
    let upgrade = format!("GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", broker.listen, HANDSHAKE.join("\r\n"));
    let other = format!("GET /v1/topics HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    // Each has a number of answers before the handshake's, so that for some the socket is full just then.
    let mut streams: Vec<TcpStream> = (0..120)
        .map(|others| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(1).unwrap();
            socket.connect(&broker.listen.into()).unwrap();
            let mut stream: TcpStream = socket.into();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all((other.repeat(others) + &upgrade).as_bytes()).unwrap();
            stream
        })
        .collect();
    // All answers that fit were written, and some sockets are full.
    broker.until_metric("tickcast_connections", |connections| connections > 5.0);
    broker.until_metric("tickcast_http_connections", |sockets| sockets > 5.0);
    broker.begin_stop();
    until("the listener to close", || TcpStream::connect(broker.listen).is_err());
    let (mut told, mut refused) = (0, 0);
    for stream in &mut streams {
        let mut received = Vec::new();
        // If the broker ends before this client has read, the connection is reset.
        let end = stream.read_to_end(&mut received);
        let text = String::from_utf8_lossy(&received);
        if text.contains("101 Switching Protocols") && end.is_ok() {
            let close = received.ends_with(&[&1001u16.to_be_bytes()[..], b"going away"].concat());
            assert!(text.contains("\"goaway\"") && close, "{text:?}");
            told += 1;
        } else {
            refused += 1;
        }
    }
    assert!(told > 5, "{told} told, {refused} refused");
    drop(streams);
    broker.join();
}
