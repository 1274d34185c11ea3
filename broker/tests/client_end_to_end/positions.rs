//! A client that follows a pattern resumes with a short request, and loses nothing, however many topics the pattern
//! has.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use broker_client::{Client, Event, From, Publish, Subscription};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::running::{Running, connect, next, soon};

/// Far more topics than the connection may have subscriptions.
const TOPICS: u64 = 300;
const SETTINGS: [&str; 4] = ["--subscriptions", "3", "--retain-updates", "1000"];

/// A proxy to the broker that counts positions, and can be closed for a while.
struct Gate {
    url: String,
    /// The number of positions so far.
    positions: watch::Receiver<u64>,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    async fn to(broker: SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
        let (count, positions) = watch::channel(0);
        let open = Arc::new(watch::Sender::new(true));
        let gate = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*gate.borrow() {
                    continue;
                }
                let (mut closed, count) = (gate.subscribe(), count.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(client, broker, count) => {}
                        _ = closed.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Gate { url, positions, open }
    }

    /// Waits for the next position that the broker sends.
    async fn next_position(&mut self) {
        let before = *self.positions.borrow();
        soon(self.positions.wait_for(|positions| *positions > before)).await.unwrap();
    }
}

async fn pass(mut client: TcpStream, broker: SocketAddr, count: watch::Sender<u64>) {
    let Ok(mut broker) = TcpStream::connect(broker).await else { return };
    let ((mut from_client, mut to_client), (mut from_broker, mut to_broker)) = (client.split(), broker.split());
    let up = async { drop(tokio::io::copy(&mut from_client, &mut to_broker).await) };
    let down = async {
        const POSITION: &[u8] = br#"{"op":"position""#;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_broker.read(&mut buffer).await {
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            bytes.extend_from_slice(&buffer[..read]);
            let found = bytes.windows(POSITION.len()).filter(|bytes| *bytes == POSITION).count();
            count.send_modify(|count| *count += found as u64);
            bytes.drain(..bytes.len().saturating_sub(POSITION.len() - 1));
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

async fn publish(client: &Client, round: u64) {
    let batch = (0..TOPICS).map(|topic| Publish::event(format!("many.{topic}"), round.to_string())).collect();
    assert_eq!(soon(client.publish_batch(batch)).await.unwrap().accepted, TOPICS);
}

/// Reads until every topic has reached `last`, each update once and none missing.
async fn read(subscription: &mut Subscription, reached: &mut HashMap<String, u64>, last: u64) {
    let mut due = (0..TOPICS).filter(|topic| reached.get(&format!("many.{topic}")) != Some(&last)).count();
    while due > 0 {
        match next(subscription).await {
            Event::Topic(_) => {}
            Event::Update { topic, seq, .. } => {
                let before = reached.entry(topic.to_string()).or_default();
                assert_eq!(seq, *before + 1, "{topic}");
                *before = seq;
                due -= usize::from(seq == last);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_pattern_of_more_topics_than_can_be_resumed_one_by_one_loses_nothing() {
    let broker = Running::start("127.0.0.1:0", &SETTINGS).await;
    let mut gate = Gate::to(broker.listen).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(gate.url.clone(), 64).await);
    publish(&producer, 1).await;
    let mut subscription = soon(consumer.subscribe(["many.*"]).from(From::Last(1)).send()).await.unwrap();
    let mut reached = HashMap::new();
    read(&mut subscription, &mut reached, 1).await;
    for round in [2, 5] {
        // The broker sends again what came after the last position, and the client delivers it once.
        gate.next_position().await;
        publish(&producer, round).await;
        read(&mut subscription, &mut reached, round).await;
        gate.open.send_replace(false);
        publish(&producer, round + 1).await;
        publish(&producer, round + 2).await;
        gate.open.send_replace(true);
        read(&mut subscription, &mut reached, round + 2).await;
    }
    assert_eq!((consumer.counters().violations, consumer.counters().reconnects > 1), (0, true));
}

#[tokio::test]
async fn a_topic_that_ended_meanwhile_is_reported() {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let mut gate = Gate::to(broker.listen).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(gate.url.clone(), 64).await);
    for topic in ["ends.a", "ends.b"] {
        soon(producer.publish(Publish::state(topic, "1"))).await.unwrap();
    }
    let mut subscription = soon(consumer.subscribe(["ends.*"]).send()).await.unwrap();
    gate.next_position().await;
    gate.open.send_replace(false);
    let mut http = TcpStream::connect(broker.listen).await.unwrap();
    let request = "DELETE /v1/topics/ends.a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(http.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    gate.open.send_replace(true);
    let closed = loop {
        match next(&mut subscription).await {
            Event::Closed { topic } => break topic,
            Event::Topic(_) | Event::Image { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((&*closed, consumer.counters().violations), ("ends.a", 0));
}

#[tokio::test]
async fn ready_comes_when_every_topic_has_its_image() {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let client = connect(broker.url(), 64).await;
    let batch = (0..3_000).map(|topic| Publish::state(format!("whole.{topic}"), topic.to_string())).collect();
    soon(client.publish_batch(batch)).await.unwrap();
    let mut subscription = soon(client.subscribe(["whole.*", "never.published"]).ready().send()).await.unwrap();
    let mut images = 0;
    loop {
        match next(&mut subscription).await {
            Event::Image { .. } => images += 1,
            Event::Topic(_) => {}
            Event::Ready => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(images, 3_000);
    soon(client.publish(Publish::state("whole.1", "1"))).await.unwrap();
    let Event::Update { seq: 2, .. } = next(&mut subscription).await else { panic!() };
}

#[tokio::test]
async fn left_and_joined_again_while_updates_are_in_flight() {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(broker.url(), 1_024).await);
    soon(producer.publish(Publish::event("tab", "1"))).await.unwrap();
    let publishing = async {
        loop {
            producer.publish_unacknowledged(Publish::event("tab", "1")).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let clicking = async {
        for click in 0..300 {
            let from = if click % 2 == 0 { From::Last(10) } else { From::Live };
            let mut subscription = soon(consumer.subscribe(["tab"]).from(from).send()).await.unwrap();
            let mut last = None;
            let mut came = 0;
            while came < 5 {
                match next(&mut subscription).await {
                    Event::Update { seq, .. } => {
                        assert!(last.is_none_or(|last| seq == last + 1), "{last:?} {seq}");
                        last = Some(seq);
                        came += 1;
                    }
                    // The publisher is as fast as it can be, and may be faster than this reader.
                    Event::Gap { from, to, .. } => {
                        assert!(last.is_none_or(|last| from == last + 1), "{last:?} {from}");
                        last = Some(to);
                    }
                    Event::Topic(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    tokio::select! {
        () = publishing => {}
        () = clicking => {}
    }
    assert_eq!(consumer.counters(), Default::default());
}
