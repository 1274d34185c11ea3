//! Several connections, small batches, and publishing without numbers: per topic the same updates arrive as over one
//! connection, and the summary adds up.

mod scripted;

use std::collections::BTreeMap;

use feed_player::Summary;
use feed_player::publication::{BadRecord, Feed, Kind, Publication, Timed};
use feed_player::publish::{Broker, Publishing, Target};
use feed_player::run::{Play, run};
use feed_player::schedule::{BatchBounds, Pace, Until};
use feed_scenarios::{Scenario, Simulated, find};

use scripted::{End, Scripted};

const UPDATES: u64 = 30_000;

fn stocks() -> Box<dyn Scenario> {
    find("stocks").expect("in the catalogue").build(7, Some(40))
}

/// The updates of the feed that the scripted broker does not refuse: topic, number in the feed, data.
fn expected() -> Vec<(String, u64, String)> {
    let mut scenario = stocks();
    (1..=UPDATES)
        .map(|number| (number, scenario.next().publication))
        .filter(|(_, publication)| !publication.topic.starts_with("stocks.KO."))
        .map(|(number, publication)| (publication.topic, number, publication.data))
        .collect()
}

async fn publish(url: &str, feed: impl Feed, publishing: Publishing, batch: BatchBounds) -> Summary {
    let target = Target::Broker(Box::new(Broker::connect_with(url, publishing).await.expect("a connection")));
    let until = Until { duration: None, updates: Some(UPDATES) };
    let (summary, result) =
        run(feed, Play { until, batch, ..Play::at(Pace::Max) }, target, std::future::pending()).await;
    result.expect("it ends well");
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered);
    summary
}

fn by_topic(updates: impl Iterator<Item = (String, u64)>) -> BTreeMap<String, Vec<u64>> {
    let mut topics: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    updates.for_each(|(topic, number)| topics.entry(topic).or_default().push(number));
    topics
}

#[tokio::test]
async fn every_topic_is_the_same_with_any_number_of_producers() {
    let expected = by_topic(expected().into_iter().map(|(topic, number, _)| (topic, number)));
    for producers in [1, 3] {
        // The first three connections, in the order of connecting, are lost.
        let script = vec![(6, End::BeforeAnswering), (4, End::BeforeTaking), (0, End::BeforeTaking)];
        let (broker, url) = Scripted::start(script).await;
        let publishing = Publishing { producers, ..Publishing::default() };
        let summary = publish(&url, Simulated(stocks()), publishing, BatchBounds::default()).await;
        let taken = broker.taken.lock().expect("nobody panicked");
        assert_eq!(by_topic(taken.updates.iter().cloned()), expected, "{producers} producers");
        assert_eq!(taken.sources.len(), 1, "the source is the same over every connection");
        assert_eq!((summary.published, summary.unanswered, summary.reconnects), (UPDATES, 0, 3));
        assert_eq!(summary.acknowledged, taken.updates.len() as u64);
        let used = taken.by_connection.len();
        assert!(used >= producers, "{used} connections for {producers} producers");
    }
}

#[tokio::test]
async fn without_numbers_nothing_is_sent_twice_and_updates_in_flight_are_unanswered() {
    let (broker, url) = Scripted::start(vec![(5, End::BeforeAnswering), (3, End::BeforeTaking)]).await;
    let publishing = Publishing { unacknowledged: true, ..Publishing::default() };
    let summary = publish(&url, Simulated(stocks()), publishing, BatchBounds::default()).await;
    let taken = broker.taken.lock().expect("nobody panicked");
    assert!(taken.sources.is_empty());
    assert!(summary.unanswered > 0 && summary.reconnects == 2, "{summary}");
    assert!(summary.rejected_updates() > 0, "errors are still counted: {summary}");
    let arrived = taken.updates.len() as u64;
    assert!(
        arrived >= summary.acknowledged && arrived < UPDATES - summary.rejected_updates(),
        "{arrived} of {summary}"
    );
    // A part of the feed arrives, in order and each update once. But states come again after each reconnect, because
    // without numbers it is unknown whether the broker has them.
    let mut numbers_of: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    expected().into_iter().for_each(|(topic, number, data)| numbers_of.entry((topic, data)).or_default().push(number));
    let (mut last, mut again) = (0, 0);
    for ((topic, _), data) in taken.updates.iter().zip(&taken.data) {
        let numbers = numbers_of.get(&(topic.clone(), data.clone())).map_or(&[][..], Vec::as_slice);
        match numbers.iter().find(|number| **number > last) {
            Some(number) => last = *number,
            None => again += 1,
        }
    }
    assert!(again <= summary.states_again.sent, "{again} came again or early: {summary}");
}

#[tokio::test]
async fn a_batch_is_as_large_as_allowed() {
    let (broker, url) = Scripted::start(vec![]).await;
    let batch = BatchBounds { updates_max: 7, ..BatchBounds::default() };
    publish(&url, Simulated(stocks()), Publishing::default(), batch).await;
    assert_eq!(broker.taken.lock().expect("nobody panicked").batch_max, 7);
}

/// A feed in which every tenth update cannot be published.
struct Broken(u64);

impl Iterator for Broken {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0 += 1;
        let data = if self.0.is_multiple_of(10) { "{\"n\":".to_owned() } else { self.0.to_string() };
        Some(Ok(Timed { due_us: self.0, publication: Publication::new("a.b", Kind::Event, data) }))
    }
}

impl Feed for Broken {}

#[tokio::test]
async fn a_malformed_update_is_refused_alone() {
    let (broker, url) = Scripted::start(vec![]).await;
    let summary = publish(&url, Broken(0), Publishing::default(), BatchBounds::default()).await;
    assert_eq!((summary.acknowledged, summary.rejected_updates()), (UPDATES / 10 * 9, UPDATES / 10));
    let (code, rejected) = summary.rejected.first_key_value().expect("one reason");
    assert!(code == "bad_json" && rejected.first.starts_with("a.b: "), "{code}: {}", rejected.first);
    let numbers =
        broker.taken.lock().expect("nobody panicked").updates.iter().map(|(_, number)| *number).collect::<Vec<_>>();
    assert_eq!(numbers, (1..=UPDATES).filter(|number| !number.is_multiple_of(10)).collect::<Vec<_>>());
}
