//! Subscribing: requests, events, refusals, and slow readers.

use broker_client::{
    Client, ErrorCode, Event, From, GapReason, Kind, OnSlow, Options, Start, SubscribeError, Subscription, Violation,
};
use serde_json::{Value, json};

use crate::server::{HELLO, Peer, Server, hello, soon, start, subscribed, topic};

#[track_caller]
fn next(subscription: &mut Subscription) -> impl Future<Output = Event> {
    let next = soon(subscription.next());
    async move { next.await.expect("the subscription continues") }
}

/// Skips to the next update, and returns its number.
async fn next_seq(subscription: &mut Subscription) -> u64 {
    loop {
        if let Event::Update { seq, .. } = next(subscription).await {
            return seq;
        }
    }
}

async fn subscribe(client: &Client, peer: &mut Peer, entry: &str, rows: &[String]) -> Subscription {
    let serve = async {
        let request = peer.next().await;
        assert_eq!(request["topics"], json!([entry]));
        peer.subscribed(&request["id"], rows).await;
    };
    let (subscription, ()) = tokio::join!(soon(client.subscribe([entry]).send()), serve);
    subscription.unwrap()
}

#[tokio::test]
async fn every_event() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let ask = client
        .subscribe(["a", "x.*"])
        .resume("b", "k1", 3)
        .from(From::Last(5))
        .conflate_ms(100)
        .on_slow(OnSlow::Retain)
        .send();
    let serve = async {
        peer.expect(
            r#"{"op":"subscribe","id":1,"topics":["a","x.*",{"topic":"b","epoch":"k1","seq":3}],"from":{"last":5},"conflate_ms":100,"on_slow":"retain","positions":true}"#,
        )
        .await;
        let rows = [start("a", "patch", "k1", 4, "image"), start("b", "event", "k1", 4, "resumed")];
        peer.subscribed(&json!(1), &rows).await;
        for message in [
            r#"{"op":"image","topic":"a","epoch":"k1","seq":4,"ts":10,"source_ts":9,"data":{"bid": "189.10"}}"#,
            r#"{"op":"patch","topic":"a","seq":7,"from":5,"ts":11,"data":{"bid":null}}"#,
            r#"{"op":"update","topic":"a","seq":8,"ts":12,"data":{}}"#,
            r#"{"op":"update","topic":"b","seq":4,"ts":13,"data":1.50}"#,
            r#"{"op":"gap","topic":"b","from":5,"to":9,"reason":"slow"}"#,
            &topic(&start("x.y", "event", "m1", 0, "live")),
            r#"{"op":"update","topic":"x.y","seq":1,"ts":14,"data":null}"#,
            r#"{"op":"closed","topic":"x.y"}"#,
        ] {
            peer.send(message).await;
        }
    };
    let (subscription, ()) = tokio::join!(soon(ask), serve);
    let mut subscription = subscription.unwrap();
    let Event::Topic(start) = next(&mut subscription).await else { panic!() };
    assert_eq!((&*start.topic, start.kind, start.start, start.seq), ("a", Some(Kind::Patch), Start::Image, 4));
    let Event::Topic(start) = next(&mut subscription).await else { panic!() };
    assert_eq!((&*start.topic, start.start), ("b", Start::Resumed));
    let Event::Image { epoch, seq, ts, source_ts, data, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!((&*epoch, seq, ts, source_ts, data.text()), ("k1", 4, 10, Some(9), r#"{"bid": "189.10"}"#));
    let Event::Patch { seq: 7, from: Some(5), .. } = next(&mut subscription).await else { panic!() };
    let Event::Update { kind: Kind::State, seq: 8, .. } = next(&mut subscription).await else { panic!() };
    let Event::Update { kind: Kind::Event, seq: 4, data, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(data.text(), "1.50");
    let Event::Gap { from: 5, to: 9, reason: GapReason::Slow, .. } = next(&mut subscription).await else { panic!() };
    let Event::Topic(start) = next(&mut subscription).await else { panic!() };
    assert_eq!(&*start.topic, "x.y");
    let Event::Update { .. } = next(&mut subscription).await else { panic!() };
    let Event::Closed { topic } = next(&mut subscription).await else { panic!() };
    assert_eq!(&*topic, "x.y");
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn refusals() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    assert!(matches!(client.subscribe([""; 0]).send().await, Err(SubscribeError::Empty)));
    let Err(SubscribeError::Refused(refused)) = client.subscribe(["a..b", "a.>.b"]).send().await else { panic!() };
    assert_eq!(refused.iter().map(|one| one.code).collect::<Vec<_>>(), [ErrorCode::BadTopic, ErrorCode::BadPattern]);

    let serve = async {
        let request = peer.next().await;
        assert_eq!(request["topics"], json!(["a", "$SYS.stats"]), "what is wrong with a name needs no broker");
        let (id, row) = (&request["id"], start("a", "event", "k1", 0, "live"));
        let error = r#"{"topic":"$SYS.stats","code":"forbidden","message":"no","retry":false}"#;
        peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[{row}],"patterns":[],"errors":[{error}]}}"#))
            .await;
        let id = peer.next().await["id"].clone();
        let error = r#"{"topic":"b","code":"limit","message":"no","retry":true}"#;
        peer.send(&format!(r#"{{"op":"subscribed","id":{id},"topics":[],"patterns":[],"errors":[{error}]}}"#)).await;
    };
    let ask = async {
        let subscription = soon(client.subscribe(["a", "a..b", "$SYS.stats"]).send()).await.unwrap();
        let refused = subscription.refused().iter().map(|one| one.entry.as_str()).collect::<Vec<_>>();
        assert_eq!(refused, ["a..b", "$SYS.stats"]);
        let error = soon(client.subscribe(["b"]).send()).await.unwrap_err();
        assert!(matches!(&error, SubscribeError::Refused(all) if all[0].code == ErrorCode::Limit), "{error}");
        subscription
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn unsubscribing_and_dropping() {
    let server = Server::bind().await;
    let (client, mut peer, subscription) = subscribed(&server, server.options()).await;
    let serve = async {
        peer.expect(r#"{"op":"unsubscribe","id":2,"topics":["a"]}"#).await;
        // This was in flight when the broker read the request.
        peer.update("a", 1).await;
        peer.send(r#"{"op":"unsubscribed","id":2,"topics":["a"]}"#).await;
    };
    let (result, ()) = tokio::join!(soon(subscription.unsubscribe()), serve);
    result.unwrap();
    let subscription = subscribe(&client, &mut peer, "b", &[start("b", "event", "k1", 0, "live")]).await;
    drop(subscription);
    peer.expect(r#"{"op":"unsubscribe","id":4,"topics":["b"]}"#).await;
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let server = Server::bind().await;
    let options = Options { queue_updates_max: 1, ..server.options() };
    let (_client, mut peer, mut subscription) = subscribed(&server, options).await;
    const UPDATES: u64 = 20_000;
    let send = async {
        for seq in 1..=UPDATES {
            peer.update("a", seq).await;
        }
    };
    let read = async {
        for seq in 1..=UPDATES {
            assert_eq!(next_seq(&mut subscription).await, seq);
            if seq % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(send, read);
}

#[tokio::test]
async fn what_a_full_queue_has_no_room_for_is_delivered_after_the_connection_is_lost() {
    let server = Server::bind().await;
    let options = Options { queue_updates_max: 1, ..server.options() };
    let (client, mut peer) = server.connect(options, &hello(&[("heartbeat_ms", 100)])).await;
    let (subscription, ()) = tokio::join!(soon(client.subscribe(["a"]).send()), peer.subscribe_live("a", "event", 0));
    let mut subscription = subscription.unwrap();
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    for seq in 1..=3 {
        peer.update("a", seq).await;
    }
    // It says that it lives, because it waits for room for the second update.
    assert_eq!(peer.next_frame().await.opcode, fastwebsockets::OpCode::Pong);
    peer.vanish();
    // It does not read, so only a write shows that the connection is lost.
    let mut peer = server.accept(HELLO).await;
    let request = peer.next().await;
    assert_eq!(request["topics"], json!([{"topic": "a", "epoch": "k1", "seq": 2}]));
    peer.subscribed(&request["id"], &[start("a", "event", "k1", 3, "resumed")]).await;
    peer.update("a", 3).await;
    assert_eq!(next_seq(&mut subscription).await, 1);
    assert_eq!(next_seq(&mut subscription).await, 2);
    let Event::Topic(_) = next(&mut subscription).await else { panic!() };
    assert_eq!(next_seq(&mut subscription).await, 3);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_full_queue_does_not_stop_unsubscribing_or_closing() {
    let server = Server::bind().await;
    let options = Options { queue_updates_max: 1, ..server.options() };
    let (client, mut peer, subscription) = subscribed(&server, options).await;
    for seq in 1..=50 {
        peer.update("a", seq).await;
    }
    let serve = async {
        peer.expect(r#"{"op":"unsubscribe","id":2,"topics":["a"]}"#).await;
        peer.send(r#"{"op":"unsubscribed","id":2,"topics":["a"]}"#).await;
    };
    let (result, ()) = tokio::join!(soon(subscription.unsubscribe()), serve);
    result.unwrap();
    let _unread = subscribe(&client, &mut peer, "b", &[start("b", "event", "k1", 0, "live")]).await;
    for seq in 1..=50 {
        peer.update("b", seq).await;
    }
    let serve = async {
        assert_eq!(peer.close_code().await, 1000);
        peer.frame(fastwebsockets::Frame::close(1000, b"")).await;
    };
    tokio::join!(soon(client.close()), serve);
}

#[tokio::test]
async fn a_large_subscription_is_several_messages() {
    let server = Server::bind().await;
    let options = Options { queue_updates_max: 1, ..server.options() };
    let (client, mut peer) = server.connect(options, &hello(&[("message_bytes", 4_096)])).await;
    let names: Vec<String> = (0..600).map(|number| format!("topic.{number:0>30}")).collect();
    let serve = async {
        let (mut seen, mut messages) = (0, 0);
        while seen < 600 {
            let frame = peer.next_frame().await;
            assert!(frame.payload.len() <= 4_096);
            let request: Value = serde_json::from_slice(&frame.payload).unwrap();
            let rows: Vec<String> = request["topics"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| start(name.as_str().unwrap(), "event", "k1", 0, "live"))
                .collect();
            peer.subscribed(&request["id"], &rows).await;
            // More events come before the last answer than the queue holds.
            let first = request["topics"][0].as_str().unwrap();
            for seq in 1..=5 {
                peer.update(first, seq).await;
            }
            seen += rows.len();
            messages += 1;
        }
        messages
    };
    let (subscription, messages) = tokio::join!(soon(client.subscribe(names).send()), serve);
    let mut subscription = subscription.unwrap();
    assert!(messages > 3, "{messages}");
    let (mut starts, mut updates) = (0, 0);
    while (starts, updates) != (600, 5 * messages) {
        match next(&mut subscription).await {
            Event::Topic(_) => starts += 1,
            Event::Update { .. } => updates += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn both_subscriptions_of_a_topic_get_it() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut first = subscribe(&client, &mut peer, "a", &[start("a", "event", "k1", 7, "live")]).await;
    peer.update("a", 8).await;
    assert_eq!(next_seq(&mut first).await, 8);
    // The pattern covers the topic: nothing changes for the broker, so it does not mention the topic.
    let mut second = subscribe(&client, &mut peer, "*", &[]).await;
    peer.update("a", 9).await;
    assert_eq!(next_seq(&mut first).await, 9);
    let Event::Topic(joined) = next(&mut second).await else { panic!() };
    assert_eq!((joined.start, joined.seq, joined.epoch.as_deref()), (Start::Live, 8, Some("k1")));
    assert_eq!(next_seq(&mut second).await, 9);
    // A third subscription has the same entry as the first, so the broker is not told when it ends.
    let mut third = subscribe(&client, &mut peer, "a", &[start("a", "event", "k1", 9, "live")]).await;
    soon(third.next()).await.unwrap();
    soon(first.unsubscribe()).await.unwrap();
    peer.update("a", 10).await;
    assert_eq!((next_seq(&mut second).await, next_seq(&mut third).await), (10, 10));
    drop(third);
    peer.expect(r#"{"op":"unsubscribe","id":4,"topics":["a"]}"#).await;
    peer.send(r#"{"op":"unsubscribed","id":4,"topics":["a"]}"#).await;
    peer.update("a", 11).await;
    assert_eq!(next_seq(&mut second).await, 11);
    assert_eq!(client.counters().violations, 0);
}

#[tokio::test]
async fn a_hole_is_reported() {
    let server = Server::bind().await;
    let (client, mut peer, mut subscription) = subscribed(&server, server.options()).await;
    for seq in [1, 3, 4] {
        peer.update("a", seq).await;
    }
    assert_eq!(next_seq(&mut subscription).await, 1);
    let Event::Violation { violation, .. } = next(&mut subscription).await else { panic!() };
    assert_eq!(violation, Violation::NotNext { expected: 2, from: 3, to: 3 });
    assert_eq!((next_seq(&mut subscription).await, next_seq(&mut subscription).await), (3, 4));
    assert_eq!(client.counters().violations, 1, "once for one hole");
    // A topic that was never introduced.
    peer.send(r#"{"op":"update","topic":"z","seq":1,"ts":1,"data":1}"#).await;
    peer.update("a", 5).await;
    assert_eq!(next_seq(&mut subscription).await, 5);
    assert_eq!(client.counters().violations, 2);
}

#[tokio::test]
async fn list_and_ping() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connect(server.options(), HELLO).await;
    let serve = async {
        peer.expect(r#"{"op":"list","id":1}"#).await;
        peer.send(r#"{"op":"subscriptions","id":1,"topics":[{"topic":"a","conflate_ms":0,"on_slow":"conflate"}],"patterns":[]}"#).await;
        peer.expect(r#"{"op":"ping","id":2}"#).await;
        peer.send(r#"{"op":"pong","id":2,"ts":1732270000125000}"#).await;
    };
    let ask = async {
        assert_eq!(soon(client.list()).await.unwrap()[0].entry, "a");
        assert_eq!(soon(client.ping()).await.unwrap(), 1_732_270_000_125_000);
    };
    tokio::join!(serve, ask);
}

/// The broker's side of a topic that is subscribed anew while updates are in flight: they come before the answer.
async fn serve_again(peer: &mut Peer, left: bool, row: &str, first: u64) {
    let unsubscribe = if left { Some(peer.next().await) } else { None };
    let request = peer.next().await;
    assert_eq!((&request["op"], &request["topics"]), (&json!("subscribe"), &json!(["a"])));
    peer.update("a", 2).await;
    peer.update("a", 3).await;
    if let Some(unsubscribe) = unsubscribe {
        assert_eq!(unsubscribe["op"], "unsubscribe");
        peer.send(&format!(r#"{{"op":"unsubscribed","id":{},"topics":["a"]}}"#, unsubscribe["id"])).await;
    } else {
        peer.update("a", 4).await;
    }
    peer.subscribed(&request["id"], &[row.to_owned()]).await;
    peer.update("a", first).await;
    peer.update("a", first + 1).await;
}

#[tokio::test]
async fn updates_before_the_answer_belong_to_the_previous_subscription() {
    let server = Server::bind().await;
    for (from, how, first) in [(From::Image, "live", 13), (From::Last(3), "history", 10)] {
        for left in [true, false] {
            let (client, mut peer, mut before) = subscribed(&server, server.options()).await;
            peer.update("a", 1).await;
            assert_eq!(next_seq(&mut before).await, 1);
            // A click from one tab to another and back: left, and joined again before the broker read the request.
            let before = Some(before).filter(|_| !left);
            let row = start("a", "event", "k1", 12, how);
            let (again, ()) = tokio::join!(
                soon(client.subscribe(["a"]).from(from).send()),
                serve_again(&mut peer, left, &row, first)
            );
            let mut again = again.unwrap();
            let Event::Topic(begun) = next(&mut again).await else { panic!() };
            assert_eq!(begun.seq, 12, "{how}");
            assert_eq!([next_seq(&mut again).await, next_seq(&mut again).await], [first, first + 1], "{how}");
            if let Some(mut before) = before {
                for seq in [2, 3, 4, first, first + 1] {
                    assert_eq!(next_seq(&mut before).await, seq, "{how}");
                }
            }
            assert_eq!(client.counters().violations, 0, "{how}, left: {left}");
        }
    }
}
