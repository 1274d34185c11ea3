//! What is not allowed any more ends by itself and not the client; and rates are respected.

use std::time::{Duration, Instant};

use broker_client::{ErrorCode, Event, Publish, PublishError, Subscription};

use crate::server::{HELLO, Peer, Server, soon, start, topic};

async fn forbid(peer: &mut Peer, field: &str, entry: &str) {
    peer.send(&format!(
        r#"{{"op":"error","{field}":"{entry}","code":"forbidden","message":"it is not allowed","retry":false}}"#
    ))
    .await;
}

/// The next event: its kind, and its topic or entry.
async fn brief(subscription: &mut Subscription) -> String {
    let event = soon(subscription.next()).await.expect("the subscription ended");
    match &event {
        Event::Refused(error) => format!("refused {} {}", error.entry, error.code.as_str()),
        Event::Update { topic, seq, .. } => format!("update {topic} {seq}"),
        Event::Topic(start) => format!("topic {}", start.topic),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_entry_and_a_topic_of_a_pattern_end_and_the_rest_goes_on() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let subscribe = client.subscribe(["gone", "stays", "p.*", "q.*"]).send();
    let (subscription, ()) = tokio::join!(soon(subscribe), async {
        let id = peer.next().await["id"].clone();
        let rows = ["gone", "stays"].map(|name| start(name, "event", "k", 0, "live")).join(",");
        let patterns =
            r#"[{"pattern":"p.*","matched":2,"conflate_ms":0},{"pattern":"q.*","matched":0,"conflate_ms":0}]"#;
        peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[{rows}],"patterns":{patterns},"errors":[]}}"#))
            .await;
        for name in ["p.a", "p.b"] {
            peer.send(&topic(&start(name, "event", "k", 0, "live"))).await;
        }
    });
    let mut subscription = subscription.unwrap();
    for name in ["gone", "stays", "p.a", "p.b"] {
        assert_eq!(brief(&mut subscription).await, format!("topic {name}"));
    }
    forbid(&mut peer, "topic", "gone").await;
    forbid(&mut peer, "topic", "p.a").await;
    forbid(&mut peer, "pattern", "q.*").await;
    peer.update("stays", 1).await;
    peer.update("p.b", 1).await;
    for expected in
        ["refused gone forbidden", "refused p.a forbidden", "refused q.* forbidden", "update stays 1", "update p.b 1"]
    {
        assert_eq!(brief(&mut subscription).await, expected);
    }
    // What the pattern may see again begins anew.
    peer.send(&topic(&start("p.a", "event", "k", 5, "live"))).await;
    peer.update("p.a", 6).await;
    assert_eq!([brief(&mut subscription).await, brief(&mut subscription).await], ["topic p.a", "update p.a 6"]);
    assert_eq!(client.counters().violations, 0);
    // On the next connection only the rest is asked for.
    peer.vanish();
    let mut peer = server.accept(HELLO).await;
    let mut names = Vec::new();
    while !names.contains(&"p.*".to_owned()) {
        let request = peer.next().await;
        let topics = request["topics"].as_array().unwrap().clone();
        names.extend(topics.iter().map(|entry| entry["topic"].as_str().or(entry.as_str()).unwrap().to_owned()));
    }
    assert!(
        names.contains(&"stays".to_owned())
            && !names.contains(&"gone".to_owned())
            && !names.contains(&"q.*".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_subscription_over_a_rate_is_asked_for_again_after_the_brokers_wait() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["full", "good"]).send()), async {
        let request = peer.next().await;
        let row = start("good", "event", "k", 0, "live");
        let full = r#"{"topic":"full","code":"limit","message":"no room","retry":true}"#;
        peer.send(&format!(
            r#"{{"op":"subscribed","id":{},"topics":[{row}],"patterns":[],"errors":[{full}]}}"#,
            request["id"]
        ))
        .await;
    });
    let _subscription = subscription.unwrap();
    let request = peer.next().await;
    assert_eq!(request["topics"][0], "full");
    let began = Instant::now();
    peer.send(&format!(
        r#"{{"op":"error","id":{},"code":"rate_limited","message":"slowly","retry":true,"retry_ms":300}}"#,
        request["id"]
    ))
    .await;
    assert_eq!(peer.next().await["topics"][0], "full");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test]
async fn publishing_over_a_rate_is_the_programs_to_decide() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let (published, ()) = tokio::join!(soon(client.publish(Publish::event("a", "1"))), async {
        let id = peer.next().await["id"].clone();
        peer.send(&format!(
            r#"{{"op":"error","id":{id},"code":"rate_limited","message":"slowly","retry":true,"retry_ms":240}}"#
        ))
        .await;
    });
    let error = published.unwrap_err();
    assert!(
        matches!(error, PublishError::Refused { code: ErrorCode::RateLimited, retry: true, retry_ms: Some(240), .. }),
        "{error:?}"
    );
    let batch = vec![Publish::event("a", "1"), Publish::event("a", "2")];
    let (answer, ()) = tokio::join!(soon(client.publish_batch(batch)), async {
        let id = peer.next().await["id"].clone();
        let rejected = r#"[{"index":1,"code":"rate_limited","message":"slowly"}]"#;
        peer.send(&format!(r#"{{"op":"published","id":{id},"accepted":1,"rejected":{rejected},"retry_ms":99}}"#)).await;
    });
    let answer = answer.unwrap();
    assert_eq!((answer.accepted, answer.rejected.len(), answer.retry_ms), (1, 1, Some(99)));
}
