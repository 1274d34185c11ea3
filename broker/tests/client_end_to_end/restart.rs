//! A broker that is killed and restarted has lost everything: the client reports that, and goes on.

use broker_client::{Event, Publish, Start};

use crate::running::{Running, connect, next, soon};

#[tokio::test]
async fn another_broker_on_the_same_address() {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let address = broker.listen.to_string();
    let client = connect(broker.url(), 1_024).await;
    let mut named = soon(client.subscribe(["a.event", "a.state", "a.waits"]).send()).await.unwrap();
    let mut pattern = soon(client.subscribe(["b.*"]).send()).await.unwrap();
    for topic in ["a.event", "b.event"] {
        soon(client.publish(Publish::event(topic, "1"))).await.unwrap();
    }
    soon(client.publish(Publish::state("a.state", "1"))).await.unwrap();
    let mut epochs = Vec::new();
    let mut updates = 0;
    while updates < 2 {
        match next(&mut named).await {
            Event::Topic(begun) => epochs.extend(begun.epoch),
            Event::Update { .. } => updates += 1,
            other => panic!("{other:?}"),
        }
    }
    while !matches!(next(&mut pattern).await, Event::Update { .. }) {}
    drop(broker);

    let _broker = Running::start(&address, &[]).await;
    // With a source, an update arrives even if the connection on which it was sent is lost.
    soon(client.publish(Publish::event("a.event", "2").source("x", 2))).await.unwrap();
    soon(client.publish(Publish::event("b.event", "2").source("x", 2))).await.unwrap();
    let (mut reset, mut update) = (0, None);
    while update.is_none() || reset < 3 {
        match next(&mut named).await {
            Event::Topic(begun) => {
                assert!(begun.epoch.as_ref().is_none_or(|epoch| !epochs.contains(epoch)), "{begun:?}");
                reset += u32::from(begun.start == Start::Reset);
            }
            Event::Update { seq, data, .. } => update = Some((seq, data.text().to_owned())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(update, Some((1, "2".to_owned())));
    loop {
        match next(&mut pattern).await {
            Event::Topic(_) => {}
            Event::Update { seq, data, .. } => {
                assert_eq!((seq, data.text()), (1, "2"));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.counters().violations, 0);
    assert!(client.counters().reconnects >= 1);
}
