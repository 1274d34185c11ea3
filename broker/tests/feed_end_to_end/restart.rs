//! A broker that is killed in the middle of a feed and restarted without state: in the end it holds every book and
//! every score whole, and the summary counts what was sent again for that.

use std::collections::HashMap;

use broker_client::Event;
use feed_player::publication::Kind;
use serde_json::Value;

use crate::market::{Market, parse};
use crate::running::{Running, connect, next, soon};
use crate::{Progress, Publishing, publish, until_published};

const UPDATES: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_is_whole_after_the_broker_was_killed() {
    let market = Market::new(UPDATES);
    let broker = Running::start("127.0.0.1:0", &[]).await;
    let (address, url) = (broker.listen.to_string(), broker.url());
    let progress = Progress::default();
    let kill = async {
        let mut broker = broker;
        for share in [3, 2] {
            until_published(&progress, UPDATES / share).await;
            drop(broker);
            broker = Running::start(&address, &[]).await;
        }
        broker
    };
    let publishing = Publishing { producers: 2, ..Publishing::default() };
    let (summary, broker) = tokio::join!(publish(&url, &market, UPDATES, publishing, &progress), kill);
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered, "{summary}");
    assert!(summary.reconnects > 0 && summary.states_again.sent > 0, "{summary}");
    assert_eq!((summary.unanswered, summary.states_again.refused), (0, 0), "{summary}");

    let client = connect(broker.url(), 1_024).await;
    let mut subscription = soon(client.subscribe(market.patterns()).ready().send()).await.expect("it is taken");
    let mut states: HashMap<String, Value> = HashMap::new();
    loop {
        match next(&mut subscription).await {
            Event::Image { topic, data, .. } => _ = states.insert(topic.to_string(), parse(data.text())),
            Event::Topic(_) | Event::Update { kind: Kind::Event, .. } => {}
            Event::Ready => break,
            other => panic!("{other:?}"),
        }
    }
    let expected: HashMap<String, Value> = market
        .topics
        .into_iter()
        .filter(|(_, topic)| topic.events.is_none())
        .map(|(name, topic)| (name, topic.state))
        .collect();
    for (name, state) in &expected {
        assert_eq!(states.get(name), Some(state), "{name}");
    }
    assert_eq!(states.len(), expected.len());
}
