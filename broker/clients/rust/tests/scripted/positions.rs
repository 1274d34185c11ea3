//! Positions: a client of patterns, or of thousands of topics, resumes with a short request.

use broker_client::{Client, Event, GapReason, Start, SubscribeError, Subscription};
use serde_json::{Value, json};

use crate::server::{HELLO, Peer, Server, soon, start, topic};

async fn next(subscription: &mut Subscription) -> Event {
    soon(subscription.next()).await.expect("the subscription continues")
}

/// The next events, abbreviated.
async fn seen(subscription: &mut Subscription, events: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..events {
        seen.push(match next(subscription).await {
            Event::Topic(begun) => format!("{} {:?} {}", begun.topic, begun.start, begun.seq),
            Event::Image { topic, seq, .. } => format!("{topic} image {seq}"),
            Event::Update { topic, seq, .. } => format!("{topic} {seq}"),
            Event::Gap { topic, from, to, reason } => format!("{topic} gap {from}-{to} {reason:?}"),
            Event::Closed { topic } => format!("{topic} closed"),
            Event::Ready => "ready".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    seen
}

/// Answers a request for one pattern, and returns it.
async fn pattern(peer: &mut Peer, pattern: &str, matched: u64) -> Value {
    let request = peer.next().await;
    assert_eq!(request["topics"], json!([pattern]), "{request}");
    let row = format!(r#"{{"pattern":"{pattern}","matched":{matched},"conflate_ms":0}}"#);
    let id = &request["id"];
    peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[{row}],"errors":[]}}"#)).await;
    request
}

async fn subscribe(client: &Client, peer: &mut Peer, entry: &str) -> Subscription {
    let (subscription, request) = tokio::join!(soon(client.subscribe([entry]).send()), pattern(peer, entry, 0));
    assert_eq!(request["positions"], json!(true), "{request}");
    subscription.unwrap()
}

async fn position(peer: &mut Peer, id: u64) {
    peer.send(&format!(r#"{{"op":"position","id":"{id}"}}"#)).await;
}

async fn refuse(peer: &mut Peer, field: &str) -> Value {
    let request = peer.next().await;
    assert!(!request[field].is_null(), "{request}");
    let message = format!(r#"\"{field}\" is not a field of subscribe"#);
    let id = &request["id"];
    peer.send(&format!(r#"{{"op":"error","id":{id},"code":"bad_request","message":"{message}","retry":false}}"#)).await;
    request
}

#[tokio::test]
async fn a_pattern_resumes_from_the_last_position_and_repeats_nothing() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut subscription = subscribe(&client, &mut peer, "x.*").await;
    for name in ["x.e1", "x.e2", "x.e3", "x.e4"] {
        peer.send(&topic(&start(name, "event", "k1", 4, "live"))).await;
        peer.update(name, 5).await;
    }
    peer.send(&topic(&start("x.s", "state", "k1", 4, "image"))).await;
    peer.send(r#"{"op":"image","topic":"x.s","epoch":"k1","seq":4,"ts":1,"data":4}"#).await;
    position(&mut peer, 70).await;
    peer.update("x.e1", 6).await;
    peer.update("x.e2", 6).await;
    // This topic begins after the position, and some of it comes before the connection is lost.
    peer.send(&topic(&start("x.born", "event", "k1", 0, "live"))).await;
    peer.update("x.born", 1).await;
    peer.update("x.born", 2).await;
    seen(&mut subscription, 15).await;
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    let request = pattern(&mut peer, "x.*", 5).await;
    assert_eq!((&request["resume"], &request["positions"]), (&json!("70"), &json!(true)));
    assert!(request["from"].is_null(), "{request}");
    // Each topic comes from the first update after the position, whatever the client received since.
    peer.send(&topic(&start("x.e1", "event", "k1", 7, "resumed"))).await;
    peer.update("x.e1", 6).await;
    peer.update("x.e1", 7).await;
    // Some of this topic is no longer retained, and the broker does not know what the client has.
    peer.send(&topic(&start("x.e2", "event", "k1", 9, "reset"))).await;
    peer.send(r#"{"op":"gap","topic":"x.e2","from":1,"to":8,"reason":"expired"}"#).await;
    peer.update("x.e2", 9).await;
    // Nothing happened on the first of these, and the second is new. x.e3 ended in the meantime and is not mentioned.
    peer.send(&topic(&start("x.e4", "event", "k1", 5, "resumed"))).await;
    // To the broker it is new as well, so everything of it comes, and what the client has is not delivered again.
    peer.send(&topic(&start("x.born", "event", "k1", 3, "history"))).await;
    for seq in 1..=3 {
        peer.update("x.born", seq).await;
    }
    peer.send(&topic(&start("x.new", "event", "k2", 1, "history"))).await;
    peer.update("x.new", 1).await;
    peer.send(&topic(&start("x.s", "state", "k1", 8, "reset"))).await;
    peer.send(r#"{"op":"image","topic":"x.s","epoch":"k1","seq":8,"ts":1,"data":8}"#).await;
    position(&mut peer, 80).await;
    peer.update("x.e4", 6).await;
    assert_eq!(
        seen(&mut subscription, 14).await,
        [
            "x.e1 Resumed 7",
            "x.e1 7",
            "x.e2 Reset 9",
            "x.e2 gap 7-8 Expired",
            "x.e2 9",
            "x.e4 Resumed 5",
            "x.born Resumed 3",
            "x.born 3",
            "x.new History 1",
            "x.new 1",
            "x.s Reset 8",
            "x.s image 8",
            "x.e3 closed",
            "x.e4 6"
        ]
    );
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_topic_that_was_not_answered_waits_until_the_pattern_has_brought_it_in() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut first = subscribe(&client, &mut peer, "x.*").await;
    peer.send(&topic(&start("x.e", "event", "k1", 4, "live"))).await;
    position(&mut peer, 70).await;
    peer.update("x.e", 5).await;
    seen(&mut first, 2).await;
    let serve = async {
        assert_eq!(peer.next().await["topics"], json!(["x.e"]));
        peer.vanish();
        let mut peer = server.accept(HELLO).await;
        let request = pattern(&mut peer, "x.*", 1).await;
        assert_eq!((&request["resume"], &request["ready"]), (&json!("70"), &json!(true)));
        peer.send(&topic(&start("x.e", "event", "k1", 6, "resumed"))).await;
        peer.update("x.e", 5).await;
        peer.update("x.e", 6).await;
        peer.send(&format!(r#"{{"op":"ready","id":{}}}"#, request["id"])).await;
        peer.subscribe_live("x.e", "event", 6).await;
        peer.update("x.e", 7).await;
        peer
    };
    let (second, _peer) = tokio::join!(soon(client.subscribe(["x.e"]).send()), serve);
    assert_eq!(seen(&mut first, 4).await, ["x.e Resumed 6", "x.e 6", "x.e Live 6", "x.e 7"]);
    assert_eq!(seen(&mut second.unwrap(), 2).await, ["x.e Live 6", "x.e 7"]);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_hole_behind_a_position_is_a_violation() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut subscription = subscribe(&client, &mut peer, "x.*").await;
    peer.send(&topic(&start("x.e", "event", "k1", 4, "live"))).await;
    position(&mut peer, 70).await;
    seen(&mut subscription, 1).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    pattern(&mut peer, "x.*", 1).await;
    peer.send(&topic(&start("x.e", "event", "k1", 9, "resumed"))).await;
    peer.update("x.e", 6).await;
    seen(&mut subscription, 1).await;
    let Event::Violation { .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 1);
}

#[tokio::test]
async fn thousands_of_topics_resume_by_their_names() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let names: Vec<String> = (0..1_000).map(|number| format!("a.{number}")).collect();
    /// Answers requests until all topics have been named, and returns the requests.
    async fn serve(peer: &mut Peer, how: &str, seq: u64) -> Vec<Value> {
        let (mut requests, mut named) = (Vec::new(), 0);
        while named < 1_000 {
            let request = peer.next().await;
            let topics = request["topics"].as_array().unwrap();
            named += topics.len();
            let rows: Vec<String> =
                topics.iter().map(|name| start(name.as_str().unwrap(), "event", "k1", seq, how)).collect();
            peer.subscribed(&request["id"], &rows).await;
            requests.push(request);
        }
        requests
    }
    let (subscription, requests) = tokio::join!(soon(client.subscribe(names).send()), serve(&mut peer, "live", 7));
    let mut subscription = subscription.unwrap();
    assert!(requests.iter().all(|request| request["positions"] == json!(true)));
    position(&mut peer, 70).await;
    peer.update("a.0", 8).await;
    seen(&mut subscription, 1_001).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let requests = serve(&mut peer, "resumed", 9).await;
    assert!(requests.iter().all(|request| request["resume"] == json!("70")));
    let bytes: usize = requests.iter().map(|request| request.to_string().len()).sum();
    assert!(bytes < 12_000, "{bytes} bytes for names of 7 bytes");
    for seq in [8, 9] {
        peer.update("a.0", seq).await;
        peer.update("a.1", seq).await;
    }
    seen(&mut subscription, 1_000).await;
    assert_eq!(seen(&mut subscription, 3).await, ["a.1 8", "a.0 9", "a.1 9"]);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn an_id_holds_for_what_was_subscribed_when_it_came() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let _first = subscribe(&client, &mut peer, "x.*").await;
    position(&mut peer, 70).await;
    let _second = subscribe(&client, &mut peer, "y.*").await;
    // The ping is answered after the position and the second subscription.
    let pong = async {
        let ping = peer.next().await;
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, ping["id"])).await;
    };
    tokio::join!(async { soon(client.ping()).await.unwrap() }, pong);
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    assert_eq!(pattern(&mut peer, "x.*", 0).await["resume"], json!("70"));
    let request = pattern(&mut peer, "y.*", 0).await;
    assert!(request["resume"].is_null(), "{request}");
    position(&mut peer, 80).await;
    tokio::join!(async { soon(client.ping()).await.unwrap() }, async {
        let ping = peer.next().await;
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, ping["id"])).await;
    });
    peer.vanish();

    // This connection is lost after the broker has answered one of them and sent a position.
    let mut peer = server.accept(HELLO).await;
    assert_eq!(pattern(&mut peer, "x.*", 0).await["resume"], json!("80"));
    position(&mut peer, 90).await;
    assert_eq!(peer.next().await["resume"], json!("80"));
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let (first, second) = (peer.next().await, peer.next().await);
    let mut asked = [&first, &second].map(|request| (request["resume"].clone(), request["topics"].clone()));
    asked.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(asked, [(json!("80"), json!(["y.*"])), (json!("90"), json!(["x.*"]))]);
}

#[tokio::test]
async fn an_entry_that_is_no_longer_conflated_begins_with_its_image() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let _every = subscribe(&client, &mut peer, "x.*").await;
    let ask = client.subscribe(["x.*"]).conflate_ms(100).send();
    let (conflated, request) = tokio::join!(soon(ask), pattern(&mut peer, "x.*", 0));
    assert_eq!(request["conflate_ms"], json!(100));
    position(&mut peer, 70).await;
    // The broker is not asked: the other subscription has the same entry.
    tokio::join!(async { soon(client.ping()).await.unwrap() }, async {
        let ping = peer.next().await;
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, ping["id"])).await;
    });
    soon(conflated.unwrap().unsubscribe()).await.unwrap();
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let request = pattern(&mut peer, "x.*", 0).await;
    assert!(request["resume"].is_null() && request["conflate_ms"].is_null(), "{request}");
}

#[tokio::test]
async fn a_broker_without_positions_is_asked_without_them() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let serve = async {
        refuse(&mut peer, "positions").await;
        let request = pattern(&mut peer, "x.*", 1).await;
        assert!(request["positions"].is_null(), "{request}");
    };
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["x.*"]).send()), serve);
    let mut subscription = subscription.unwrap();
    peer.send(&topic(&start("x.e", "event", "k1", 4, "live"))).await;
    seen(&mut subscription, 1).await;
    // The client remembers: the next subscription is not refused first.
    let (other, request) = tokio::join!(soon(client.subscribe(["y.*"]).send()), pattern(&mut peer, "y.*", 0));
    assert!(request["positions"].is_null() && other.is_ok(), "{request}");
}

#[tokio::test]
async fn a_broker_that_no_longer_knows_positions_resumes_topic_by_topic() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut subscription = subscribe(&client, &mut peer, "x.*").await;
    for name in ["x.e", "x.f"] {
        peer.send(&topic(&start(name, "event", "k1", 4, "live"))).await;
    }
    position(&mut peer, 70).await;
    seen(&mut subscription, 2).await;
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    refuse(&mut peer, "resume").await;
    let topics = peer.next().await;
    assert_eq!(
        topics["topics"],
        json!([{"topic": "x.e", "epoch": "k1", "seq": 4}, {"topic": "x.f", "epoch": "k1", "seq": 4}])
    );
    peer.subscribed(&topics["id"], &["x.e", "x.f"].map(|name| start(name, "event", "k1", 5, "resumed"))).await;
    let request = pattern(&mut peer, "x.*", 2).await;
    assert!(request["resume"].is_null() && request["positions"].is_null(), "{request}");
    let release = peer.next().await;
    assert_eq!((&release["op"], &release["topics"]), (&json!("unsubscribe"), &json!(["x.e", "x.f"])));
    peer.update("x.e", 5).await;
    assert_eq!(seen(&mut subscription, 3).await, ["x.e Resumed 5", "x.f Resumed 5", "x.e 5"]);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_stream_that_begins_anew_while_resuming_reports_what_is_lost() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut subscription = subscribe(&client, &mut peer, "x.*").await;
    peer.send(&topic(&start("x.e", "event", "k1", 4, "live"))).await;
    position(&mut peer, 70).await;
    seen(&mut subscription, 1).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    pattern(&mut peer, "x.*", 1).await;
    peer.send(&topic(&start("x.e", "event", "k1", 9, "live"))).await;
    peer.update("x.e", 10).await;
    let lost = Event::Gap { topic: "x.e".into(), from: 5, to: 9, reason: GapReason::Disconnected };
    assert_eq!(next(&mut subscription).await, lost);
    let Event::Topic(begun) = next(&mut subscription).await else { panic!() };
    assert_eq!(begun.start, Start::Live);
}

#[tokio::test]
async fn ready_comes_once_when_all_parts_have_begun() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let names: Vec<String> = (0..300).map(|number| format!("a.{number}")).collect();
    let serve = async {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = peer.next().await;
            assert_eq!(request["ready"], json!(true), "{request}");
            peer.subscribed(&request["id"], &[]).await;
            ids.push(request["id"].clone());
        }
        ids
    };
    let (subscription, ids) = tokio::join!(soon(client.subscribe(names).ready().send()), serve);
    let mut subscription = subscription.unwrap();
    peer.send(&format!(r#"{{"op":"ready","id":{}}}"#, ids[0])).await;
    peer.vanish();
    // The picture was not complete yet, so `ready` is asked for again.
    let mut peer = server.accept(HELLO).await;
    for _ in 0..2 {
        let request = peer.next().await;
        assert_eq!(request["ready"], json!(true), "{request}");
        let row = start(request["topics"][0].as_str().unwrap(), "event", "k1", 7, "live");
        peer.subscribed(&request["id"], &[row]).await;
        peer.send(&format!(r#"{{"op":"ready","id":{}}}"#, request["id"])).await;
    }
    assert_eq!(seen(&mut subscription, 3).await, ["a.0 Live 7", "a.256 Live 7", "ready"]);
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let request = peer.next().await;
    assert!(request["ready"].is_null(), "{request}");
}

#[tokio::test]
async fn a_broker_that_does_not_know_ready_refuses_the_subscription() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let serve = async {
        refuse(&mut peer, "positions").await;
        let request = refuse(&mut peer, "ready").await;
        assert!(request["positions"].is_null());
    };
    let (refused, ()) = tokio::join!(soon(client.subscribe(["x.*"]).ready().send()), serve);
    let Err(SubscribeError::Refused(entries)) = refused else { panic!("{refused:?}") };
    assert_eq!((entries.len(), &*entries[0].entry), (1, "x.*"));
    assert!(entries[0].message.contains("\"ready\" is not a field"), "{}", entries[0].message);
}
