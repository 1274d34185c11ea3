//! Handshakes: slow ones, wrong ones, and many at once.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::client::{BOTH, Client, NAME, broker, config, handshakes};
use crate::common::{PATIENCE, Running, ask, until};
use crate::pki::Pki;

/// An alert that ends the connection: its record has this type, and this level (RFC 8446 §6).
const ALERT: u8 = 21;
const FATAL: u8 = 2;

/// The first message of a client.
fn hello(config: ClientConfig) -> Vec<u8> {
    let name = ServerName::try_from(NAME).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Sends bytes, and returns everything that comes up to the end.
fn exchange(broker: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(broker.tls.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The broker may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("no end: {error}"),
        _ => answer,
    }
}

fn unfinished(broker: &Running, result: &str) -> f64 {
    handshakes(broker, "none", "none", result)
}

#[test]
fn a_client_hello_may_come_byte_by_byte_but_not_for_ever() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("handshake_ms", "1000")]);
    let hello = hello(config(&pki, &BOTH, None));
    let mut slow = TcpStream::connect(broker.tls.unwrap()).unwrap();
    slow.set_nodelay(true).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    for byte in &hello[..hello.len() - 1] {
        slow.write_all(&[*byte]).unwrap();
    }
    // It is complete except for its last byte, and its time has passed: it is closed.
    let begin = Instant::now();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    until("the timeout to be counted", || unfinished(&broker, "timeout") == 1.0);
    // With its last byte it is answered.
    let mut slow = TcpStream::connect(broker.tls.unwrap()).unwrap();
    slow.set_nodelay(true).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    for byte in &hello {
        slow.write_all(&[*byte]).unwrap();
    }
    let mut first = [0];
    slow.read_exact(&mut first).unwrap();
    assert_eq!(first, [22], "a message of the handshake");
    drop(slow);
    broker.assert_settles();
}

#[test]
fn what_is_no_handshake_is_refused_with_an_alert() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    for version in BOTH {
        let mut h2 = config(&pki, &[version], None);
        h2.alpn_protocols = vec![b"h2".to_vec()];
        let error = Client::try_connect(broker.tls.unwrap(), &Arc::new(h2), NAME).map(drop).unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    // SSL 3.0: a ClientHello of version 3.0, with one cipher suite.
    let mut ssl3 = vec![22, 3, 0, 0, 45, 1, 0, 0, 41, 3, 0];
    ssl3.extend([7; 32]);
    ssl3.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    // A ClientHello of 64 KB, in records of 16 KB.
    let mut large = Vec::new();
    let body = [&[1, 0, 0xff, 0xff][..], &[3; 0xffff]].concat();
    for part in body.chunks(16 * 1024) {
        large.extend([22, 3, 1]);
        large.extend((part.len() as u16).to_be_bytes());
        large.extend_from_slice(part);
    }
    until("both to be counted", || unfinished(&broker, "failed") == 2.0);
    for (what, bytes) in
        [("SSL 3.0", ssl3), ("64 KB", large), ("garbage", [&[22, 3, 1, 0, 100][..], &[9; 100]].concat())]
    {
        let failed = unfinished(&broker, "failed");
        let answer = exchange(&broker, &bytes);
        // A client that is still sending may see a reset instead.
        if what == "SSL 3.0" {
            assert_eq!((answer[0], answer[5]), (ALERT, FATAL), "{answer:?}");
        }
        assert!(answer.len() < 10, "{what}: {answer:?}");
        until("the failure to be counted", || unfinished(&broker, "failed") == failed + 1.0);
    }
    assert_eq!(broker.metric("tickcast_tls_held_bytes"), 0.0);
    broker.assert_settles();
}

#[test]
fn the_oldest_version_is_a_setting() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("tls_min_version", "1.3")]);
    let [old, new] = BOTH.map(|version| Arc::new(config(&pki, &[version], None)));
    let error = Client::try_connect(broker.tls.unwrap(), &old, NAME).map(drop).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    Client::websocket(broker.tls.unwrap(), &new);
    broker.assert_settles();
}

#[test]
fn each_port_says_what_it_speaks() {
    let pki = Pki::new();
    let broker = broker(&pki, &[]);
    let answer = ask(broker.tls.unwrap(), "GET /v1/topics", &[], b"");
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
    assert!(answer.body.contains("this port speaks TLS"), "{answer:?}");
    let config = Arc::new(config(&pki, &BOTH, None));
    assert!(Client::try_connect(broker.listen, &config, NAME).is_err());
    broker.assert_settles();
}

#[test]
fn clients_that_do_not_go_on_keep_no_others_out() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("tls_handshakes_max", "1")]);
    let hello = hello(config(&pki, &BOTH, None));
    let mut stuck = Vec::new();
    for number in 0..30 {
        let mut stream = TcpStream::connect(broker.tls.unwrap()).unwrap();
        // A part of the first message, or all of it and no answer to the broker's.
        stream.write_all(if number % 10 == 0 { &hello } else { &hello[..100] }).unwrap();
        stuck.push(stream);
    }
    let begin = Instant::now();
    let config = Arc::new(config(&pki, &BOTH, None));
    let clients: Vec<_> = (0..8).map(|_| Client::websocket(broker.tls.unwrap(), &config)).collect();
    // `handshake_ms` is ten seconds: it is not what they waited for.
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(unfinished(&broker, "timeout"), 0.0);
    drop((clients, stuck));
    broker.assert_settles();
}

#[test]
fn a_storm_of_handshakes_succeeds_and_sessions_are_resumed() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("tls_handshakes_max", "4")]);
    let address = broker.tls.unwrap();
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..25).for_each(|_| drop(Client::websocket(address, &config))));
            }
        });
        let name = if std::ptr::eq(version, BOTH[0]) { "1.2" } else { "1.3" };
        let count = |kind: &str| handshakes(&broker, name, kind, "ok");
        assert_eq!(count("full") + count("resumed"), 200.0);
        assert!(count("resumed") > 100.0, "{name}: {} resumed", count("resumed"));
    }
    broker.assert_settles();
}
