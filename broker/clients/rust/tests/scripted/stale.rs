//! A broker that is cut off from its journal, or about to stop: a better one takes over, and if there is none, the
//! client stays.

use broker_client::{
    Client, ConnectionEvent, ConnectionEvents, Event, Options, Publish, PublishError, Subscription, Token,
};
use fastwebsockets::{Frame, Payload};
use serde_json::json;

use crate::server::{HELLO, Peer, Server, soon, start, subscribed};

const STALE: &str = r#"{"op":"stale","since":1795404341000000}"#;
const FRESH: &str = r#"{"op":"fresh"}"#;

/// A client that follows the topic `a` at the first of these brokers.
struct Following {
    client: Client,
    peer: Peer,
    subscription: Subscription,
    events: ConnectionEvents,
}

async fn following(servers: &[&Server]) -> Following {
    following_with(servers[0], Server::options_of(servers)).await
}

async fn following_with(server: &Server, options: Options) -> Following {
    let (client, peer, subscription) = subscribed(server, options).await;
    let mut events = client.events();
    assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Connected { resumed: false, .. })));
    Following { client, peer, subscription, events }
}

impl Following {
    /// The next event of the connection, abbreviated.
    async fn event(&mut self) -> String {
        match soon(self.events.next()).await.expect("the client is over") {
            ConnectionEvent::Stale { since } => format!("stale {since}"),
            ConnectionEvent::Fresh => "fresh".to_owned(),
            ConnectionEvent::Connected { resumed: true, .. } => "connected".to_owned(),
            ConnectionEvent::Disconnected { .. } => "disconnected".to_owned(),
            ConnectionEvent::GoAway { .. } => "goaway".to_owned(),
            ConnectionEvent::Authenticated(who) => format!("authenticated {}", who.sub),
            other => panic!("{other:?}"),
        }
    }

    /// Checks that these events of the connection come next.
    async fn expect(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.event().await, *expected);
        }
    }

    /// Checks that this is the next update.
    async fn update(&mut self, expected: u64) {
        loop {
            match soon(self.subscription.next()).await {
                Some(Event::Update { seq, .. }) => return assert_eq!(seq, expected),
                Some(Event::Topic(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

const SAID: &str = "stale 1795404341000000";

/// Accepts a connection, and says that this broker is stale as well; the client leaves.
async fn is_stale_too(server: &Server) {
    let mut peer = server.accept(HELLO).await;
    let id = peer.next().await["id"].clone();
    peer.send(STALE).await;
    // The client may be gone by now.
    let pong = format!(r#"{{"op":"pong","id":{id},"ts":1}}"#);
    let _ = peer.try_frame(Frame::text(Payload::Owned(pong.into_bytes()))).await;
    left(peer).await;
}

/// Waits until the client has left.
async fn left(mut peer: Peer) {
    soon(async {
        while peer.try_frame(Frame::pong(Payload::Borrowed(b""))).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Answers the request that resumes the topic after `seq`.
async fn resume(peer: &mut Peer, seq: u64) {
    let request = peer.next().await;
    assert_eq!(request["topics"], json!([{"topic": "a", "epoch": "k1", "seq": seq}]), "{request}");
    peer.subscribed(&request["id"], &[start("a", "event", "k1", seq, "resumed")]).await;
}

#[tokio::test]
async fn the_first_broker_that_is_not_stale_takes_over_where_the_topics_are() {
    let (a, b, c) = (Server::bind().await, Server::bind().await, Server::bind().await);
    let mut all = following(&[&a, &b, &c]).await;
    all.peer.update("a", 1).await;
    all.peer.send(STALE).await;
    all.expect(&[SAID]).await;
    assert!(all.client.is_stale());
    is_stale_too(&b).await;
    // Deliveries go on while another one is tried.
    let mut peer = c.accept(HELLO).await;
    all.peer.update("a", 2).await;
    all.update(1).await;
    all.update(2).await;
    assert_eq!((&*all.client.url(), all.client.is_stale()), (a.url.as_str(), true));
    peer.pong().await;
    assert_eq!(all.peer.close_code().await, 1000);
    resume(&mut peer, 2).await;
    peer.update("a", 3).await;
    all.update(3).await;
    // There was always a connection.
    all.expect(&["connected", "fresh"]).await;
    assert_eq!((&*all.client.url(), all.client.is_stale()), (c.url.as_str(), false));
    let counters = all.client.counters();
    assert_eq!((counters.reconnects, counters.violations), (1, 0));
    for server in [a, b, c] {
        server.expect_no_connection().await;
    }
}

#[tokio::test]
async fn if_all_are_stale_each_is_tried_once_and_the_client_stays() {
    let (a, b, c) = (Server::bind().await, Server::bind().await, Server::bind().await);
    let mut all = following(&[&a, &b, &c]).await;
    for episode in 1..=2 {
        // A broker that repeats it begins nothing new.
        all.peer.send(STALE).await;
        all.peer.send(STALE).await;
        is_stale_too(&b).await;
        is_stale_too(&c).await;
        all.peer.update("a", episode).await;
        all.update(episode).await;
        all.peer.send(STALE).await;
        // Requests give it the time in which another search would begin.
        for _ in 0..50 {
            tokio::join!(async { soon(all.client.ping()).await.unwrap() }, all.peer.pong());
        }
        all.peer.send(FRESH).await;
        all.peer.send(FRESH).await;
        all.expect(&[SAID, "fresh"]).await;
    }
    assert_eq!((&*all.client.url(), all.client.is_stale()), (a.url.as_str(), false));
    for server in [a, b, c] {
        server.expect_no_connection().await;
    }
}

#[tokio::test]
async fn the_greeting_may_say_it_and_one_address_alone_has_nowhere_to_go() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let (client, mut peer) = a.connect(Server::options_of(&[&a, &b]), HELLO).await;
    peer.send(STALE).await;
    let mut other = b.accept(HELLO).await;
    other.pong().await;
    assert_eq!(peer.close_code().await, 1000);
    let mut events = client.events();
    soon(async {
        while client.is_stale() || *client.url() != *b.url {
            events.next().await;
        }
    })
    .await;

    let (alone, mut peer) = a.connected().await;
    peer.send(STALE).await;
    let mut events = alone.events();
    soon(async {
        while !alone.is_stale() {
            events.next().await;
        }
    })
    .await;
    // Who asks later is told.
    let mut late = alone.events();
    assert!(matches!(soon(late.next()).await, Some(ConnectionEvent::Connected { .. })));
    assert!(matches!(soon(late.next()).await, Some(ConnectionEvent::Stale { .. })));
    peer.send(FRESH).await;
    assert_eq!(soon(late.next()).await, Some(ConnectionEvent::Fresh));
    assert!(!alone.is_stale());
}

#[tokio::test]
async fn a_broker_that_is_fresh_again_is_not_left_and_a_lost_connection_ends_the_staleness() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let options = Options { connect_timeout_ms: 600_000, ..Server::options_of(&[&a, &b]) };
    let mut all = following_with(&a, options).await;
    all.peer.send(STALE).await;
    // It greets, and does not answer yet.
    let mut peer = b.accept(HELLO).await;
    assert_eq!(peer.next().await["op"], "ping");
    all.peer.send(FRESH).await;
    left(peer).await;
    all.expect(&[SAID, "fresh"]).await;
    all.peer.send(STALE).await;
    let mut peer = b.accept(HELLO).await;
    assert_eq!(peer.next().await["op"], "ping");
    all.peer.close(1011).await;
    let mut resumed = b.accept(HELLO).await;
    resume(&mut resumed, 0).await;
    left(peer).await;
    let mut rest = Vec::new();
    while rest.len() < 3 {
        rest.push(match soon(all.events.next()).await.unwrap() {
            ConnectionEvent::Stale { .. } => "stale",
            ConnectionEvent::Disconnected { retry_ms: Some(0), .. } => "disconnected",
            ConnectionEvent::Connected { .. } => "connected",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!((rest, all.client.is_stale()), (vec!["stale", "disconnected", "connected"], false));
}

#[tokio::test]
async fn those_that_are_not_reached_do_not_answer_or_break_down_are_passed_over() {
    let (a, silent, broken, stopping, good) =
        (Server::bind().await, Server::bind().await, Server::bind().await, Server::bind().await, Server::bind().await);
    let mut options = Server::options_of(&[&a, &silent, &broken, &stopping, &good]);
    options.other_urls.insert(0, Server::nowhere().await);
    options.connect_timeout_ms = 500;
    let mut all = following_with(&a, options).await;
    all.peer.send(STALE).await;
    let peer = silent.accept(HELLO).await;
    left(peer).await;
    let mut peer = broken.accept(HELLO).await;
    assert_eq!(peer.next().await["op"], "ping");
    peer.send("{").await;
    let mut peer = stopping.accept(HELLO).await;
    peer.send(r#"{"op":"goaway","reason":"shutdown","after_ms":5000}"#).await;
    left(peer).await;
    let mut peer = good.accept(HELLO).await;
    peer.send(r#"{"op":"heartbeat","ts":1}"#).await;
    peer.pong().await;
    resume(&mut peer, 0).await;
    all.expect(&[SAID, "connected", "fresh"]).await;
}

#[tokio::test]
async fn another_broker_is_given_the_token_before_it_takes_over() {
    let required = HELLO.replace(r#""features":[]"#, r#""features":["auth"],"auth":"required""#);
    let who = |id: &serde_json::Value| {
        format!(
            r#"{{"op":"authenticated","id":{id},"sub":"amy","expires_ts":null,"allow":{{"sub":[">"],"pub":[],"deny":[]}}}}"#
        )
    };
    for accepts in [true, false] {
        let (a, b, c) = (Server::bind().await, Server::bind().await, Server::bind().await);
        let options = Options { token: Token::fixed("the token"), ..Server::options_of(&[&a, &b, &c]) };
        let mut all = following_with(&a, options).await;
        all.peer.send(STALE).await;
        let mut peer = b.accept(&required).await;
        let request = peer.next().await;
        assert_eq!((&request["op"], &request["token"]), (&json!("auth"), &json!("the token")));
        if accepts {
            peer.send(&who(&request["id"])).await;
            peer.send(r#"{"op":"reauth","expires_ts":1}"#).await;
            peer.pong().await;
            // It is authenticated already.
            resume(&mut peer, 0).await;
            all.expect(&[SAID, "connected", "fresh", "authenticated amy"]).await;
            assert_eq!(all.client.authenticated().unwrap().sub, "amy");
        } else {
            let id = &request["id"];
            peer.send(&format!(r#"{{"op":"error","id":{id},"code":"bad_token","message":"no","retry":false}}"#)).await;
            left(peer).await;
            all.peer.send(FRESH).await;
            all.expect(&[SAID, "fresh"]).await;
            assert_eq!(*all.client.url(), *a.url);
        }
        c.expect_no_connection().await;
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_token_which_the_client_has_not_is_no_better() {
    let required = HELLO.replace(r#""features":[]"#, r#""features":["auth"],"auth":"required""#);
    let (a, b) = (Server::bind().await, Server::bind().await);
    let mut all = following(&[&a, &b]).await;
    all.peer.send(STALE).await;
    let mut peer = b.accept(&required).await;
    peer.pong().await;
    left(peer).await;
    all.peer.update("a", 1).await;
    all.update(1).await;
    assert_eq!(*all.client.url(), *a.url);
}

#[tokio::test]
async fn a_token_that_ends_soon_is_renewed_at_the_broker_that_takes_over() {
    let knows = HELLO.replace(r#""features":[]"#, r#""features":["auth"],"auth":"optional""#);
    let (a, b) = (Server::bind().await, Server::bind().await);
    let token = Token::from_fn(|| async { Ok::<_, std::io::Error>(Some("the token".to_owned())) });
    let mut all = following_with(&a, Options { token, ..Server::options_of(&[&a, &b]) }).await;
    all.peer.send(STALE).await;
    let mut peer = b.accept(&knows).await;
    let id = peer.next().await["id"].clone();
    let allow = r#"{"sub":[">"],"pub":[],"deny":[]}"#;
    peer.send(&format!(r#"{{"op":"authenticated","id":{id},"sub":"amy","expires_ts":9,"allow":{allow}}}"#)).await;
    peer.send(r#"{"op":"reauth","expires_ts":9}"#).await;
    peer.pong().await;
    let mut asked = [peer.next().await["op"].clone(), peer.next().await["op"].clone()];
    asked.sort_by_key(ToString::to_string);
    assert_eq!(asked, ["auth", "subscribe"]);
}

#[tokio::test]
async fn requests_in_flight_when_another_broker_takes_over() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let mut all = following(&[&a, &b]).await;
    let publish = |update: Publish| {
        let client = all.client.clone();
        tokio::spawn(async move { client.publish(update).await })
    };
    let unknown = publish(Publish::event("a", "1"));
    assert_eq!(all.peer.next().await["data"], 1);
    let certain = publish(Publish::event("a", "2").source("here", 1));
    assert_eq!(all.peer.next().await["data"], 2);
    all.peer.send(STALE).await;
    let mut peer = b.accept(HELLO).await;
    peer.pong().await;
    let (mut request, mut resumed) = (peer.next().await, peer.next().await);
    if request["op"] != "publish" {
        std::mem::swap(&mut request, &mut resumed);
    }
    assert_eq!((&request["data"], &resumed["op"]), (&json!(2), &json!("subscribe")));
    let id = &request["id"];
    peer.send(&format!(r#"{{"op":"published","id":{id},"topic":"a","epoch":"k1","seq":6}}"#)).await;
    assert_eq!(soon(certain).await.unwrap().unwrap().seq, 6);
    assert_eq!(soon(unknown).await.unwrap(), Err(PublishError::Unanswered));
}

#[tokio::test]
async fn a_broker_that_is_about_to_stop_is_left_before_it_closes() {
    let (a, b) = (Server::bind().await, Server::bind().await);
    let mut all = following(&[&a, &b]).await;
    all.peer.send(r#"{"op":"goaway","reason":"shutdown","after_ms":5000}"#).await;
    let mut peer = b.accept(HELLO).await;
    peer.pong().await;
    assert_eq!(all.peer.close_code().await, 1000);
    resume(&mut peer, 0).await;
    peer.update("a", 1).await;
    all.update(1).await;
    all.expect(&["goaway", "connected"]).await;
}
