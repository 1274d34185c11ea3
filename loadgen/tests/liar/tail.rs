//! A server that stops sending to one subscriber: no later update shows a hole.

use std::collections::BTreeMap;

use super::SCENARIO;
use crate::fixture::{Event, Feed, Options, loadgen, serve};

/// The last update that subscriber 1 gets.
const LAST: u64 = 30;

#[test]
fn updates_that_never_arrive_are_undelivered() {
    let server = serve(Options::default(), |events| {
        let (mut feed, mut published) = (Feed::default(), BTreeMap::<String, u64>::new());
        while let Ok(event) = events.recv() {
            if matches!(event, Event::Stop) {
                break;
            }
            let Some(update) = feed.take(event) else { continue };
            published.insert(update.topic.clone(), update.payload.n);
            for follower in feed.followers(&update.topic) {
                if follower.number != Some(1) || update.payload.n <= LAST {
                    follower.send(&update.data);
                }
            }
        }
        published
    });
    // The run waits for the missing updates, but not for long.
    let scenario = SCENARIO.replace("drain_seconds = 5.0", "drain_seconds = 0.5");
    let program = Feed::configure(loadgen(&scenario), &server.listening.url("")).args(["--verify"]);
    let (outcome, report) = program.report();
    // Subscriber 1 has the topics 0 and 2 of 0 to 2.
    let published = server.finish();
    let its = published.iter().filter(|(topic, _)| !topic.ends_with(".1"));
    let missing: u64 = its.map(|(_, n)| n.saturating_sub(LAST)).sum();
    assert!(missing > 0, "{published:?}");
    assert_eq!(report["continuity"]["undelivered"], missing, "{}", report["continuity"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let reach = report["delivery"]["reach"].as_f64();
    assert!(reach < Some(1.0), "{reach:?}, {outcome:?}");
}
