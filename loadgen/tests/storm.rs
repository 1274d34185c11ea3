//! What those see who keep their connections while others lose theirs: against a server that delays every update due
//! after the storm began by a known time.

mod fixture;

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use fixture::{Event, Feed, Options, answer, loadgen, raw, serve};

const STORM_NS: u64 = 1_000_000_000;
/// Longer than a busy machine delays anything.
const DELAY: Duration = Duration::from_secs(2);

/// Forwards every update: at once if it was due before the storm, otherwise after the delay. Returns how many updates were
/// due from then on.
fn forward(events: &Receiver<Event>) -> u64 {
    let mut feed = Feed::default();
    let mut waiting = std::collections::VecDeque::new();
    let (mut first_ns, mut late) = (None, 0);
    loop {
        let event = match waiting.front() {
            Some((due, _)) => events.recv_deadline(*due),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return late,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(event) => {
                if let Some(update) = feed.take(event) {
                    // The first one is due when publishing begins, from which the storm's time counts.
                    let is_late = update.payload.t >= *first_ns.get_or_insert(update.payload.t) + STORM_NS;
                    late += u64::from(is_late);
                    let delay = if is_late { DELAY } else { Duration::ZERO };
                    waiting.push_back((Instant::now() + delay, update));
                }
            }
        }
        while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (_, update) = waiting.pop_front().expect("the queue has a front");
            feed.followers(&update.topic).into_iter().for_each(|follower| follower.send(&update.data));
        }
    }
}

#[test]
fn those_who_stay_are_measured_apart_from_those_who_come_back() {
    for threads in ["--threads=1", "--threads=3"] {
        let serving = serve(Options::default(), |events| forward(&events));
        // Those who leave are away for half a second, and 3.5 s are left when they should be back.
        let scenario = "
            seconds = 5.0
            warm_up_seconds = 0.2
            [subscribers]
            count = 10
            [publish]
            rate = 100.0
            [storm]
            at_seconds = 1.0
            share = 0.7
            over_seconds = 0.5
        ";
        let (outcome, report) = Feed::configure(loadgen(scenario), &serving.listening.url("")).args([threads]).report();
        let due_later = serving.finish();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let reconnect = &report["connections"]["reconnect"];
        assert_eq!(reconnect["count"], 7, "{reconnect}");
        let number =
            |name: &str| reconnect["stayed"][name].as_f64().unwrap_or_else(|| panic!("no {name}: {reconnect}"));
        // Three stay. The storm comes 0.8 s after the window begins.
        assert_eq!(number("before"), 3.0 * 80.0, "{threads}");
        let during = number("during");
        // They come back evenly: the last of seven in a thread after six sevenths of half a second, the last of four after
        // three quarters. Nobody waits for the end of the run.
        assert!(during >= 3.0 * 36.0 && during < 3.0 * due_later as f64, "{threads}: {during} of {due_later}");
        let (before_ms, during_ms) = (number("before_p99_ms"), number("during_p99_ms"));
        // A histogram of two digits.
        assert!(during_ms >= DELAY.as_secs_f64() * 1000.0 * 0.99, "{threads}: {during_ms}");
        assert!(before_ms < during_ms, "{threads}: {before_ms} {during_ms}");
    }
}

#[test]
fn if_all_leave_there_is_nobody_to_measure() {
    let serving = serve(Options::default(), |events| forward(&events));
    let scenario = "
        seconds = 2.0
        warm_up_seconds = 0.0
        [subscribers]
        count = 4
        [publish]
        rate = 50.0
        [storm]
        at_seconds = 0.5
        share = 1.0
    ";
    let (outcome, report) = Feed::configure(loadgen(scenario), &serving.listening.url("")).report();
    serving.finish();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let reconnect = &report["connections"]["reconnect"];
    assert_eq!((&reconnect["count"], &reconnect["stayed"]), (&4.into(), &serde_json::Value::Null));
}

#[test]
fn who_cannot_come_back_tries_again() {
    let (mut held, mut count) = (Vec::new(), 0);
    let server = raw(Options::default(), move |mut stream| {
        count += 1;
        // Two subscribers and the publisher; then the two come back, and are refused once.
        if answer(&mut stream, count != 4 && count != 5).is_ok() {
            held.push(stream);
        }
    });
    let scenario = "
        seconds = 4.0
        warm_up_seconds = 0.0
        drain_seconds = 10.0
        [subscribers]
        count = 2
        [publish]
        rate = 1.0
        [storm]
        at_seconds = 0.5
        share = 1.0
        handshakes = 1
    ";
    let (outcome, report) = Feed::configure(loadgen(scenario), &server.url("")).report();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let connections = &report["connections"];
    let refused = "refused the handshake with 503 Service Unavailable busy";
    assert_eq!(connections["failed"], serde_json::json!({ refused: 2 }), "{connections}");
    assert_eq!(connections["reconnect"]["count"], 2, "{connections}");
    // They waited a second. A histogram of two digits.
    assert!(connections["reconnect"]["p50_ms"].as_f64() > Some(990.0), "{connections}");
}
