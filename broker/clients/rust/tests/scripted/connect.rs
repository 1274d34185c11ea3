//! The first connection: its handshake, and each way in which it fails.

use std::time::Duration;

use broker_client::{Client, ConnectError, Options};
use fastwebsockets::{Frame, OpCode, Payload};
use tokio::io::AsyncWriteExt;

use crate::server::{HELLO, Peer, Server, accept_of, head, hello, soon};

#[tokio::test]
async fn hello_is_returned() {
    let server = Server::bind().await;
    let (client, _peer) = server.connect(server.options(), &hello(&[("subscriptions", 7)])).await;
    assert_eq!((client.session().as_str(), client.hello().server.as_str()), ("s1", "script/1"));
    assert_eq!(client.hello().limits.subscriptions, 7);
}

#[tokio::test]
async fn the_handshake_offers_what_the_protocol_asks_for() {
    let server = Server::bind().await;
    let options = server.options();
    let connecting = tokio::spawn(async move { Client::connect_with(options).await });
    let mut socket = server.socket().await;
    let head = head(&mut socket).await.to_ascii_lowercase();
    let host = server.url.trim_start_matches("ws://").trim_end_matches("/v1/ws").to_owned();
    for line in [
        "sec-websocket-protocol: tickcast.v1.json",
        "sec-websocket-version: 13",
        "upgrade: websocket",
        "connection: upgrade",
        &format!("host: {host}"),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("origin"), "{head}");
    connecting.abort();
}

#[tokio::test]
async fn unusable_urls_are_refused_with_a_reason() {
    let error = Client::connect("ftp://127.0.0.1:9000").await.unwrap_err();
    assert!(error.to_string().contains("wss://"), "{error}");
    assert!(matches!(Client::connect("ws://me@a").await, Err(ConnectError::Url { .. })));
}

#[tokio::test]
async fn a_port_without_a_listener() {
    // Bound and dropped, so that nothing listens there.
    let url = Server::bind().await.url.clone();
    let error = soon(Client::connect(&url)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Tcp { address, .. } if url.contains(address)), "{error}");
}

/// Checks that this answer of the server is an error that contains `why`.
async fn refused(answer: impl Fn(&str) -> String, why: &str) {
    let server = Server::bind().await;
    let serve = async {
        let mut socket = server.socket().await;
        let head = head(&mut socket).await;
        socket.write_all(answer(&accept_of(&head)).as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        socket
    };
    let (result, _socket) = tokio::join!(soon(Client::connect_with(server.options())), serve);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(why), "{error}, expected {why}");
}

#[tokio::test]
async fn servers_that_do_not_upgrade() {
    let body = r#"{"error":{"code":"forbidden","message":"the origin is foreign"}}"#;
    let forbidden = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    refused(|_| forbidden.clone(), "HTTP 403: {\"error\"").await;
    refused(|_| "HTTP/1.1 200 OK\r\n\r\n".to_owned(), "HTTP 200").await;
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
    refused(|accept| format!("{upgrade}Sec-WebSocket-Accept: {accept}\r\n\r\n"), "not an upgrade").await;
    let upgrade = format!("{upgrade}Upgrade: websocket\r\n");
    refused(|_| format!("{upgrade}Sec-WebSocket-Accept: AAAA\r\n\r\n"), "does not answer our key").await;
    refused(|_| format!("{upgrade}\r\n"), "does not answer our key").await;
    let other = |accept: &str, line: &str| format!("{upgrade}Sec-WebSocket-Accept: {accept}\r\n{line}\r\n\r\n");
    refused(|accept| other(accept, "Sec-WebSocket-Protocol: chat"), "subprotocol").await;
    refused(|accept| other(accept, "Sec-WebSocket-Extensions: permessage-deflate"), "extension").await;
    refused(|accept| other(accept, "X: y"), "ended without a close frame").await;
    refused(|_| "SSH-2.0-OpenSSH_9.6\r\n".to_owned(), "handshake").await;
}

async fn no_hello(frame: Frame<'_>, why: &str) {
    let server = Server::bind().await;
    let serve = async {
        let mut peer = Peer::upgrade(server.socket().await).await;
        peer.frame(frame).await;
        peer
    };
    let (result, _peer) = tokio::join!(soon(Client::connect_with(server.options())), serve);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(why), "{error}, expected {why}");
}

#[tokio::test]
async fn servers_that_do_not_send_hello() {
    let text = |text: &'static str| Frame::text(Payload::Borrowed(text.as_bytes()));
    no_hello(text("welcome"), "not JSON").await;
    no_hello(text(r#"{"op":"heartbeat","ts":1}"#), "not a hello").await;
    no_hello(text(r#"{"op":"hello","protocol":"tickcast.v2","heartbeat_ms":1}"#), "tickcast.v2").await;
    no_hello(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b"")), "ping").await;
    no_hello(Frame::binary(Payload::Borrowed(b"x")), "binary").await;
    no_hello(Frame::close(4029, b"too many connections"), "4029: too many connections").await;
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let server = Server::bind().await;
    let options = Options { connect_timeout_ms: 50, ..server.options() };
    let (result, _socket) = tokio::join!(soon(Client::connect_with(options)), server.socket());
    assert!(matches!(result, Err(ConnectError::Timeout { timeout_ms: 50, .. })));
}

#[tokio::test]
async fn closing_sends_a_close_frame_and_ends_everything() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    let other = client.clone();
    let close = async {
        assert_eq!(peer.close_code().await, 1000);
        peer.frame(Frame::close(1000, b"")).await;
    };
    tokio::join!(soon(client.close()), close);
    assert!(other.ping().await.is_err());
    while soon(events.next()).await.is_some() {}
}

#[tokio::test]
async fn dropping_the_last_handle_closes() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    client.publish_unacknowledged(broker_client::Publish::event("a", "1")).await.unwrap();
    drop(client);
    peer.expect(r#"{"op":"publish","id":1,"topic":"a","kind":"event","data":1}"#).await;
    peer.send(r#"{"op":"published","id":1,"topic":"a","epoch":"k","seq":1}"#).await;
    assert_eq!(peer.close_code().await, 1000);
}

#[tokio::test]
async fn a_broker_that_does_not_answer_the_close_is_not_waited_for() {
    let server = Server::bind().await;
    let options = Options { close_timeout_ms: 50, ..server.options() };
    let (client, _peer) = server.connect(options, HELLO).await;
    let began = std::time::Instant::now();
    soon(client.close()).await;
    assert!(began.elapsed() >= Duration::from_millis(50));
}
