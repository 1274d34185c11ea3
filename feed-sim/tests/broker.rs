//! Publishing over a real connection, to a scripted broker that loses connections and refuses updates.

mod scripted;

use feed_player::Summary;
use feed_player::publish::{Broker, Target};
use feed_player::run::{Play, RunError, run};
use feed_player::schedule::{Pace, Until};
use feed_scenarios::{Simulated, find};

use scripted::{End, Scripted};

async fn publish(url: &str, updates: u64, stop: impl Future<Output = ()>) -> (Summary, Result<(), RunError>) {
    let target = Target::Broker(Box::new(Broker::connect(url).await.expect("a connection")));
    let scenario = Simulated(find("stocks").expect("in the catalogue").build(1, None));
    let play = Play { until: Until { duration: None, updates: Some(updates) }, ..Play::at(Pace::Max) };
    run(scenario, play, target, stop).await
}

/// The numbers of the updates of a run that the scripted broker does not refuse.
fn expected(updates: u64) -> Vec<(String, u64)> {
    let mut scenario = find("stocks").expect("in the catalogue").build(1, None);
    (1..=updates)
        .map(|source_seq| (scenario.next().publication.topic, source_seq))
        .filter(|(topic, _)| !topic.starts_with("stocks.KO."))
        .collect()
}

#[tokio::test]
async fn what_is_published_arrives_in_order_and_refusals_are_counted() {
    let (broker, url) = Scripted::start(vec![]).await;
    let (summary, result) = publish(&url, 20_000, std::future::pending()).await;
    result.expect("it ends well");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert_eq!(taken.updates, expected(20_000));
    assert_eq!(summary.published, 20_000);
    assert_eq!(summary.acknowledged, taken.updates.len() as u64);
    assert_eq!(summary.rejected_updates(), 20_000 - summary.acknowledged);
    let (code, rejected) = summary.rejected.first_key_value().expect("one reason");
    assert_eq!(code, "kind_mismatch");
    assert!(rejected.first.starts_with("stocks.KO.") && rejected.first.ends_with(": not here"), "{}", rejected.first);
    assert_eq!((summary.duplicates, summary.unanswered, summary.reconnects), (0, 0, 0));
}

#[tokio::test]
async fn a_lost_connection_loses_duplicates_and_reorders_nothing() {
    let (broker, url) =
        Scripted::start(vec![(5, End::BeforeAnswering), (3, End::BeforeTaking), (0, End::BeforeTaking)]).await;
    let (summary, result) = publish(&url, 30_000, std::future::pending()).await;
    result.expect("it ends well");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert_eq!(taken.updates, expected(30_000));
    assert_eq!(taken.sources.len(), 1);
    assert_eq!(summary.acknowledged + summary.rejected_updates(), 30_000);
    assert!(summary.duplicates > 0, "the answer to updates that were taken was lost, so they were sent again");
    assert_eq!(summary.reconnects, 3);
}

#[tokio::test]
async fn a_broker_that_forbids_reconnecting_ends_the_run() {
    let (broker, url) = Scripted::start(vec![(4, End::Forbidden)]).await;
    let (summary, result) = publish(&url, 1_000_000, std::future::pending()).await;
    assert!(matches!(result, Err(RunError::TargetGone(_))), "{result:?}");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert!(summary.acknowledged <= taken.updates.len() as u64);
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered);
}

#[tokio::test]
async fn a_stop_does_not_wait_forever_for_a_silent_broker() {
    let (broker, url) = Scripted::start(vec![(2, End::Silence)]).await;
    let (summary, result) = publish(&url, 1_000_000, broker.silent.notified()).await;
    result.expect("a stop is not an error");
    assert!(summary.unanswered > 0);
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered);
}
