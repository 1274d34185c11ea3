//! Several addresses: in which order they are tried, when there is a wait, and where a client resumes.

use broker_client::{
    Backoff, Client, ClosedReason, ConnectError, ConnectionEvent, ConnectionEvents, Event, Options, Token,
};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::server::{HELLO, Peer, Server, head, last_of, soon, start, subscribed};

/// A wait that no test outlives: whoever waits like this does not come back.
const FOREVER: Backoff = Backoff { first_ms: 600_000, max_ms: 600_000, jitter: 0.0 };

/// The waits with which the next failures are reported.
async fn waits_ms<const COUNT: usize>(events: &mut ConnectionEvents) -> [u64; COUNT] {
    let mut waits_ms = [0; COUNT];
    for wait_ms in &mut waits_ms {
        *wait_ms = loop {
            match soon(events.next()).await.expect("the client is over") {
                ConnectionEvent::Disconnected { retry_ms: Some(retry_ms), .. } => break retry_ms,
                ConnectionEvent::AttemptFailed { retry_ms, .. } => break retry_ms,
                _ => {}
            }
        };
    }
    waits_ms
}

/// The events from now on: that of the present connection is taken out.
async fn events(client: &Client) -> ConnectionEvents {
    let mut events = client.events();
    assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Connected { resumed: false, .. })));
    events
}

/// The broker's end of the connection that resumes the topic `a` after this update.
async fn resumes(server: &Server, seq: u64) -> Peer {
    let mut peer = server.accept(HELLO).await;
    let request = peer.next().await;
    assert_eq!(request["topics"], json!([{"topic": "a", "epoch": "k1", "seq": seq}]), "{request}");
    peer.subscribed(&request["id"], &[start("a", "event", "k1", seq, "resumed")]).await;
    peer
}

#[tokio::test]
async fn the_first_attempt_is_made_at_each_address() {
    let server = Server::bind().await;
    let (one, two) = (Server::nowhere().await, Server::nowhere().await);
    let options = Options { shuffle: false, ..Options::any_of([&one, &two, &server.url]) };
    let (client, _peer) = server.connect(options, HELLO).await;
    assert_eq!(*client.url(), *server.url);

    let error = soon(Client::connect_with(Options::any_of([&one, &two]))).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoBroker(_)), "{error:?}");
    for url in [one, two] {
        let address = url.trim_start_matches("ws://").trim_end_matches("/v1/ws");
        assert!(error.to_string().contains(address), "{error}");
    }
    let error = soon(Client::connect_with(Options::new(&server.url).also("nonsense"))).await.unwrap_err();
    assert!(error.to_string().contains("\"nonsense\""), "{error}");
    server.expect_no_connection().await;
}

#[tokio::test]
async fn a_lost_connection_continues_at_the_next_address_at_once_where_it_was() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let options = Options { backoff: FOREVER, ..Server::options_of(&[&a, &b]) };
    let (client, mut peer, mut subscription) = subscribed(&a, options).await;
    let mut events = events(&client).await;
    peer.update("a", 1).await;
    peer.vanish();
    assert_eq!(waits_ms(&mut events).await, [0]);
    let mut peer = resumes(&b, 1).await;
    peer.update("a", 2).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match soon(subscription.next()).await {
            Some(Event::Update { seq, .. }) => seen.push(seq),
            Some(Event::Topic(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((seen, &*client.url(), client.counters().violations), (vec![1, 2], b.url.as_str(), 0));
    // That connection did not last: it is the second of two that failed in a row.
    peer.close(1011).await;
    assert_eq!(waits_ms(&mut events).await, [600_000]);
}

#[tokio::test]
async fn there_is_a_wait_only_when_all_have_failed_and_then_all_are_tried_again() {
    let a = Server::bind().await;
    let backoff = Backoff { first_ms: 1, max_ms: 2, jitter: 0.0 };
    let urls = [a.url.clone(), Server::nowhere().await, Server::nowhere().await];
    let options = Options { shuffle: false, backoff, ..Options::any_of(&urls) };
    let (client, peer) = a.connect(options, HELLO).await;
    let mut events = events(&client).await;
    peer.vanish();
    for wait_ms in [1, 2, 2] {
        assert_eq!(waits_ms(&mut events).await, [0, 0, wait_ms]);
        drop(a.socket().await);
    }
    let _peer = a.accept(HELLO).await;
}

#[tokio::test]
async fn a_position_holds_at_another_address() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let (client, mut peer) = a.connect(Server::options_of(&[&a, &b]), HELLO).await;
    let serve = async {
        let request = peer.next().await;
        let row = r#"{"pattern":"x.*","matched":0,"conflate_ms":0}"#;
        let id = &request["id"];
        peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[{row}],"errors":[]}}"#)).await;
        peer.send(r#"{"op":"position","id":"41"}"#).await;
    };
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["x.*"]).send()), serve);
    let _subscription = subscription.unwrap();
    // The answer shows that the position was read.
    tokio::join!(async { soon(client.ping()).await.unwrap() }, peer.pong());
    peer.close(1011).await;
    let mut peer = b.accept(HELLO).await;
    let request = peer.next().await;
    assert_eq!((&request["topics"], &request["resume"]), (&json!(["x.*"]), &json!("41")), "{request}");
}

#[tokio::test]
async fn a_wait_that_a_broker_asks_for_counts_at_every_address_unless_it_only_stops() {
    const YEARS_MS: u64 = 1_000_000_000_000;
    let asks =
        |reason: &str, after_ms: u64| Some(format!(r#"{{"op":"goaway","reason":"{reason}","after_ms":{after_ms}}}"#));
    let cases =
        [(None, 4029, 20..=20), (asks("rate_limited", 60), 4029, 60..=61), (asks("shutdown", YEARS_MS), 1001, 0..=0)];
    for (goaway, code, expected) in cases {
        let (a, b) = (Server::bind().await, Server::bind().await);
        let backoff = Backoff { first_ms: 1, max_ms: 20, jitter: 0.0 };
        // It does not look at the other broker before this one is gone.
        let options = Options { backoff, look_within_ms: YEARS_MS, ..Server::options_of(&[&a, &b]) };
        let (client, mut peer) = a.connect(options, HELLO).await;
        let mut events = events(&client).await;
        if let Some(goaway) = goaway {
            peer.send(&goaway).await;
        }
        peer.close(code).await;
        let [wait_ms] = waits_ms(&mut events).await;
        assert!(expected.contains(&wait_ms), "{wait_ms} ms after {code}");
        let _peer = b.accept(HELLO).await;
        a.expect_no_connection().await;
    }
}

#[tokio::test]
async fn what_ends_the_client_is_tried_at_no_other_address() {
    let required = HELLO.replace(r#""features":[]"#, r#""features":["auth"],"auth":"required""#);
    let (a, b) = (Server::bind().await, Server::bind().await);
    let options = Options { token: Token::fixed("wrong"), ..Server::options_of(&[&a, &b]) };
    let (client, mut peer) = a.connect(options, &required).await;
    let refuse = async {
        let id = peer.next().await["id"].clone();
        peer.send(&format!(r#"{{"op":"error","id":{id},"code":"bad_token","message":"no","retry":false}}"#)).await;
    };
    let (event, ()) = tokio::join!(last_of(&client), refuse);
    assert!(matches!(event, Some(ConnectionEvent::Closed(ClosedReason::Unauthenticated { .. }))), "{event:?}");

    let (client, peer) = a.connect(Server::options_of(&[&a, &b]), HELLO).await;
    let (event, ()) = tokio::join!(last_of(&client), peer.close(4003));
    assert!(matches!(event, Some(ConnectionEvent::Closed(ClosedReason::ByBroker { code: 4003, .. }))), "{event:?}");

    // In the first attempt too.
    let refuse = async {
        let mut socket = a.socket().await;
        head(&mut socket).await;
        socket.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        socket
    };
    let (result, _socket) = tokio::join!(soon(Client::connect_with(Server::options_of(&[&a, &b]))), refuse);
    assert!(matches!(result, Err(ConnectError::Refused { status: 401, .. })), "{result:?}");
    b.expect_no_connection().await;
}
