//! A reader that does not keep up: every update that it misses is named.

use broker_client::{ConnectionEvent, Event, OnSlow, Publish, Start};

use crate::running::{Running, connect, next, soon};

const UPDATES: u64 = 40_000;
/// Far less than will be pending for the reader.
const TIGHT: [&str; 4] = ["--retain-updates", "100", "--behind-bytes", "4096"];

fn filler() -> String {
    "x".repeat(400)
}

#[tokio::test]
async fn every_missing_event_is_named() {
    let broker = Running::start("127.0.0.1:0", &TIGHT).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(broker.url(), 1).await);
    let mut slow = soon(consumer.subscribe(["a"]).send()).await.unwrap();
    let data = format!("\"{}\"", filler());
    for _ in 0..UPDATES {
        producer.publish_unacknowledged(Publish::event("a", data.clone())).await.unwrap();
    }
    soon(producer.flush()).await.unwrap();
    // It reads only now: no buffer on the way holds 16 MB.
    let (mut last, mut lost) = (0, 0);
    while last < UPDATES {
        match next(&mut slow).await {
            Event::Update { seq, .. } => {
                assert_eq!(seq, last + 1);
                last = seq;
            }
            Event::Gap { from, to, .. } => {
                assert_eq!(from, last + 1);
                lost += to + 1 - from;
                last = to;
            }
            Event::Topic(begun) => assert_ne!(begun.start, Start::Reset),
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0, "it was not slow enough for this test");
    assert_eq!(consumer.counters().violations, 0);
}

#[tokio::test]
async fn disconnected_and_back() {
    let broker = Running::start("127.0.0.1:0", &TIGHT).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(broker.url(), 1).await);
    let mut events = consumer.events();
    let mut slow = soon(consumer.subscribe(["a"]).on_slow(OnSlow::Disconnect).send()).await.unwrap();
    let data = format!("\"{}\"", filler());
    for _ in 0..UPDATES {
        producer.publish_unacknowledged(Publish::event("a", data.clone())).await.unwrap();
    }
    soon(producer.flush()).await.unwrap();
    let mut last = 0;
    while last < UPDATES {
        match next(&mut slow).await {
            Event::Update { seq, .. } => {
                assert_eq!(seq, last + 1);
                last = seq;
            }
            Event::Gap { from, to, .. } => {
                assert_eq!(from, last + 1);
                last = to;
            }
            Event::Topic(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let code = soon(async {
        loop {
            if let Some(ConnectionEvent::Disconnected { code, .. }) = events.next().await {
                return code;
            }
        }
    });
    assert_eq!(code.await, Some(4008));
    assert_eq!(consumer.counters().violations, 0);
}
