//! A broker that loses its states gets them again as a whole, from every scenario and every recording, and the summary
//! reports it.

mod scripted;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use feed_formats::Playback;
use feed_player::Summary;
use feed_player::publication::{BadRecord, Feed, Kind, Publication, Timed};
use feed_player::publish::{Broker, Publishing, Target};
use feed_player::run::{Play, run};
use feed_player::schedule::{BatchBounds, Pace, Until};
use feed_scenarios::{CATALOGUE, Simulated};
use serde_json::{Map, Value, json};

use scripted::{End, Scripted, merge};

/// Small batches, so that a broker is lost in the middle of a short run.
const BATCH: BatchBounds = BatchBounds { updates_max: 50, bytes_max: 48 << 10 };

async fn publish(url: &str, feed: impl Feed, publishing: Publishing, updates: u64) -> Summary {
    let target = Target::Broker(Box::new(Broker::connect_with(url, publishing).await.expect("a connection")));
    let until = Until { duration: None, updates: Some(updates) };
    let play = Play { until, batch: BATCH, ..Play::at(Pace::Max) };
    let (summary, result) = run(feed, play, target, std::future::pending()).await;
    result.expect("it ends well");
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered, "{summary}");
    summary
}

/// The states that a feed gives its topics, without those that the scripted broker refuses.
fn states(feed: impl Feed, updates: u64) -> HashMap<String, Value> {
    let mut states: HashMap<String, Value> = HashMap::new();
    for timed in feed.take(updates as usize) {
        let Publication { topic, kind, data, .. } = timed.expect("a good record").publication;
        let data: Value = serde_json::from_str(&data).expect("JSON");
        match kind {
            Kind::Event => {}
            _ if topic.starts_with("stocks.KO.") => {}
            Kind::State => _ = states.insert(topic, data),
            Kind::Patch => merge(states.get_mut(&topic).expect("a topic begins with a state"), &data),
        }
    }
    states
}

fn assert_same(broker: &Scripted, expected: &HashMap<String, Value>, what: &str) {
    let taken = broker.taken.lock().expect("nobody panicked");
    let mut different: Vec<&String> =
        expected.keys().filter(|topic| taken.states.get(*topic) != expected.get(*topic)).collect();
    different.sort();
    assert!(different.is_empty(), "{what}: {different:?} of {} topics", expected.len());
    assert_eq!(taken.states.len(), expected.len(), "{what}");
}

#[tokio::test]
async fn every_scenario_is_whole_again_after_a_restart() {
    const UPDATES: u64 = 6_000;
    for entry in CATALOGUE {
        let feed = || Simulated(entry.build(3, None));
        let expected = states(feed(), UPDATES);
        for publishing in [Publishing::default(), Publishing { unacknowledged: true, ..Publishing::default() }] {
            let (broker, url) = Scripted::start(vec![(20, End::Restart), (15, End::Restart)]).await;
            let summary = publish(&url, feed(), publishing.clone(), UPDATES).await;
            assert_same(&broker, &expected, entry.name);
            if !expected.is_empty() {
                assert!(summary.states_again.sent > 0, "{}: {summary}", entry.name);
                assert!(summary.to_string().contains("states again"), "{summary}");
            }
            // Without numbers it is unknown that the broker refuses some updates that were in flight (KO).
            assert!(summary.states_again.refused == 0 || publishing.unacknowledged, "{}: {summary}", entry.name);
        }
    }
}

#[tokio::test]
async fn a_broker_that_lost_nothing_gets_nothing_twice() {
    let entry = CATALOGUE.iter().find(|entry| entry.name == "stocks").expect("in the catalogue");
    let (broker, url) = Scripted::start(vec![(20, End::BeforeAnswering), (15, End::BeforeTaking)]).await;
    let summary = publish(&url, Simulated(entry.build(3, None)), Publishing::default(), 6_000).await;
    let taken = broker.taken.lock().expect("nobody panicked");
    assert_eq!(taken.updates.len() as u64, summary.acknowledged, "no update but the feed's");
    let again = summary.states_again;
    assert!(again.sent > 0 && again.known == again.sent, "{summary}");
}

/// A capture without the snapshot that a book begins with, so that this one begins with a patch.
fn recording(lines: u64) -> Vec<u8> {
    let line = |n: u64| {
        format!(
            "{} {{\"stream\":\"x@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\"E\":{n},\"s\":\"X\",\"U\":{n},\"u\":{n},\"b\":[[\"{}.5\",\"{n}\"]],\"a\":[]}}}}\n",
            n * 1_000,
            n % 700
        )
    };
    (1..=lines).map(line).collect::<String>().into_bytes()
}

#[tokio::test]
async fn every_recording_is_whole_again_after_a_restart() {
    const LINES: u64 = 6_000;
    let folder = tempfile::tempdir().expect("a folder");
    let updates: String = (0..LINES)
        .map(|n| {
            format!(
                "{{\"topic\":\"book.{}\",\"kind\":\"patch\",\"data\":{{\"{}\":{n}}},\"due_us\":{n}}}\n",
                n % 3,
                n % 100
            )
        })
        .collect();
    for (format, bytes) in [("binance", recording(LINES)), ("ndjson", updates.into_bytes())] {
        let path = folder.path().join(format);
        std::fs::write(&path, bytes).expect("room on the disk");
        let format = feed_formats::find(format).expect("a format");
        let feed = || Playback::default().feed(format, &path, Arc::default()).expect("a recording");
        let expected = states(feed(), u64::MAX >> 1);
        assert!(!expected.is_empty());
        let (broker, url) = Scripted::start(vec![(20, End::Restart), (15, End::Restart)]).await;
        let summary = publish(&url, feed(), Publishing::default(), u64::MAX).await;
        assert_same(&broker, &expected, format.name);
        assert!(summary.states_again.sent >= expected.len() as u64, "{summary}");
        assert!(summary.read.images > 0, "an empty state comes before a topic's first patch: {summary}");
    }
}

/// A few updates, all due at once, and then one that is due after a very long time.
struct Few(Vec<Publication>);

impl Iterator for Few {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return Some(Ok(Timed {
                due_us: u64::MAX >> 1,
                publication: Publication::new("late", Kind::Event, "1".into()),
            }));
        }
        Some(Ok(Timed { due_us: 0, publication: self.0.remove(0) }))
    }
}

impl Feed for Few {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Waits until the broker has taken what `has` looks for.
async fn until(broker: &Scripted, has: impl Fn(&scripted::Taken) -> bool) {
    let waited = async {
        while !has(&broker.taken.lock().expect("nobody panicked")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("the broker gets it");
}

#[tokio::test]
async fn a_feed_that_has_gone_quiet_still_sends_its_states_again() {
    // So large that it goes out in pieces.
    let side = |from: u32| (from..from + 2_000).map(|px| (format!("{px}.25"), json!("10"))).collect::<Map<_, _>>();
    let updates: Vec<Publication> = std::iter::once(("book", Kind::State, json!({"bids": {}, "asks": {}})))
        .chain((0..4).map(|n| ("book", Kind::Patch, json!({"bids": side(10_000 + n * 2_000)}))))
        .chain([("status", Kind::State, json!({"up": true}))])
        .map(|(topic, kind, data)| Publication::new(topic, kind, data.to_string()))
        .collect();
    let expected = states(Few(updates.clone()), updates.len() as u64);
    let (broker, url) = Scripted::start(vec![]).await;
    let target = Target::Broker(Box::new(Broker::connect(&url).await.expect("a connection")));
    let stop = tokio::sync::Notify::new();
    let playing = run(Few(updates), Play::at(Pace::Speed(1.0)), target, stop.notified());
    let watching = async {
        until(&broker, |taken| taken.states == expected).await;
        broker.restart();
        until(&broker, |taken| taken.states == expected).await;
        stop.notify_one();
    };
    let ((summary, result), ()) = tokio::join!(playing, watching);
    result.expect("a stop is not an error");
    assert_eq!((summary.states_again.sent, summary.states_again.refused), (2, 0), "{summary}");
}

#[tokio::test]
async fn a_topic_that_ended_is_whole_again_with_the_next_patch() {
    let updates: Vec<Publication> = std::iter::once(("book", Kind::State, json!({"a": 1})))
        .chain((0..2_000).map(|n| ("book", Kind::Patch, json!({format!("k{}", n % 50): n}))))
        .map(|(topic, kind, data)| Publication::new(topic, kind, data.to_string()))
        .collect();
    let count = updates.len() as u64;
    let expected = states(Few(updates.clone()), count);
    let (broker, url) = Scripted::start(vec![]).await;
    broker.taken.lock().expect("nobody panicked").ends = Some(("book".to_owned(), 700));
    let summary = publish(&url, Few(updates.clone()), Publishing::default(), count).await;
    assert_same(&broker, &expected, "book");
    assert_eq!((summary.states_again.sent, summary.states_again.known), (1, 0), "{summary}");
    let (code, rejected) = summary.rejected.first_key_value().expect("the patches that found nothing");
    assert!(code == "no_state" && rejected.updates >= 1, "{summary}");

    // A broker without room for the state does not get it again for each patch.
    let (broker, url) = Scripted::start(vec![]).await;
    {
        let mut taken = broker.taken.lock().expect("nobody panicked");
        taken.states.insert("book".to_owned(), json!({}));
        taken.ends = Some(("book".to_owned(), 700));
    }
    let feed = Few(updates);
    let refusing = async {
        until(&broker, |taken| taken.updates.len() > 300).await;
        broker.taken.lock().expect("nobody panicked").refused = Some("book".to_owned());
    };
    let (summary, ()) = tokio::join!(publish(&url, feed, Publishing::default(), count), refusing);
    let again = summary.states_again;
    assert!(again.sent <= 2 && again.refused == again.sent, "{summary}");
}

#[tokio::test]
async fn a_restart_at_the_end_of_a_run_is_noticed_by_idle_connections_too() {
    let states_of_all = (0..40).map(|n| (format!("t.{n}.state"), Kind::State, json!({"n": n})));
    let updates: Vec<Publication> = states_of_all
        // The feed ends with updates of one topic only: one connection publishes, the others are idle.
        .chain((0..200).map(|n| ("t.0.state".to_owned(), Kind::Patch, json!({format!("k{}", n % 7): n}))))
        .map(|(topic, kind, data)| Publication::new(&topic, kind, data.to_string()))
        .collect();
    let count = updates.len();
    let expected = states(Few(updates.clone()), count as u64);
    for producers in [1, 3] {
        let (broker, url) = Scripted::start(vec![]).await;
        // Everything up to there is taken: each of three connections has sent one batch. The next message, which is
        // lost, is of that one topic.
        broker.taken.lock().expect("nobody panicked").restarts_after = Some(3 * BATCH.updates_max);
        let publishing = Publishing { producers, ..Publishing::default() };
        let summary = publish(&url, Few(updates.clone()), publishing, count as u64).await;
        assert_same(&broker, &expected, &format!("{producers} producers"));
        assert_eq!((summary.unanswered, summary.states_again.sent), (0, 40), "{summary}");
    }
}
