//! Tokens: when they are asked for and sent, renewed, and refused.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use broker_client::{
    Backoff, Client, ClosedReason, ConnectError, ConnectionEvent, ConnectionEvents, Event, Options, Publish, Token,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::server::{HELLO, Peer, Server, head, soon, start};

fn greeting() -> String {
    HELLO.replace(r#""features":[]"#, r#""features":["auth"],"auth":"required""#)
}

/// A function that gives these tokens in turn, the last one again and again; and how often it was asked.
fn in_turn(tokens: &'static [&'static str]) -> (Token, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let token = Token::from_fn(move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, io::Error>(Some(tokens[number.min(tokens.len() - 1)].to_owned())) }
    });
    (token, asked)
}

/// Takes the next message, which has this token, and returns its id.
async fn asked(peer: &mut Peer, token: &str) -> Value {
    let message = peer.next().await;
    assert_eq!((&message["op"], &message["token"]), (&"auth".into(), &token.into()), "{message}");
    message["id"].clone()
}

async fn accept(peer: &mut Peer, id: &Value, expires_ts: u64) {
    let allow = r#"{"sub":[">"],"pub":[],"deny":[]}"#;
    peer.send(&format!(r#"{{"op":"authenticated","id":{id},"sub":"a","expires_ts":{expires_ts},"allow":{allow}}}"#))
        .await;
}

async fn refuse(peer: &mut Peer, id: &Value, message: &str) {
    peer.send(&format!(r#"{{"op":"error","id":{id},"code":"bad_token","message":"{message}","retry":false}}"#)).await;
}

async fn next(events: &mut ConnectionEvents, fits: impl Fn(&ConnectionEvent) -> bool) -> ConnectionEvent {
    loop {
        let event = soon(events.next()).await.expect("the client is over");
        if fits(&event) {
            return event;
        }
    }
}

/// The last event, which says why the client ended.
async fn end(events: &mut ConnectionEvents) -> ClosedReason {
    let mut last = None;
    while let Some(event) = soon(events.next()).await {
        last = Some(event);
    }
    match last {
        Some(ConnectionEvent::Closed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_goes_first_and_who_it_is_is_told() {
    let server = Server::bind().await;
    let (token, times) = in_turn(&["one\n", "two"]);
    let options = Options { token, ..server.options() };
    let (client, mut peer) = server.connect(options, &greeting()).await;
    let mut events = client.events();
    let id = asked(&mut peer, "one").await;
    assert_eq!(client.authenticated(), None);
    accept(&mut peer, &id, 17).await;
    let told = next(&mut events, |event| matches!(event, ConnectionEvent::Authenticated(_))).await;
    let ConnectionEvent::Authenticated(who) = told else { unreachable!() };
    assert_eq!((who.sub.as_str(), who.expires_ts, &who.allow.sub), ("a", Some(17), &vec![">".to_owned()]));
    assert_eq!(client.authenticated().as_deref(), Some(&who));
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    let mut subscription = subscription.unwrap();

    // On the next connection the token comes before what is restored, and nothing waits for its answer.
    peer.close(1011).await;
    let mut peer = server.accept(&greeting()).await;
    let id = asked(&mut peer, "two").await;
    let request = peer.next().await;
    assert_eq!(request["op"], "subscribe");
    assert_eq!(client.authenticated(), None);
    accept(&mut peer, &id, 18).await;
    peer.subscribed(&request["id"], &[start("a", "event", "k1", 0, "resumed")]).await;
    peer.update("a", 1).await;
    while !matches!(soon(subscription.next()).await, Some(Event::Update { seq: 1, .. })) {}
    assert_eq!(times.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_broker_that_knows_no_tokens_gets_none() {
    let server = Server::bind().await;
    let options = Options { token: Token::fixed("secret"), ..server.options() };
    let (client, mut peer) = server.connect(options, HELLO).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    subscription.unwrap();
    assert_eq!(client.authenticated(), None);
}

#[tokio::test]
async fn a_refused_token_is_asked_for_once_more_and_nothing_that_was_wanted_is_lost() {
    let server = Server::bind().await;
    let (token, times) = in_turn(&["first", "old", "good"]);
    let backoff = Backoff { first_ms: 600_000, max_ms: 600_000, jitter: 0.0 };
    let options = Options { token, backoff, ..server.options() };
    let (client, mut peer) = server.connect(options, &greeting()).await;
    let mut events = client.events();
    let id = asked(&mut peer, "first").await;
    // A publish waits for the answer: behind a refused token it would be lost.
    let publish = tokio::spawn({
        let client = client.clone();
        async move { client.publish(Publish::event("p", "1")).await }
    });
    let subscribe = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(["a"]).send().await }
    });
    refuse(&mut peer, &id, "first has expired").await;
    let lost = next(&mut events, |event| matches!(event, ConnectionEvent::Disconnected { .. })).await;
    assert!(!format!("{lost:?}").contains("first"), "{lost:?}");
    let ConnectionEvent::Disconnected { code: Some(4001), retry_ms: Some(0), .. } = lost else { panic!("{lost:?}") };
    let mut peer = server.accept(&greeting()).await;
    let id = asked(&mut peer, "old").await;
    accept(&mut peer, &id, 1).await;
    let mut wanted = [peer.next().await, peer.next().await];
    wanted.sort_by_key(|message| message["op"].as_str().map(str::to_owned));
    assert_eq!((&wanted[0]["op"], &wanted[1]["op"]), (&"publish".into(), &"subscribe".into()));
    let id = &wanted[0]["id"];
    peer.send(&format!(r#"{{"op":"published","id":{id},"topic":"p","epoch":"k","seq":1}}"#)).await;
    peer.subscribed(&wanted[1]["id"], &[start("a", "event", "k1", 0, "live")]).await;
    soon(publish).await.unwrap().unwrap();
    soon(subscribe).await.unwrap().unwrap();
    assert_eq!(times.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn after_two_refusals_in_a_row_there_is_no_third_and_no_text_has_the_token() {
    enum How {
        Message,
        Code,
        Status,
    }
    for how in [How::Message, How::Code, How::Status] {
        for (token, attempts) in [(Token::fixed("marker-1"), 1), (in_turn(&["marker-1", "marker-2", "marker-3"]).0, 2)]
        {
            let server = Server::bind().await;
            let options = Options { token, ..server.options() };
            if matches!(how, How::Status) {
                let serve = async {
                    for _ in 0..attempts {
                        let mut socket = server.socket().await;
                        head(&mut socket).await;
                        let body = "a token is needed";
                        let answer =
                            format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                        socket.write_all(answer.as_bytes()).await.unwrap();
                    }
                };
                let (result, ()) = tokio::join!(soon(Client::connect_with(options)), serve);
                let error = result.unwrap_err();
                assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{error}");
                continue;
            }
            let (client, mut peer) = server.connect(options, &greeting()).await;
            let mut events = client.events();
            for attempt in 1..=attempts {
                let id = asked(&mut peer, &format!("marker-{attempt}")).await;
                match how {
                    How::Message => refuse(&mut peer, &id, "marker-1 and marker-2 have expired").await,
                    _ => peer.close(4001).await,
                }
                if attempt < attempts {
                    peer = server.accept(&greeting()).await;
                } else {
                    break;
                }
            }
            let reason = end(&mut events).await;
            assert!(matches!(reason, ClosedReason::Unauthenticated { .. }), "{reason}");
            assert!(!reason.to_string().contains(&format!("marker-{attempts}")), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_client_without_a_token_ends_where_one_is_required() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connect(server.options(), &greeting()).await;
    let mut events = client.events();
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(["a"]).send().await.map(drop) }
    });
    let id = peer.next().await["id"].clone();
    refuse(&mut peer, &id, "authenticate first").await;
    assert!(matches!(end(&mut events).await, ClosedReason::Unauthenticated { .. }));
    soon(subscribing).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_broker_that_takes_the_token_and_closes_again_and_again_is_asked_more_and_more_slowly() {
    let server = Server::bind().await;
    let backoff = Backoff { first_ms: 1, max_ms: 600_000, jitter: 0.0 };
    let options = Options { token: in_turn(&["good"]).0, backoff, ..server.options() };
    let (client, mut peer) = server.connect(options, &greeting()).await;
    let mut events = client.events();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let id = asked(&mut peer, "good").await;
        accept(&mut peer, &id, 1).await;
        next(&mut events, |event| matches!(event, ConnectionEvent::Authenticated(_))).await;
        peer.close(4001).await;
        let lost = next(&mut events, |event| matches!(event, ConnectionEvent::Disconnected { .. })).await;
        let ConnectionEvent::Disconnected { retry_ms: Some(wait_ms), .. } = lost else { panic!("{lost:?}") };
        waits.push(wait_ms);
        peer = server.accept(&greeting()).await;
    }
    assert!(waits.is_sorted() && waits[4] >= 8, "{waits:?}");
}

#[tokio::test]
async fn a_token_function_that_fails_is_asked_again_after_growing_waits() {
    let server = Server::bind().await;
    let failing = || async { Err::<Option<String>, _>(io::Error::other("no network")) };
    let result = soon(Client::connect_with(Options { token: Token::from_fn(failing), ..server.options() })).await;
    let error = result.unwrap_err();
    assert!(matches!(error, ConnectError::Token { .. }) && error.to_string().contains("no network"), "{error}");

    let fails = Arc::new(Mutex::new(0_u32));
    let token = Token::from_fn({
        let fails = fails.clone();
        move || {
            let mut left = fails.lock().unwrap();
            let failed = *left > 0;
            *left = left.saturating_sub(1);
            async move { if failed { Err(io::Error::other("no network")) } else { Ok(Some("good".to_owned())) } }
        }
    });
    let backoff = Backoff { first_ms: 1, max_ms: 600_000, jitter: 0.0 };
    let (client, mut peer) = server.connect(Options { token, backoff, ..server.options() }, &greeting()).await;
    let mut events = client.events();
    let id = asked(&mut peer, "good").await;
    accept(&mut peer, &id, 1).await;
    next(&mut events, |event| matches!(event, ConnectionEvent::Authenticated(_))).await;
    *fails.lock().unwrap() = 4;
    peer.vanish();
    let mut waits = Vec::new();
    while waits.len() < 4 {
        let failed = next(&mut events, |event| matches!(event, ConnectionEvent::AttemptFailed { .. })).await;
        let ConnectionEvent::AttemptFailed { reason, retry_ms } = failed else { unreachable!() };
        assert!(reason.contains("no network"), "{reason}");
        waits.push(retry_ms);
    }
    assert_eq!(waits, [2, 4, 8, 16]);
    let mut peer = server.accept(&greeting()).await;
    asked(&mut peer, "good").await;
}

#[tokio::test]
async fn reauth_is_answered_with_another_token_over_the_open_connection() {
    let server = Server::bind().await;
    let (token, times) = in_turn(&["one", "two", "three", "four", "five"]);
    let (client, mut peer) = server.connect(Options { token, ..server.options() }, &greeting()).await;
    let mut events = client.events();
    let id = asked(&mut peer, "one").await;
    accept(&mut peer, &id, 1).await;
    peer.send(r#"{"op":"reauth","expires_ts":1}"#).await;
    let id = asked(&mut peer, "two").await;
    accept(&mut peer, &id, 2).await;
    let renewed =
        |event: &ConnectionEvent| matches!(event, ConnectionEvent::Authenticated(who) if who.expires_ts == Some(2));
    next(&mut events, renewed).await;

    // Two that are refused are not followed by a third, and the connection goes on with the token that it has.
    peer.send(r#"{"op":"reauth","expires_ts":2}"#).await;
    for token in ["three", "four"] {
        let id = asked(&mut peer, token).await;
        refuse(&mut peer, &id, token).await;
    }
    let told = next(&mut events, |event| matches!(event, ConnectionEvent::Error { .. })).await;
    let ConnectionEvent::Error { code, message } = told else { unreachable!() };
    assert!(code == "bad_token" && !message.contains("four"), "{code} {message}");
    let (ping, ()) = tokio::join!(soon(client.ping()), async {
        let message = peer.next().await;
        assert_eq!(message["op"], "ping");
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":5}}"#, message["id"])).await;
    });
    assert_eq!((ping.unwrap(), times.load(Ordering::SeqCst)), (5, 4));

    // When its token ends, another one is asked for.
    peer.close(4001).await;
    let mut peer = server.accept(&greeting()).await;
    asked(&mut peer, "five").await;
}

#[tokio::test]
async fn a_renewal_that_cannot_be_checked_at_present_is_tried_again_after_its_wait() {
    let server = Server::bind().await;
    let (token, _) = in_turn(&["one", "two", "three"]);
    let (_client, mut peer) = server.connect(Options { token, ..server.options() }, &greeting()).await;
    let id = asked(&mut peer, "one").await;
    accept(&mut peer, &id, 1).await;
    peer.send(r#"{"op":"reauth","expires_ts":1}"#).await;
    let id = asked(&mut peer, "two").await;
    let began = Instant::now();
    let error = r#""code":"unavailable","message":"no keys yet","retry":true,"retry_ms":150"#;
    peer.send(&format!(r#"{{"op":"error","id":{id},{error}}}"#)).await;
    let id = asked(&mut peer, "three").await;
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    accept(&mut peer, &id, 2).await;
}

#[tokio::test]
async fn a_fixed_token_has_no_successor() {
    let server = Server::bind().await;
    let options = Options { token: Token::fixed("one"), ..server.options() };
    let (client, mut peer) = server.connect(options, &greeting()).await;
    let id = asked(&mut peer, "one").await;
    accept(&mut peer, &id, 1).await;
    peer.send(r#"{"op":"reauth","expires_ts":1}"#).await;
    let (ping, ()) = tokio::join!(soon(client.ping()), async {
        let message = peer.next().await;
        assert_eq!(message["op"], "ping");
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":5}}"#, message["id"])).await;
    });
    ping.unwrap();
}

#[tokio::test]
async fn a_token_file_is_read_again_before_each_attempt() {
    let server = Server::bind().await;
    let folder = std::env::temp_dir().join(format!("tickcast-token-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("token");
    std::fs::write(&path, "one\n").unwrap();
    let options = Options { token: Token::file(&path), ..server.options() };
    let (_client, mut peer) = server.connect(options, &greeting()).await;
    let id = asked(&mut peer, "one").await;
    accept(&mut peer, &id, 1).await;
    std::fs::write(&path, "two\n").unwrap();
    peer.vanish();
    let mut peer = server.accept(&greeting()).await;
    asked(&mut peer, "two").await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_broker_that_cannot_check_tokens_at_present_is_asked_again_after_its_wait() {
    let server = Server::bind().await;
    let options = Options { token: Token::fixed("fine"), ..server.options() };
    let (_client, mut peer) = server.connect(options, &greeting()).await;
    let id = asked(&mut peer, "fine").await;
    let began = Instant::now();
    peer.send(&format!(
        r#"{{"op":"error","id":{id},"code":"unavailable","message":"no keys yet","retry":true,"retry_ms":150}}"#
    ))
    .await;
    let mut peer = server.accept(&greeting()).await;
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    asked(&mut peer, "fine").await;
}

#[tokio::test]
async fn a_refused_upgrade_says_when_to_come_back() {
    let server = Server::bind().await;
    let (client, peer) = server.connected().await;
    peer.vanish();
    let began = Instant::now();
    let mut socket = server.socket().await;
    head(&mut socket).await;
    socket.write_all(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let _peer = server.accept(HELLO).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    drop(client);
}
