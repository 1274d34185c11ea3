//! Targets that do not exist, or are something else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::small;
use crate::fixture::{Options, raw};

/// Reads a request.
fn request(stream: &mut TcpStream) {
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(len) => text.extend(&buffer[..len]),
        }
    }
}

/// Checks the error for a server that answers every request with `answer`.
#[track_caller]
fn check_answer(answer: &'static str, words: &[&str]) {
    let server = raw(Options::default(), move |mut stream| {
        request(&mut stream);
        // Fails if the client is gone, which is right.
        let _ = stream.write_all(answer.as_bytes());
    });
    let outcome = small(&server.url("")).finish();
    outcome.assert_refused(&[&format!("no subscriber could connect to {}", server.address), "--target"]);
    outcome.assert_refused(words);
}

#[test]
fn nobody_listens() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let outcome = small(&format!("ws://{address}")).finish();
    outcome.assert_refused(&[&format!("no subscriber could connect to {address}: 3 × "), "refused", "--target"]);
}

#[test]
fn a_web_server() {
    check_answer(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<p>hi</p>",
        &["3 × refused the handshake with 200 OK"],
    );
}

#[test]
fn a_refusal_with_its_reason() {
    check_answer(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 25\r\n\r\n{\"error\":\"not from there\"}",
        &["3 × refused the handshake with 403 Forbidden", "not from there"],
    );
}

#[test]
fn an_upgrade_to_something_else() {
    check_answer(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        &["3 × answered 101 without the Sec-WebSocket-Accept that belongs to the key"],
    );
}

#[test]
fn a_server_of_another_kind() {
    let mut held = Vec::new();
    let server = raw(Options::default(), move |mut stream| {
        // It sends first, and keeps the connection open.
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").expect("there is room");
        held.push(stream);
    });
    small(&server.url("")).finish().assert_refused(&["3 × its answer to the handshake is not HTTP", "SSH-2.0-OpenSSH"]);
}

#[test]
fn a_server_that_hangs_up() {
    let server = raw(Options::default(), drop);
    // The reason is a reset if the request was faster than the end.
    small(&server.url("")).finish().assert_refused(&[&format!("could connect to {}: ", server.address), "onnection"]);
}

#[test]
fn a_server_that_never_answers() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let mut held = Vec::new();
    let server = raw(Options::default(), move |stream| {
        counted.fetch_add(1, Ordering::Release);
        held.push(stream);
    });
    small(&server.url("")).finish().assert_refused(&["3 × did not answer the handshake within 10 s"]);
    assert_eq!(
        connections.load(Ordering::Acquire),
        3,
        "without subscribers no publisher connects, which would wait as long again"
    );
}

#[test]
fn invalid_addresses() {
    let cases = [
        ("https://127.0.0.1:1/x", "or wss:// for TLS"),
        ("http://127.0.0.1:1", "a target has the form ws://HOST:PORT/PATH"),
        ("127.0.0.1:9000", "a target has the form ws://HOST:PORT/PATH"),
        ("ws://no-such-host.invalid:1", "no address for \"no-such-host.invalid:1\""),
        ("ws://127.0.0.1:99999", "no address for \"127.0.0.1:99999\""),
        ("ws://", "no address for \"\""),
    ];
    for (url, words) in cases {
        small(url).finish().assert_refused(&[url, words]);
    }
}
