//! Connections that are cut in the middle: nothing is lost, duplicated or out of order.

use std::collections::BTreeMap;
use std::slice::from_ref;

use broker_client::{Client, Event, Publish, Subscription};

use crate::running::{Line, Running, connect, connect_to, next, soon};

const TOPICS: u64 = 8;
const UPDATES: u64 = 1_500;
const CUTS: u64 = 12;
/// More than all updates, so that nothing expires during a cut.
const RETAIN: [&str; 4] = ["--retain-updates", "100000", "--retain-bytes", "100000000"];

fn event_topic(number: u64) -> String {
    format!("cut.{}.trade", number % TOPICS)
}

/// Publishes everything. Half way it waits until `line` was cut, if there is one.
async fn publish_all(client: &Client, line: Option<&Line>) {
    for number in 0..UPDATES * TOPICS {
        if let Some(line) = line
            && number == UPDATES * TOPICS / 2
        {
            soon(async {
                while line.accepted() < 2 {
                    tokio::task::yield_now().await
                }
            })
            .await;
        }
        // A source's numbers increase per topic.
        let update = Publish::event(event_topic(number), number.to_string()).source("feed", number);
        client.publish_unacknowledged(update).await.unwrap();
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    soon(client.flush()).await.unwrap();
}

/// Reads until every topic has all its updates, each once and in order. Cuts the lines at intervals.
async fn read_all(subscription: &mut Subscription, lines: &[Line]) {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let all = UPDATES * TOPICS;
    let mut came = 0;
    while came < all {
        match next(subscription).await {
            Event::Update { topic, seq, data, .. } => {
                let last = reached.entry(topic.to_string()).or_default();
                assert_eq!(seq, *last + 1, "{topic}");
                let number: u64 = data.parse().unwrap();
                assert_eq!((event_topic(number), number / TOPICS), (topic.to_string(), seq - 1));
                *last = seq;
                came += 1;
                if came % (all / CUTS) == all / CUTS / 2 {
                    lines.iter().for_each(Line::cut);
                }
            }
            Event::Topic(_) => {}
            other => panic!("{other:?} after {reached:?}"),
        }
    }
}

#[tokio::test]
async fn a_subscriber_of_topics() {
    let broker = Running::start("127.0.0.1:0", &RETAIN).await;
    let line = Line::to(broker.listen).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(line.url.clone(), 64).await);
    let topics = (0..TOPICS).map(event_topic);
    let mut subscription = soon(consumer.subscribe(topics).send()).await.unwrap();
    tokio::join!(publish_all(&producer, None), read_all(&mut subscription, from_ref(&line)));
    assert_eq!(consumer.counters().violations, 0);
    assert!(consumer.counters().reconnects > 0);
}

#[tokio::test]
async fn a_subscriber_of_a_pattern() {
    let broker = Running::start("127.0.0.1:0", &RETAIN).await;
    let line = Line::to(broker.listen).await;
    let (producer, consumer) = (connect(broker.url(), 1_024).await, connect(line.url.clone(), 64).await);
    // A topic that a pattern matches for the first time after a cut begins at its end, so all topics exist before the
    // first cut.
    let mut subscription = soon(consumer.subscribe(["cut.*.trade"]).send()).await.unwrap();
    tokio::join!(publish_all(&producer, None), read_all(&mut subscription, from_ref(&line)));
    assert_eq!(consumer.counters().violations, 0);
    assert!(consumer.counters().reconnects > 0);
    // Subscriptions that the client made only to resume were ended again.
    let listed = soon(async {
        loop {
            let listed = consumer.list().await.unwrap();
            if listed.len() == 1 {
                return listed;
            }
        }
    });
    assert_eq!(listed.await[0].entry, "cut.*.trade");
}

#[tokio::test]
async fn two_lines_to_the_same_topics_of_which_the_used_one_is_cut() {
    // What two brokers with one journal are for a client: the same topics, epochs and ids at either address.
    for entries in [(0..TOPICS).map(event_topic).collect(), vec!["cut.*.trade".to_owned()]] {
        let broker = Running::start("127.0.0.1:0", &RETAIN).await;
        let lines = [Line::to(broker.listen).await, Line::to(broker.listen).await];
        let urls = lines.each_ref().map(|line| line.url.clone());
        let (producer, consumer) = (connect(broker.url(), 1_024).await, connect_to(urls, 64).await);
        let mut subscription = soon(consumer.subscribe(entries).send()).await.unwrap();
        tokio::join!(publish_all(&producer, None), read_all(&mut subscription, &lines));
        assert_eq!(consumer.counters().violations, 0);
        assert!(lines.iter().all(|line| line.accepted() > 1), "both were used");
    }
}

#[tokio::test]
async fn a_publisher_with_a_source() {
    let broker = Running::start("127.0.0.1:0", &RETAIN).await;
    let line = Line::to(broker.listen).await;
    let (producer, consumer) = (connect(line.url.clone(), 1_024).await, connect(broker.url(), 1_024).await);
    let mut subscription = soon(consumer.subscribe(["cut.>"]).send()).await.unwrap();
    // The consumer cuts the producer's line. It gets each update once, whatever the producer sent twice.
    tokio::join!(publish_all(&producer, Some(&line)), read_all(&mut subscription, from_ref(&line)));
    assert_eq!(consumer.counters(), Default::default());
    let counters = producer.counters();
    assert_eq!((counters.unacknowledged_refused, counters.unacknowledged_unanswered), (0, 0));
    assert!(counters.reconnects > 0, "the line was cut while it published");
}
