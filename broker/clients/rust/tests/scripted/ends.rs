//! How a connection ends, and whether another follows.

use std::time::{Duration, Instant};

use broker_client::{Backoff, Client, ClosedReason, ConnectionEvent, ConnectionEvents, Event, Options};
use fastwebsockets::{Frame, OpCode, Payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{HELLO, Server, head, hello, last_of, soon, start, subscribed};

#[tokio::test]
async fn close_codes_after_which_the_client_reconnects() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    for code in [1000, 1001, 1011, 4008, 4009, 4029, 1013] {
        peer.close(code).await;
        peer = server.accept(HELLO).await;
        let reported = soon(async {
            loop {
                if let Some(ConnectionEvent::Disconnected { code, retry_ms, reason }) = events.next().await {
                    return (code, retry_ms.is_some(), reason);
                }
            }
        });
        assert_eq!(reported.await, (Some(code), true, "as scripted".to_owned()));
    }
}

#[tokio::test]
async fn close_codes_that_end_the_client() {
    for code in [1002, 1003, 1007, 1009, 4003] {
        let server = Server::bind().await;
        let (client, peer, mut subscription) = subscribed(&server, server.options()).await;
        let mut events = client.events();
        peer.close(code).await;
        assert_eq!(soon(subscription.next()).await, None, "{code}");
        let mut last = None;
        while let Some(event) = soon(events.next()).await {
            last = Some(event);
        }
        let reason = ClosedReason::ByBroker { code, reason: "as scripted".into() };
        assert_eq!(last, Some(ConnectionEvent::Closed(reason)));
        let error = client.publish(broker_client::Publish::event("a", "1")).await.unwrap_err();
        assert!(matches!(error, broker_client::PublishError::Closed(_)), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_is_asked_for_a_token_ends_and_reports_it() {
    let server = Server::bind().await;
    let (client, peer) = server.connected().await;
    let (last_event, ()) = tokio::join!(last_of(&client), peer.close(4001));
    let reason = ClosedReason::Unauthenticated { reason: "as scripted".into() };
    assert_eq!(last_event, Some(ConnectionEvent::Closed(reason.clone())));
    assert!(reason.to_string().contains("requires authentication"), "{reason}");

    // The broker came back and accepts no client without a token.
    let server = Server::bind().await;
    let (client, peer) = server.connected().await;
    peer.vanish();
    let refuse = async {
        let mut socket = server.socket().await;
        head(&mut socket).await;
        let body = "a token is needed";
        let answer = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket
    };
    let (last_event, _socket) = tokio::join!(last_of(&client), refuse);
    let reason = ClosedReason::Unauthenticated { reason: "a token is needed".into() };
    assert_eq!(last_event, Some(ConnectionEvent::Closed(reason)));
}

/// The wait that the next lost connection is reported with.
async fn next_wait_ms(events: &mut ConnectionEvents) -> u64 {
    loop {
        if let Some(ConnectionEvent::Disconnected { retry_ms: Some(retry_ms), .. }) = soon(events.next()).await {
            return retry_ms;
        }
    }
}

#[tokio::test]
async fn a_broker_on_which_everything_was_restored_is_well_again() {
    let server = Server::bind().await;
    let backoff = Backoff { first_ms: 1, max_ms: 600_000, jitter: 0.0 };
    let options = Options { backoff, ..server.options() };
    let (client, peer, _subscription) = subscribed(&server, options).await;
    let mut events = client.events();
    peer.vanish();
    assert_eq!(next_wait_ms(&mut events).await, 1);
    for _ in 0..7 {
        drop(server.socket().await);
    }
    // A handshake proves nothing: this broker may fail at the next request.
    let mut peer = server.accept(HELLO).await;
    assert_eq!(peer.next().await["op"], "subscribe");
    peer.vanish();
    assert_eq!(next_wait_ms(&mut events).await, 256);
    let mut peer = server.accept(HELLO).await;
    let request = peer.next().await;
    peer.subscribed(&request["id"], &[start("a", "event", "k1", 0, "resumed")]).await;
    peer.close(1011).await;
    let wait_ms = next_wait_ms(&mut events).await;
    assert!(wait_ms <= 2, "{wait_ms} ms after a connection that had everything again");
}

#[tokio::test]
async fn a_broker_that_accepts_connections_and_loses_them_is_asked_more_and_more_slowly() {
    let server = Server::bind().await;
    let backoff = Backoff { first_ms: 1, max_ms: 600_000, jitter: 0.0 };
    let (client, mut peer) = server.connect(Options { backoff, ..server.options() }, HELLO).await;
    let mut events = client.events();
    let mut waits_ms = Vec::new();
    for _ in 0..8 {
        peer.vanish();
        waits_ms.push(next_wait_ms(&mut events).await);
        peer = server.accept(HELLO).await;
    }
    assert_eq!(waits_ms, [1, 2, 4, 8, 16, 32, 64, 128]);
}

#[tokio::test]
async fn goaway_says_when_to_reconnect() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    let Some(ConnectionEvent::Connected { resumed: false, .. }) = soon(events.next()).await else { panic!() };
    peer.send(r#"{"op":"goaway","reason":"shutdown","after_ms":200}"#).await;
    let Some(ConnectionEvent::GoAway { after_ms: 200, .. }) = soon(events.next()).await else { panic!() };
    let began = Instant::now();
    peer.close(1001).await;
    let _peer = server.accept(HELLO).await;
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn attempts_continue_until_one_succeeds() {
    let server = Server::bind().await;
    let (client, peer) = server.connected().await;
    let mut events = client.events();
    let Some(ConnectionEvent::Connected { resumed: false, .. }) = soon(events.next()).await else { panic!() };
    peer.vanish();
    for _ in 0..3 {
        drop(server.socket().await);
    }
    let _peer = server.accept(HELLO).await;
    let mut failed = 0;
    loop {
        match soon(events.next()).await {
            Some(ConnectionEvent::AttemptFailed { retry_ms, .. }) => {
                assert!(retry_ms <= 20);
                failed += 1;
            }
            Some(ConnectionEvent::Connected { .. }) => break,
            _ => {}
        }
    }
    assert_eq!(failed, 3);
}

#[tokio::test]
async fn a_broker_without_a_heartbeat_is_dead() {
    let server = Server::bind().await;
    let fast = hello(&[("heartbeat_ms", 200)]);
    let (client, mut peer) = server.connect(server.options(), &fast).await;
    let mut events = client.events();
    let Some(ConnectionEvent::Connected { resumed: false, .. }) = soon(events.next()).await else { panic!() };
    // Heartbeats keep it alive for longer than the limit of 500 ms.
    let began = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    while began.elapsed() < Duration::from_millis(800) {
        beat.tick().await;
        peer.send(r#"{"op":"heartbeat","ts":1}"#).await;
    }
    let _peer = server.accept(HELLO).await;
    let Some(ConnectionEvent::Disconnected { reason, code: None, .. }) = soon(events.next()).await else { panic!() };
    assert!(reason.contains("no byte came for 500 ms"), "{reason}");
    assert!(began.elapsed() >= Duration::from_millis(1_300));
}

#[tokio::test]
async fn pings_are_answered_with_their_bytes() {
    let server = Server::bind().await;
    let (_client, mut peer) = server.connected().await;
    peer.frame(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b"are you there"))).await;
    let pong = peer.next_frame().await;
    assert_eq!((pong.opcode, &pong.payload[..]), (OpCode::Pong, &b"are you there"[..]));
}

#[tokio::test]
async fn a_slow_reader_still_sends_signs_of_life() {
    let server = Server::bind().await;
    let options = Options { queue_updates_max: 1, ..server.options() };
    let (client, mut peer) = server.connect(options, &hello(&[("heartbeat_ms", 100)])).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    let _subscription = subscription.unwrap();
    for seq in 1..=3 {
        peer.update("a", seq).await;
    }
    // The subscription is not read, so the connection is not read either: pings are not seen, and pongs come anyway.
    let frame = peer.next_frame().await;
    assert_eq!(frame.opcode, OpCode::Pong);
}

/// Checks that this frame, which a broker must not send, is answered with this close code, and that the client
/// reconnects.
async fn garbage(frame: Frame<'_>, code: u16) {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let what = String::from_utf8_lossy(&frame.payload).into_owned();
    peer.frame(frame).await;
    assert_eq!(peer.close_code().await, code, "{what}");
    let _peer = server.accept(HELLO).await;
    drop(client);
}

#[tokio::test]
async fn garbage_is_answered_with_its_code() {
    let text = |text: &'static str| Frame::text(Payload::Borrowed(text.as_bytes()));
    garbage(text("}{"), 1002).await;
    garbage(text(r#"{"op":"update","topic":"a"}"#), 1002).await;
    garbage(text(r#"{"op":"pong","id":77,"ts":1}"#), 1002).await;
    garbage(Frame::binary(Payload::Borrowed(b"x")), 1003).await;
    garbage(Frame::text(Payload::Borrowed(b"\xff")), 1007).await;
    garbage(Frame::new(true, OpCode::Continuation, None, Payload::Borrowed(b"x")), 1002).await;
    garbage(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(&[b'x'; 126])), 1002).await;
}

#[tokio::test]
async fn a_fragmented_message_is_one_message() {
    let server = Server::bind().await;
    let (_client, mut peer, mut subscription) = subscribed(&server, server.options()).await;
    let whole = r#"{"op":"update","topic":"a","seq":1,"ts":1,"data":"née"}"#.as_bytes();
    // Cut inside a character, with a ping in between.
    let at = whole.iter().position(|byte| *byte >= 0x80).unwrap() + 1;
    peer.frame(Frame::new(false, OpCode::Text, None, Payload::Borrowed(&whole[..at]))).await;
    peer.frame(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b"!"))).await;
    peer.frame(Frame::new(true, OpCode::Continuation, None, Payload::Borrowed(&whole[at..]))).await;
    assert_eq!(peer.next_frame().await.opcode, OpCode::Pong);
    let Event::Update { data, .. } = soon(subscription.next()).await.unwrap() else { panic!() };
    assert_eq!(data.text(), r#""née""#);
}

#[tokio::test]
async fn absurd_lengths_are_refused_before_they_arrive() {
    let server = Server::bind().await;
    // A text frame that claims 2^40 bytes.
    let (_client, peer) = server.connected().await;
    let mut socket = peer.raw(&[0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0]).await;
    let mut rest = Vec::new();
    soon(socket.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest[0], 0x88, "a close frame");
    // Endless fragments.
    let mut peer = server.accept(HELLO).await;
    let piece = vec![b' '; 1 << 18];
    peer.frame(Frame::new(false, OpCode::Text, None, Payload::Borrowed(&piece))).await;
    let endless = async {
        for _ in 0..100 {
            let frame = Frame::new(false, OpCode::Continuation, None, Payload::Owned(piece.clone()));
            if peer.try_frame(frame).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(soon(endless).await, "the client hangs up long before 25 MiB");
    let _peer = server.accept(HELLO).await;
}

#[tokio::test]
async fn a_client_that_is_closed_while_disconnected_does_not_reconnect() {
    let server = Server::bind().await;
    let backoff = broker_client::Backoff { first_ms: 600_000, max_ms: 600_000, jitter: 0.0 };
    let (client, peer): (Client, _) = server.connect(Options { backoff, ..server.options() }, HELLO).await;
    let mut events = client.events();
    peer.vanish();
    while !matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })) {}
    let began = Instant::now();
    soon(client.close()).await;
    assert!(began.elapsed() < Duration::from_secs(4), "not even the close timeout: nothing is on its way");
}
