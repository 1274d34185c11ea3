//! Publishing: what goes over the wire, what comes back, and what happens when the connection is lost.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use broker_client::{ConnectionEvent, ErrorCode, Kind, Options, Publish, PublishError};
use serde_json::Value;

use crate::server::{HELLO, Peer, Server, hello, soon};

/// Reads publishes until `updates` have come and answers each. Returns the data in order, and the number of messages.
async fn take_all(peer: &mut Peer, updates: usize) -> (Vec<Value>, usize) {
    let (mut taken, mut messages) = (Vec::new(), 0);
    while taken.len() < updates {
        let message = peer.next().await;
        taken.extend(answer(peer, &message).await);
        messages += 1;
    }
    (taken, messages)
}

/// Answers a publish, and returns its data.
async fn answer(peer: &mut Peer, message: &Value) -> Vec<Value> {
    let id = &message["id"];
    match message["batch"].as_array() {
        Some(batch) => {
            let accepted = batch.len();
            peer.send(&format!(r#"{{"op":"published","id":{id},"accepted":{accepted},"rejected":[]}}"#)).await;
            batch.iter().map(|entry| entry["data"].clone()).collect()
        }
        None => {
            peer.send(&format!(r#"{{"op":"published","id":{id},"topic":"a","epoch":"k1","seq":1}}"#)).await;
            vec![message["data"].clone()]
        }
    }
}

#[tokio::test]
async fn acknowledged() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let serve = async {
        peer.expect(r#"{"op":"publish","id":1,"topic":"a","kind":"state","data":{"px":1.50},"source":"x","source_seq":7,"source_ts":9}"#)
            .await;
        peer.send(r#"{"op":"published","id":1,"topic":"a","epoch":"k1","seq":7,"duplicate":true}"#).await;
        peer.expect(r#"{"op":"publish","id":2,"topic":"a","data":1}"#).await;
        peer.send(r#"{"op":"error","id":2,"code":"kind_mismatch","message":"a is an event topic","retry":false}"#)
            .await;
    };
    let ask = async {
        let update = Publish::state("a", r#"{"px":1.50}"#).source("x", 7).source_ts(9);
        let published = soon(client.publish(update)).await.unwrap();
        assert_eq!((&*published.topic, &*published.epoch, published.seq, published.duplicate), ("a", "k1", 7, true));
        let error = soon(client.publish(Publish::new("a", "1"))).await.unwrap_err();
        assert!(matches!(error, PublishError::Refused { code: ErrorCode::KindMismatch, retry: false, .. }), "{error}");
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn an_invalid_update_does_not_hold_up_the_others() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connect(server.options(), &hello(&[("message_bytes", 200)])).await;
    let batch = vec![
        Publish::event("a", "1,2"),
        Publish::event("a", "2"),
        Publish::event("a..b", "3"),
        Publish::event("a", "4"),
        Publish::event("a", format!("\"{}\"", "x".repeat(200))),
        Publish::patch("a", "6"),
    ];
    let serve = async {
        peer.expect(r#"{"op":"publish","id":1,"batch":[{"topic":"a","kind":"event","data":2},{"topic":"a","kind":"event","data":4}]}"#)
            .await;
        peer.send(
            r#"{"op":"published","id":1,"accepted":1,"rejected":[{"index":1,"code":"kind_mismatch","message":"no"}]}"#,
        )
        .await;
    };
    let ((), answer) = tokio::join!(serve, soon(client.publish_each(batch)));
    let answer = answer.unwrap();
    let rejected: Vec<_> = answer.rejected.iter().map(|(index, code, _)| (*index, *code)).collect();
    assert_eq!(
        (answer.accepted, rejected),
        (
            1,
            vec![
                (0, ErrorCode::BadJson),
                (2, ErrorCode::BadTopic),
                (3, ErrorCode::KindMismatch),
                (4, ErrorCode::TooLarge),
                (5, ErrorCode::BadRequest)
            ]
        )
    );
    let none = soon(client.publish_each(vec![Publish::event("a", "")])).await.unwrap();
    assert_eq!((none.accepted, none.rejected.len()), (0, 1));
}

#[tokio::test]
async fn an_invalid_update_is_not_sent() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connect(server.options(), &hello(&[("message_bytes", 200)])).await;
    let batch = vec![Publish::event("a", "1"), Publish::event("a", "1,2")];
    assert!(matches!(client.publish_batch(batch).await, Err(PublishError::Invalid { index: 1, .. })));
    let long = Publish::event("a", format!("\"{}\"", "x".repeat(200)));
    assert!(matches!(
        client.publish_unacknowledged(long).await,
        Err(PublishError::TooLarge { message_bytes: 200, .. })
    ));
    assert_eq!(client.publish_batch(vec![]).await.unwrap(), Default::default());
    client.publish_unacknowledged(Publish::event("a", "3")).await.unwrap();
    peer.expect(r#"{"op":"publish","id":1,"topic":"a","kind":"event","data":3}"#).await;
}

#[tokio::test]
async fn a_batch_is_split_by_the_brokers_limit() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connect(server.options(), &hello(&[("message_bytes", 300)])).await;
    let batch = (0..50).map(|number| Publish::event("a", number.to_string())).collect();
    let serve = async {
        let (mut seen, mut messages) = (0, 0);
        while seen < 50 {
            let frame = peer.next_frame().await;
            assert!(frame.payload.len() <= 300, "{}", frame.payload.len());
            let message: Value = serde_json::from_slice(&frame.payload).unwrap();
            let batch = message["batch"].as_array().unwrap();
            for entry in batch {
                assert_eq!(entry["data"], seen);
                seen += 1;
            }
            // The first of each part is rejected; the others are accepted, one of them as a duplicate.
            let (id, accepted) = (&message["id"], batch.len() - 1);
            peer.send(&format!(
                r#"{{"op":"published","id":{id},"accepted":{accepted},"duplicates":1,"rejected":[{{"index":0,"code":"kind_mismatch","message":"no"}}]}}"#
            ))
            .await;
            messages += 1;
        }
        messages
    };
    let (messages, answer) = tokio::join!(serve, soon(client.publish_batch(batch)));
    let answer = answer.unwrap();
    assert!(messages > 3, "{messages}");
    assert_eq!(
        (answer.accepted, answer.duplicates, answer.rejected.len()),
        (50 - messages, messages, messages as usize)
    );
    let mut indexes: Vec<usize> = answer.rejected.iter().map(|(index, ..)| *index).collect();
    assert_eq!(indexes[0], 0);
    indexes.dedup();
    assert_eq!(indexes.len(), messages as usize, "each names another place in the whole batch");
}

#[tokio::test]
async fn unacknowledged_updates_share_messages_and_keep_their_order() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let publish = async {
        for number in 0..10_000 {
            client.publish_unacknowledged(Publish::event("a", number.to_string())).await.unwrap();
        }
        client.flush().await.unwrap();
    };
    let ((), (taken, messages)) = tokio::join!(soon(publish), take_all(&mut peer, 10_000));
    assert!(taken.iter().enumerate().all(|(index, data)| *data == index), "in order, each once");
    assert!(messages < 1_000, "{messages} messages");
}

#[tokio::test]
async fn a_rejected_unacknowledged_update_is_reported() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    let batch = ["a", "b"].map(|topic| Publish::patch(topic, "{}")).to_vec();
    client.publish_batch_unacknowledged(batch).await.unwrap();
    let message = peer.next().await;
    let id = &message["id"];
    peer.send(&format!(
        r#"{{"op":"published","id":{id},"accepted":1,"rejected":[{{"index":1,"code":"kind_mismatch","message":"no"}}]}}"#
    ))
    .await;
    soon(client.flush()).await.unwrap();
    assert_eq!(client.counters().unacknowledged_refused, 1);
    let Some(ConnectionEvent::Connected { resumed: false, .. }) = soon(events.next()).await else { panic!() };
    let Some(ConnectionEvent::Unacknowledged(reported)) = soon(events.next()).await else { panic!() };
    assert_eq!(reported.topic, "b");
    assert!(matches!(reported.error, PublishError::Refused { code: ErrorCode::KindMismatch, .. }));
}

#[tokio::test]
async fn updates_without_a_source_are_unanswered_after_a_lost_connection() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    client.publish_unacknowledged(Publish::event("b", "0")).await.unwrap();
    let lose = async {
        peer.next().await;
        peer.next().await;
        peer.vanish();
    };
    let (answer, ()) = tokio::join!(soon(client.publish(Publish::event("a", "1"))), lose);
    assert_eq!(answer, Err(PublishError::Unanswered));
    let reported = soon(async {
        loop {
            if let Some(ConnectionEvent::Unacknowledged(reported)) = events.next().await {
                return reported;
            }
        }
    });
    let reported = reported.await;
    assert_eq!((reported.topic.as_str(), reported.error), ("b", PublishError::Unanswered));
    assert_eq!(client.counters().unacknowledged_unanswered, 1);
    // Later updates go to the next connection.
    let mut peer = server.accept(HELLO).await;
    client.publish_unacknowledged(Publish::event("a", "2")).await.unwrap();
    assert_eq!(take_all(&mut peer, 1).await.0, [2]);
}

#[tokio::test]
async fn updates_with_a_source_are_sent_again_first_and_in_order() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let sourced = |number: u64| Publish::event("a", number.to_string()).source("x", number);
    for number in 1..=3 {
        client.publish_unacknowledged(sourced(number)).await.unwrap();
    }
    let publish = client.publish(sourced(4));
    let batch = client.publish_batch(vec![sourced(5), sourced(6)]);
    let serve = async {
        // The first is answered; the rest was written and may have been accepted.
        let mut seen = 0;
        while seen < 6 {
            let message = peer.next().await;
            let updates = message["batch"].as_array().map_or(1, Vec::len);
            if seen == 0 {
                answer(&mut peer, &message).await;
            }
            seen += updates;
        }
        peer.vanish();
        let mut peer = server.accept(HELLO).await;
        let mut again = Vec::new();
        while again.last() != Some(&Value::from(7)) {
            let message = peer.next().await;
            again.extend(answer(&mut peer, &message).await);
        }
        (again, peer)
    };
    let after = async {
        let (published, batch) = tokio::join!(soon(publish), soon(batch));
        published.unwrap();
        assert_eq!(batch.unwrap().accepted, 2);
        client.publish_unacknowledged(sourced(7)).await.unwrap();
    };
    let ((again, _peer), ()) = tokio::join!(serve, after);
    let numbers: Vec<u64> = again.iter().filter_map(Value::as_u64).collect();
    assert!(numbers.is_sorted() && numbers.ends_with(&[4, 5, 6, 7]), "{numbers:?}");
    assert!(numbers.len() < 7, "what was answered is not sent again: {numbers:?}");
}

#[tokio::test]
async fn a_full_queue_makes_publishing_wait() {
    let server = Server::bind().await;
    let options = Options { outgoing_bytes_max: 4_096, unanswered_bytes_max: 8_192, ..server.options() };
    let (client, mut peer) = server.connect(options, HELLO).await;
    // The broker does not answer: after 8 KiB nothing more is written, and after 4 KiB more nothing more is queued.
    let mut published = 0;
    let mut wakes = Context::from_waker(Waker::noop());
    loop {
        let mut publish = pin!(client.publish_unacknowledged(Publish::event("a", "1234567890")));
        match publish.as_mut().poll(&mut wakes) {
            Poll::Ready(result) => result.unwrap(),
            // The writer may not have run yet: the queue counts as full if it is still full once the rest was written.
            Poll::Pending if published > 200 => break,
            Poll::Pending => soon(publish).await.unwrap(),
        }
        published += 1;
    }
    assert!(published < 1_000, "{published}");
    let (taken, _) = take_all(&mut peer, published).await;
    assert_eq!(taken.len(), published);
    soon(client.publish_unacknowledged(Publish::event("a", "1"))).await.unwrap();
}

#[tokio::test]
async fn a_publish_whose_caller_is_gone_is_not_sent() {
    let server = Server::bind().await;
    let (client, peer) = server.connected().await;
    peer.vanish();
    // Without a connection it cannot be written.
    let mut socket = server.socket().await;
    {
        let mut publish = pin!(client.publish(Publish::event("a", "1")));
        assert!(publish.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    client.publish_unacknowledged(Publish::event("a", "2")).await.unwrap();
    let head = crate::server::head(&mut socket).await;
    assert!(!head.is_empty());
    drop(socket);
    let mut peer = server.accept(HELLO).await;
    assert_eq!(take_all(&mut peer, 1).await.0, [2]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let server = Server::bind().await;
    let options = Options { answer_timeout_ms: 50, ..server.options() };
    let (client, _peer) = server.connect(options, HELLO).await;
    let error = soon(client.publish(Publish::event("a", "1"))).await.unwrap_err();
    assert_eq!(error, PublishError::Timeout { timeout_ms: 50 });
    assert!(soon(client.ping()).await.is_err());
}

#[tokio::test]
async fn a_patch_without_a_state_has_an_error_of_its_own() {
    let server = Server::bind().await;
    let (client, mut peer) = server.connected().await;
    let mut events = client.events();
    let message = r#"\"a\" has no state: publish one first"#;
    let refuse = async {
        let id = peer.next().await["id"].clone();
        peer.send(&format!(r#"{{"op":"error","id":{id},"code":"no_state","message":"{message}","retry":false}}"#))
            .await;
    };
    let (answer, ()) = tokio::join!(soon(client.publish(Publish::patch("a", "{}"))), refuse);
    let error = answer.unwrap_err();
    assert_eq!(error, PublishError::NoState { message: "\"a\" has no state: publish one first".to_owned() });
    assert!(error.to_string().contains("publish a whole state first"), "{error}");

    let rejected = format!(r#"[{{"index":0,"code":"no_state","message":"{message}"}}]"#);
    let batch = vec![Publish::patch("a", "{}"), Publish::state("a", "{}")];
    let answer_batch = async |peer: &mut Peer| {
        let id = peer.next().await["id"].clone();
        peer.send(&format!(r#"{{"op":"published","id":{id},"accepted":1,"rejected":{rejected}}}"#)).await;
    };
    let (answer, ()) = tokio::join!(soon(client.publish_batch(batch.clone())), answer_batch(&mut peer));
    let answer = answer.unwrap();
    assert_eq!((answer.accepted, answer.rejected[0].0, answer.rejected[0].1), (1, 0, ErrorCode::NoState));

    client.publish_batch_unacknowledged(batch).await.unwrap();
    answer_batch(&mut peer).await;
    soon(client.flush()).await.unwrap();
    let reported = loop {
        if let Some(ConnectionEvent::Unacknowledged(reported)) = soon(events.next()).await {
            break reported;
        }
    };
    assert!(matches!(reported.error, PublishError::NoState { .. }), "{reported:?}");
    assert_eq!((reported.topic.as_str(), reported.kind), ("a", Some(Kind::Patch)));
}
