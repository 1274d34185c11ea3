//! Several brokers, each with topics of its own: a client that goes from one to another reports that they begin anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker_client::{Client, ConnectionEvent, Event, Publish, Start, Subscription};

use crate::running::{PATIENCE, Running, connect, connect_to, soon};

/// What a subscription has yielded of its topics. It checks that nothing comes twice, and that nothing is missing
/// silently: within an epoch every number follows the one before.
#[derive(Default)]
struct Seen {
    /// By topic: its epoch, and the last number.
    at: BTreeMap<Arc<str>, (Option<Arc<str>>, u64)>,
    /// Each update's or image's topic and data, and each `Closed` and beginning, in order.
    log: Vec<String>,
}

impl Seen {
    fn take(&mut self, event: Event) {
        match event {
            Event::Topic(begun) => {
                let before = self.at.get(&begun.topic).cloned();
                let is_new = before.as_ref().is_none_or(|(epoch, _)| *epoch != begun.epoch);
                let start = match begun.start {
                    // Where a pattern's topic resumed by its name, its end is told like this.
                    _ if begun.epoch.is_none() && before.is_some() => "closed",
                    Start::Reset => "reset",
                    Start::Resumed => "resumed",
                    _ => "begins",
                };
                self.log.push(format!("{} {start}", begun.topic));
                if is_new {
                    let last = if matches!(begun.start, Start::Live) { begun.seq } else { 0 };
                    self.at.insert(begun.topic, (begun.epoch, last));
                }
            }
            Event::Image { topic, seq, data, .. } => {
                let (_, last) = self.at.get_mut(&topic).expect("it has begun");
                assert!(seq >= *last, "an image of {topic} goes back from {last} to {seq}");
                *last = seq;
                self.log.push(format!("{topic} {data}"));
            }
            Event::Update { topic, seq, data, .. } => {
                let (epoch, last) = self.at.get_mut(&topic).expect("it has begun");
                assert_eq!(seq, *last + 1, "{topic} of {epoch:?}: {:?}", self.log);
                *last = seq;
                self.log.push(format!("{topic} {data}"));
            }
            Event::Closed { topic } => {
                self.at.remove(&topic);
                self.log.push(format!("{topic} closed"));
            }
            other => panic!("{other:?} after {:?}", self.log),
        }
    }

    /// Reads until this is in the log.
    async fn until(&mut self, subscription: &mut Subscription, what: &str) {
        while !self.log.iter().any(|line| line == what) {
            match tokio::time::timeout(PATIENCE, subscription.next()).await {
                Ok(Some(event)) => self.take(event),
                _ => panic!("\"{what}\" did not come: {:?}", self.log),
            }
        }
    }

    /// What the log has of a topic since the last call.
    fn of(&mut self, topic: &str) -> Vec<String> {
        let start = format!("{topic} ");
        let of = self.log.iter().filter_map(|line| line.strip_prefix(&start).map(str::to_owned)).collect();
        self.log.retain(|line| !line.starts_with(&start));
        of
    }
}

async fn publish(client: &Client, update: Publish) {
    soon(client.publish(update)).await.unwrap();
}

/// A broker with a trade's two events and a quote, and a client that publishes to it.
async fn with_topics(name: &str) -> (Running, Client) {
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let feed = connect(broker.url(), 64).await;
    for number in 1..=2 {
        publish(&feed, Publish::event("two.trade", format!("\"{name} {number}\""))).await;
    }
    publish(&feed, Publish::state("two.quote", format!("\"{name}\""))).await;
    (broker, feed)
}

#[tokio::test]
async fn a_broker_is_killed_and_another_without_its_journal_goes_on_with_topics_that_begin_anew() {
    let ((a, to_a), (b, to_b)) = (with_topics("a").await, with_topics("b").await);
    publish(&to_a, Publish::event("two.alone", "1")).await;
    let client = connect_to([a.url(), b.url()], 64).await;
    let mut named = soon(client.subscribe(["two.trade", "two.quote"]).send()).await.unwrap();
    // The topics of a pattern begin for it only where no name had them before.
    let other = connect_to([a.url(), b.url()], 64).await;
    let mut pattern = soon(other.subscribe(["two.*"]).send()).await.unwrap();
    let (mut of_named, mut of_pattern) = (Seen::default(), Seen::default());
    of_named.until(&mut named, "two.quote \"a\"").await;
    of_pattern.until(&mut pattern, "two.alone begins").await;
    of_pattern.until(&mut pattern, "two.trade begins").await;
    publish(&to_a, Publish::event("two.trade", "\"a 3\"")).await;
    of_named.until(&mut named, "two.trade \"a 3\"").await;
    of_pattern.until(&mut pattern, "two.trade \"a 3\"").await;
    let epochs = [of_named.at["two.trade"].0.clone(), of_named.at["two.quote"].0.clone()];
    assert_eq!(of_named.of("two.trade"), ["begins", "\"a 3\""]);
    assert_eq!(of_named.of("two.quote"), ["begins", "\"a\""]);
    of_pattern.log.clear();

    let mut events = client.events();
    drop(a);
    // It goes on at the other one, at once.
    loop {
        match soon(events.next()).await.unwrap() {
            ConnectionEvent::Disconnected { retry_ms, .. } => assert_eq!(retry_ms, Some(0)),
            ConnectionEvent::Connected { resumed: true, .. } => break,
            ConnectionEvent::Connected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(*client.url(), *b.url());
    publish(&to_b, Publish::event("two.trade", "\"b 3\"")).await;
    of_named.until(&mut named, "two.trade \"b 3\"").await;
    of_named.until(&mut named, "two.quote \"b\"").await;
    of_pattern.until(&mut pattern, "two.trade \"b 3\"").await;
    of_pattern.until(&mut pattern, "two.quote \"b\"").await;
    of_pattern.until(&mut pattern, "two.alone closed").await;
    // All that the other one has is new.
    assert_eq!(of_named.of("two.trade"), ["reset", "\"b 1\"", "\"b 2\"", "\"b 3\""]);
    assert_eq!(of_named.of("two.quote"), ["reset", "\"b\""]);
    assert_eq!(of_pattern.of("two.trade")[1..], ["\"b 1\"", "\"b 2\"", "\"b 3\""]);
    assert_eq!(of_pattern.of("two.quote")[1..], ["\"b\""]);
    for (topic, before) in ["two.trade", "two.quote"].into_iter().zip(epochs) {
        assert_ne!(of_named.at[topic].0, before, "{topic}");
    }
    // What this client publishes goes there too.
    publish(&client, Publish::event("two.trade", "\"here\"").source("here", 1)).await;
    of_named.until(&mut named, "two.trade \"here\"").await;
    of_pattern.until(&mut pattern, "two.trade \"here\"").await;
    for counters in [client.counters(), other.counters()] {
        assert_eq!((counters.reconnects, counters.violations), (1, 0));
    }
}

#[tokio::test]
async fn a_broker_that_stops_is_left_before_it_closes() {
    let a = Running::start("127.0.0.1:0", &["--drain-ms", "60000"]).await;
    let b = Running::start("127.0.0.1:0", &[]).await;
    let to_b = connect(b.url(), 64).await;
    for number in 1..=3 {
        publish(&to_b, Publish::event("stops.trade", number.to_string())).await;
    }
    let client = connect_to([a.url(), b.url()], 64).await;
    let mut subscription = soon(client.subscribe(["stops.trade"]).send()).await.unwrap();
    let (mut seen, mut events) = (Seen::default(), client.events());
    seen.until(&mut subscription, "stops.trade begins").await;
    a.stop();
    let mut happened = Vec::new();
    while happened.len() < 3 {
        happened.push(match soon(events.next()).await.unwrap() {
            ConnectionEvent::GoAway { reason, .. } => reason,
            ConnectionEvent::Connected { resumed, .. } => format!("connected {resumed}"),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(happened, ["connected false", "shutdown", "connected true"]);
    assert_eq!(*client.url(), *b.url());
    seen.until(&mut subscription, "stops.trade 3").await;
    assert_eq!(client.counters().violations, 0);
}
