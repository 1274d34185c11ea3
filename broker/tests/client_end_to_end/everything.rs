//! Each request once, against the broker.

use broker_client::{Client, ErrorCode, Event, From, Kind, OnSlow, Publish, PublishError, Start};

use crate::running::{Running, connect, next, soon};

async fn both() -> (Running, Client) {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let client = connect(broker.url(), 1_024).await;
    (broker, client)
}

#[tokio::test]
async fn publish_and_subscribe() {
    let (_broker, client) = both().await;
    assert!(client.hello().server.starts_with("tickcast/"), "{:?}", client.hello());
    let quote = |bid: &str| Publish::state("stocks.AAPL.quote", format!(r#"{{"bid":{bid},"ask": null}}"#));
    let first = soon(client.publish(quote("189.10").source_ts(5))).await.unwrap();
    assert_eq!((first.seq, first.duplicate), (1, false));

    let mut quotes = soon(client.subscribe(["stocks.*.quote"]).send()).await.unwrap();
    let Event::Topic(start) = next(&mut quotes).await else { panic!() };
    assert_eq!(
        (start.kind, start.start, start.epoch.as_deref()),
        (Some(Kind::State), Start::Image, Some(&*first.epoch))
    );
    let Event::Image { data, source_ts, .. } = next(&mut quotes).await else { panic!() };
    assert_eq!((data.text(), source_ts), (r#"{"bid":189.10,"ask":null}"#, Some(5)));
    soon(client.publish(quote("189.20"))).await.unwrap();
    let Event::Update { seq: 2, data, .. } = next(&mut quotes).await else { panic!() };
    assert_eq!(data.text(), r#"{"bid":189.20,"ask":null}"#);

    let error = soon(client.publish(Publish::event("stocks.AAPL.quote", "1"))).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused { code: ErrorCode::KindMismatch, .. }), "{error}");
    soon(quotes.unsubscribe()).await.unwrap();
    assert!(soon(client.list()).await.unwrap().is_empty());
    assert!(soon(client.ping()).await.unwrap() > 1_700_000_000_000_000);
    assert_eq!(client.counters(), Default::default());
    soon(client.close()).await;
}

#[tokio::test]
async fn batches_history_and_duplicates() {
    let (_broker, client) = both().await;
    let trade =
        |number: u64| Publish::event("a.trade", format!(r#"{{"n":{number},"filler":"{}"}}"#, "x".repeat(1_000)));
    let batch: Vec<Publish> = (1..=200).map(|number| trade(number).source("feed", number)).collect();
    // 200 KB; the broker accepts messages of 64 KiB.
    let answer = soon(client.publish_batch(batch.clone())).await.unwrap();
    assert_eq!((answer.accepted, answer.duplicates, answer.rejected.len()), (200, 0, 0));
    let answer = soon(client.publish_batch(batch)).await.unwrap();
    assert_eq!((answer.accepted, answer.duplicates), (200, 200));
    let mixed = vec![trade(201), Publish::state("a.trade", "1"), trade(202)];
    let answer = soon(client.publish_batch(mixed)).await.unwrap();
    assert_eq!((answer.accepted, answer.rejected[0].0, answer.rejected[0].1), (2, 1, ErrorCode::KindMismatch));

    let subscribe = client.subscribe(["a.trade", "b.later"]).from(From::Last(3)).on_slow(OnSlow::Retain);
    let mut trades = soon(subscribe.send()).await.unwrap();
    let listed = soon(client.list()).await.unwrap();
    assert_eq!(
        listed.iter().map(|one| (one.entry.as_str(), one.on_slow.as_str())).collect::<Vec<_>>(),
        [("a.trade", "retain"), ("b.later", "retain")]
    );
    let mut seen = Vec::new();
    while seen.len() < 3 {
        if let Event::Update { seq, .. } = next(&mut trades).await {
            seen.push(seq);
        }
    }
    assert_eq!(seen, [200, 201, 202]);
    soon(client.publish(Publish::event("b.later", "1"))).await.unwrap();
    let Event::Topic(begun) = next(&mut trades).await else { panic!() };
    assert_eq!(&*begun.topic, "b.later");
    let Event::Update { seq: 1, .. } = next(&mut trades).await else { panic!() };
    assert_eq!(client.counters(), Default::default());
}

#[tokio::test]
async fn refused_entries_are_reported_and_the_others_take_effect() {
    let broker = Running::start("127.0.0.1:0", &["--subscriptions", "2"]).await;
    let client = connect(broker.url(), 1_024).await;
    let subscription = soon(client.subscribe(["a", "b", "c"]).send()).await.unwrap();
    let refused: Vec<_> = subscription.refused().iter().map(|one| (one.entry.as_str(), one.code)).collect();
    assert_eq!(refused, [("c", ErrorCode::Limit)]);
}

#[tokio::test]
async fn entries_that_were_refused_with_retry_come_when_there_is_room() {
    let broker = Running::start("127.0.0.1:0", &["--subscriptions", "2"]).await;
    let client = connect(broker.url(), 1_024).await;
    let first = soon(client.subscribe(["a"]).send()).await.unwrap();
    let mut second = soon(client.subscribe(["b", "c"]).send()).await.unwrap();
    assert_eq!(second.refused().iter().map(|one| (one.entry.as_str(), one.retry)).collect::<Vec<_>>(), [("c", true)]);
    drop(first);
    loop {
        if let Event::Topic(begun) = next(&mut second).await
            && &*begun.topic == "c"
        {
            break;
        }
    }
    soon(client.publish(Publish::event("c", "1"))).await.unwrap();
    let event = next(&mut second).await;
    assert!(matches!(&event, Event::Topic(begun) if &*begun.topic == "c"), "{event:?}");
    let Event::Update { seq: 1, .. } = next(&mut second).await else { panic!() };
}

#[tokio::test]
async fn a_patch_needs_a_state() {
    let (_broker, client) = both().await;
    let patch = || Publish::patch("book", r#"{"bids":{"1":"5"}}"#);
    let error = soon(client.publish(patch())).await.unwrap_err();
    assert!(matches!(error, PublishError::NoState { .. }), "{error}");
    let answer = soon(client.publish_batch(vec![patch(), Publish::state("book", "{}"), patch()])).await.unwrap();
    assert_eq!((answer.accepted, answer.rejected[0].0, answer.rejected[0].1), (2, 0, ErrorCode::NoState));
    assert_eq!(soon(client.publish(patch())).await.unwrap().seq, 3);
}
