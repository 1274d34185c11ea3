//! After a lost connection, everything continues where it was.

use broker_client::{ConnectionEvent, Event, From, GapReason, Start, Subscription};
use serde_json::{Value, json};

use crate::server::{HELLO, Peer, Server, hello, soon, start, subscribed, topic};

async fn next(subscription: &mut Subscription) -> Event {
    soon(subscription.next()).await.expect("the subscription continues")
}

/// Answers the request that restores a subscription, and returns its topics.
async fn restore(peer: &mut Peer, rows: &[String]) -> Value {
    let request = peer.next().await;
    assert_eq!(request["op"], "subscribe", "{request}");
    peer.subscribed(&request["id"], rows).await;
    request["topics"].clone()
}

#[tokio::test]
async fn a_topic_resumes_from_its_last_update() {
    let server = Server::bind().await;
    let (client, mut peer, mut subscription) = subscribed(&server, server.options()).await;
    let mut events = client.events();
    let Some(ConnectionEvent::Connected { resumed: false, .. }) = soon(events.next()).await else { panic!() };
    peer.update("a", 1).await;
    peer.send(r#"{"op":"gap","topic":"a","from":2,"to":5,"reason":"expired"}"#).await;
    next(&mut subscription).await;
    next(&mut subscription).await;
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    let topics = restore(&mut peer, &[start("a", "event", "k1", 6, "resumed")]).await;
    assert_eq!(topics, json!([{"topic": "a", "epoch": "k1", "seq": 5}]));
    peer.update("a", 6).await;
    let Event::Topic(resumed) = next(&mut subscription).await else { panic!() };
    assert_eq!(resumed.start, Start::Resumed);
    let Event::Update { seq: 6, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!((client.counters().reconnects, client.counters().violations), (1, 0));
    let Some(ConnectionEvent::Disconnected { code: None, retry_ms: Some(_), .. }) = soon(events.next()).await else {
        panic!()
    };
    let Some(ConnectionEvent::Connected { resumed: true, .. }) = soon(events.next()).await else { panic!() };
}

#[tokio::test]
async fn a_name_that_waited_for_its_first_publish_gets_everything() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let row = r#"{"topic":"new","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"live","conflate_ms":0}"#;
    let serve = async { restore(&mut peer, &[row.to_owned()]).await };
    let (subscription, _) = tokio::join!(soon(client.subscribe(["new"]).send()), serve);
    let mut subscription = subscription.unwrap();
    next(&mut subscription).await;
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    let topics = restore(&mut peer, &[start("new", "event", "k1", 2, "reset")]).await;
    assert_eq!((&topics[0]["seq"], topics[0]["epoch"].is_string()), (&json!(0), true));
    peer.update("new", 1).await;
    peer.update("new", 2).await;
    next(&mut subscription).await;
    let Event::Update { seq: 1, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 0);
}

/// Answers a request for the pattern `x.*`, which matches this many topics.
async fn pattern(peer: &mut Peer, matched: u64) {
    let request = peer.next().await;
    assert_eq!(request["topics"], json!(["x.*"]));
    let row = format!(r#"{{"pattern":"x.*","matched":{matched},"conflate_ms":0}}"#);
    let id = &request["id"];
    peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[{row}],"errors":[]}}"#)).await;
}

/// A client with a pattern that brought in two event topics and a state topic.
async fn with_pattern(server: &Server, hello: &str) -> (broker_client::Client, Peer, Subscription) {
    let (client, mut peer) = server.connect(server.options(), hello).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["x.*"]).send()), pattern(&mut peer, 3));
    let mut subscription = subscription.unwrap();
    for name in ["x.e1", "x.e2"] {
        peer.send(&topic(&start(name, "event", "k1", 4, "live"))).await;
        peer.update(name, 5).await;
    }
    peer.send(&topic(&start("x.s", "state", "k1", 4, "image"))).await;
    peer.send(r#"{"op":"image","topic":"x.s","epoch":"k1","seq":4,"ts":1,"data":4}"#).await;
    for _ in 0..6 {
        next(&mut subscription).await;
    }
    (client, peer, subscription)
}

#[tokio::test]
async fn the_topics_of_a_pattern_resume_and_then_continue_under_it() {
    let server = Server::bind().await;
    let (client, peer, mut subscription) = with_pattern(&server, HELLO).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    // The topics come first: a pattern that came before them would begin them anew.
    let request = peer.next().await;
    assert_eq!(
        request["topics"],
        json!([
            {"topic": "x.e1", "epoch": "k1", "seq": 5},
            {"topic": "x.e2", "epoch": "k1", "seq": 5},
            {"topic": "x.s", "epoch": "k1", "seq": 4},
        ])
    );
    let rows = [
        start("x.e1", "event", "k1", 6, "resumed"),
        // This topic ended while the client was away.
        r#"{"topic":"x.e2","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"reset","conflate_ms":0}"#.to_owned(),
        start("x.s", "state", "k1", 4, "resumed"),
    ];
    let pattern = peer.next().await;
    assert_eq!(pattern["topics"], json!(["x.*"]));
    peer.subscribed(&request["id"], &rows).await;
    peer.subscribed(&pattern["id"], &[]).await;
    // As long as the pattern brings in topics, it would begin them anew if it alone covered them.
    assert_eq!(pattern["ready"], json!(true));
    let pong = async {
        let ping = peer.next().await;
        assert_eq!(ping["op"], "ping", "nothing is unsubscribed before `ready`");
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, ping["id"])).await;
    };
    tokio::join!(async { soon(client.ping()).await.unwrap() }, pong);
    peer.send(&format!(r#"{{"op":"ready","id":{}}}"#, pattern["id"])).await;
    let release = peer.next().await;
    assert_eq!((&release["op"], &release["topics"]), (&json!("unsubscribe"), &json!(["x.e1", "x.e2", "x.s"])));
    peer.send(&format!(r#"{{"op":"unsubscribed","id":{},"topics":["x.e1","x.e2","x.s"]}}"#, release["id"])).await;
    peer.update("x.e1", 6).await;
    peer.update("x.s", 5).await;
    // The pattern finds the topic again.
    peer.send(&topic(&start("x.e2", "event", "k2", 0, "live"))).await;
    peer.update("x.e2", 1).await;
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(match next(&mut subscription).await {
            Event::Topic(begun) => format!("{} {:?}", begun.topic, begun.start),
            Event::Update { topic, seq, .. } => format!("{topic} {seq}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["x.e1 Resumed", "x.e2 Reset", "x.s Resumed", "x.e1 6", "x.s 5", "x.e2 Live", "x.e2 1"]);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn topics_beyond_the_brokers_limit_begin_anew_and_report_what_is_lost() {
    let server = Server::bind().await;
    // There is room for the pattern and one more entry.
    let hello = hello(&[("subscriptions", 2)]);
    let (client, peer, mut subscription) = with_pattern(&server, &hello).await;
    peer.vanish();
    let mut peer = server.accept(&hello).await;
    let topics = restore(&mut peer, &[start("x.e1", "event", "k1", 5, "resumed")]).await;
    assert_eq!(topics, json!([{"topic": "x.e1", "epoch": "k1", "seq": 5}]), "events first");
    restore(&mut peer, &[]).await;
    peer.send(&topic(&start("x.e2", "event", "k1", 9, "live"))).await;
    peer.update("x.e2", 10).await;
    peer.send(&topic(&start("x.s", "state", "k1", 7, "image"))).await;
    peer.send(r#"{"op":"image","topic":"x.s","epoch":"k1","seq":7,"ts":1,"data":7}"#).await;
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    let lost = next(&mut subscription).await;
    assert_eq!(
        lost,
        Event::Gap { topic: "x.e2".into(), from: 6, to: 9, reason: GapReason::Disconnected },
        "nobody but the client can know"
    );
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    let Event::Update { seq: 10, .. } = next(&mut subscription).await else { panic!() };
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    let Event::Image { seq: 7, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_subscription_that_was_not_answered_is_asked_for_again() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let serve = async {
        assert_eq!(peer.next().await["topics"], json!(["a"]));
        peer.vanish();
        let mut peer = server.accept(HELLO).await;
        restore(&mut peer, &[start("a", "event", "k1", 0, "live")]).await;
        peer
    };
    let (subscription, _peer) = tokio::join!(soon(client.subscribe(["a"]).send()), serve);
    let Event::Topic(begun) = next(&mut subscription.unwrap()).await else { panic!() };
    assert_eq!(begun.start, Start::Live);
}

#[tokio::test]
async fn what_was_not_answered_takes_nothing_from_another_subscription() {
    let server = Server::bind().await;
    let (client, mut peer, mut first) = subscribed(&server, server.options()).await;
    peer.update("a", 1).await;
    next(&mut first).await;
    let serve = async {
        assert_eq!(peer.next().await["topics"], json!(["a"]));
        peer.vanish();
        let mut peer = server.accept(HELLO).await;
        // What was published meanwhile comes to the first subscription, and then the second begins where it wants.
        let topics = restore(&mut peer, &[start("a", "event", "k1", 3, "resumed")]).await;
        assert_eq!(topics, json!([{"topic": "a", "epoch": "k1", "seq": 1}]));
        peer.update("a", 2).await;
        peer.update("a", 3).await;
        let request = peer.next().await;
        assert_eq!((&request["topics"], &request["from"]), (&json!(["a"]), &json!({"last": 2})));
        peer.subscribed(&request["id"], &[start("a", "event", "k1", 3, "history")]).await;
        peer.update("a", 2).await;
        peer.update("a", 3).await;
        peer.update("a", 4).await;
        peer
    };
    let (second, _peer) = tokio::join!(soon(client.subscribe(["a"]).from(From::Last(2)).send()), serve);
    let mut second = second.unwrap();
    let Event::Topic(resumed) = next(&mut first).await else { panic!() };
    assert_eq!((resumed.start, resumed.seq), (Start::Resumed, 3));
    for seq in [2, 3] {
        let Event::Update { seq: came, .. } = next(&mut first).await else { panic!() };
        assert_eq!(came, seq);
    }
    let Event::Topic(begun) = next(&mut second).await else { panic!() };
    assert_eq!(begun.start, Start::History);
    for seq in [2, 3, 4] {
        let Event::Update { seq: came, .. } = next(&mut second).await else { panic!() };
        assert_eq!(came, seq);
    }
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn an_entry_that_is_refused_after_a_reconnect_is_reported() {
    let server = Server::bind().await;
    let (_client, peer, mut subscription) = subscribed(&server, server.options()).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let id = peer.next().await["id"].clone();
    let error = r#"{"topic":"a","code":"forbidden","message":"no longer","retry":false}"#;
    peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[],"errors":[{error}]}}"#)).await;
    let Event::Refused(refused) = next(&mut subscription).await else { panic!() };
    assert_eq!((refused.entry.as_str(), refused.message.as_str()), ("a", "no longer"));
}

#[tokio::test]
async fn topics_that_are_new_after_a_reconnect_come_whole() {
    let server = Server::bind().await;
    let (client, peer, mut subscription) = with_pattern(&server, HELLO).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let rows = ["x.e1", "x.e2", "x.s"].map(|name| start(name, "event", "k1", 5, "resumed"));
    restore(&mut peer, &rows).await;
    // The connection is lost again before the new topic has begun: it is still new.
    pattern(&mut peer, 4).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    restore(&mut peer, &rows).await;
    let request = peer.next().await;
    assert_eq!((&request["topics"], request["from"]["last"].as_u64()), (&json!(["x.*"]), Some((1 << 53) - 1)));
    peer.subscribed(&request["id"], &[]).await;
    peer.send(&topic(&start("x.new", "event", "k1", 2, "history"))).await;
    peer.update("x.new", 1).await;
    for _ in 0..7 {
        let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    }
    let Event::Update { seq: 1, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_pattern_that_had_not_brought_in_all_topics_does_not_ask_for_everything_retained() {
    for (matched, from) in [(1, json!({"last": (1_u64 << 53) - 1})), (2, json!("live"))] {
        let server = Server::bind().await;
        let (client, mut peer) = server.connected().await;
        let serve = async {
            pattern(&mut peer, matched).await;
            peer.send(&topic(&start("x.1", "event", "k1", 5, "live"))).await;
        };
        let (subscription, ()) = tokio::join!(soon(client.subscribe(["x.*"]).from(From::Live).send()), serve);
        let mut subscription = subscription.unwrap();
        next(&mut subscription).await;
        peer.vanish();
        let mut peer = server.accept(HELLO).await;
        restore(&mut peer, &[start("x.1", "event", "k1", 5, "resumed")]).await;
        assert_eq!(peer.next().await["from"], from, "{matched} matched, 1 had begun");
    }
}
