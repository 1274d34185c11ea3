//! Entries that the broker refuses for now are asked for again; entries that it refuses for good are not.

use broker_client::{ErrorCode, Event, Start, Subscription};
use serde_json::{Value, json};

use crate::server::{HELLO, Peer, Server, soon, start, subscribed, topic};

async fn next(subscription: &mut Subscription) -> Event {
    soon(subscription.next()).await.expect("the subscription continues")
}

/// Answers the next `subscribe` with one entry refused. Returns the topics that were asked for.
async fn refuse(peer: &mut Peer, entry: &str, code: &str, retry: bool, others: &[String]) -> Value {
    let request = peer.next().await;
    assert_eq!(request["op"], "subscribe", "{request}");
    let (id, rows) = (&request["id"], others.join(","));
    let error = format!(r#"{{"topic":"{entry}","code":"{code}","message":"not now","retry":{retry}}}"#);
    peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[{rows}],"patterns":[],"errors":[{error}]}}"#)).await;
    request["topics"].clone()
}

#[tokio::test]
async fn after_a_reconnect_the_entry_resumes_and_is_reported_once() {
    let server = Server::bind().await;
    let (client, mut peer, mut subscription) = subscribed(&server, server.options()).await;
    peer.update("a", 1).await;
    next(&mut subscription).await;
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let from = json!([{"topic": "a", "epoch": "k1", "seq": 1}]);
    for _ in 0..3 {
        assert_eq!(refuse(&mut peer, "a", "limit", true, &[]).await, from);
    }
    let request = peer.next().await;
    assert_eq!(request["topics"], from);
    peer.subscribed(&request["id"], &[start("a", "event", "k1", 2, "resumed")]).await;
    peer.update("a", 2).await;
    let Event::Refused(refused) = next(&mut subscription).await else { panic!() };
    assert_eq!((refused.entry.as_str(), refused.code, refused.retry), ("a", ErrorCode::Limit, true));
    let Event::Topic(resumed) = next(&mut subscription).await else { panic!() };
    assert_eq!(resumed.start, Start::Resumed);
    let Event::Update { seq: 2, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn the_rest_of_a_new_subscription_comes_and_another_reason_is_reported_too() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let row = start("a", "event", "k1", 0, "live");
    let (subscription, asked) = tokio::join!(
        soon(client.subscribe(["a", "b", "x.*"]).send()),
        refuse(&mut peer, "b", "limit", true, std::slice::from_ref(&row)),
    );
    let mut subscription = subscription.unwrap();
    assert_eq!(asked, json!(["a", "b", "x.*"]));
    assert_eq!(subscription.refused().iter().map(|one| one.entry.as_str()).collect::<Vec<_>>(), ["b"]);
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    for (code, retry) in [("limit", true), ("unavailable", true), ("forbidden", false)] {
        assert_eq!(refuse(&mut peer, "b", code, retry, &[]).await, json!(["b"]));
    }
    for (code, retry) in [(ErrorCode::Unavailable, true), (ErrorCode::Forbidden, false)] {
        let Event::Refused(refused) = next(&mut subscription).await else { panic!() };
        assert_eq!((refused.code, refused.retry), (code, retry));
    }
    // No subscription has the entry now, so the next request is another one.
    let pinged = async {
        let request = peer.next().await;
        assert_eq!(request["op"], "ping");
        peer.send(&format!(r#"{{"op":"pong","id":{},"ts":1}}"#, request["id"])).await;
    };
    let (pong, ()) = tokio::join!(soon(client.ping()), pinged);
    pong.unwrap();
    drop(subscription);
    assert_eq!(peer.next().await["topics"], json!(["a", "x.*"]));
}

#[tokio::test]
async fn topics_of_a_pattern_that_is_refused_for_now_have_not_ended() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let serve = async {
        let request = peer.next().await;
        let (id, pattern) = (&request["id"], r#"{"pattern":"x.*","matched":1,"conflate_ms":0}"#);
        peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[{pattern}],"errors":[]}}"#)).await;
        peer.send(&topic(&start("x.e", "event", "k1", 0, "live"))).await;
        peer.update("x.e", 1).await;
        peer.send(r#"{"op":"position","id":"7"}"#).await;
        peer
    };
    let (subscription, peer) = tokio::join!(soon(client.subscribe(["x.*"]).send()), serve);
    let mut subscription = subscription.unwrap();
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    let Event::Update { seq: 1, .. } = next(&mut subscription).await else { panic!() };
    // Once the client has read what follows the position, it has read the position.
    let mut peer = peer;
    peer.update("x.e", 2).await;
    let Event::Update { seq: 2, .. } = next(&mut subscription).await else { panic!() };
    peer.vanish();

    let mut peer = server.accept(HELLO).await;
    assert_eq!(refuse(&mut peer, "x.*", "limit", true, &[]).await, json!(["x.*"]));
    peer.send(r#"{"op":"position","id":"9"}"#).await;
    let request = peer.next().await;
    assert_eq!((&request["topics"], &request["resume"]), (&json!(["x.*"]), &json!("7")));
    let (id, pattern) = (&request["id"], r#"{"pattern":"x.*","matched":1,"conflate_ms":0}"#);
    peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[{pattern}],"errors":[]}}"#)).await;
    peer.send(&topic(&start("x.e", "event", "k1", 3, "resumed"))).await;
    peer.update("x.e", 3).await;
    let Event::Refused(refused) = next(&mut subscription).await else { panic!() };
    assert!(refused.retry);
    let Event::Topic(resumed) = next(&mut subscription).await else { panic!("the topic was reported as ended") };
    assert_eq!(resumed.start, Start::Resumed);
    let Event::Update { seq: 3, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(client.counters().violations, 0);
}
