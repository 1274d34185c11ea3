//! A server that dies in the middle: the measurements until then are reported, and the report says that the run was cut
//! short.

use std::collections::BTreeMap;

use crossbeam_channel::Receiver;
use serde_json::Value;

use crate::fixture::{Event, Feed, Options, Program, Serving, loadgen, scratch, serve};

/// Forwards this many updates of a topic, and then ends all connections.
fn forward(events: &Receiver<Event>, updates: u64) {
    let mut feed = Feed::default();
    while let Ok(event) = events.recv() {
        if matches!(event, Event::Stop) {
            return;
        }
        let Some(update) = feed.take(event) else { continue };
        feed.followers(&update.topic).into_iter().for_each(|follower| follower.send(&update.data));
        if update.payload.n == updates {
            return;
        }
    }
}

fn small(server: &Serving<()>) -> Program {
    let program = loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet"]);
    Feed::configure(program, &server.listening.url(""))
}

#[test]
fn the_report_is_written_and_says_that_the_run_was_cut_short() {
    let server = serve(Options::default(), |events| forward(&events, 20));
    let file = scratch("report.json");
    let outcome = small(&server).args(["--verify", "--json", file.to_str().expect("a path")]).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for words in ["The run ended early: ", "publisher's connection", "60 delivered"] {
        assert!(outcome.stdout.contains(words), "{words:?}: {outcome:?}");
    }
    let report: Value = serde_json::from_slice(&std::fs::read(&file).expect("a report")).expect("JSON");
    let _ = std::fs::remove_file(&file);
    assert!(report["ended_early"].as_str().is_some_and(|why| why.contains("publisher's connection")), "{report}");
    assert_eq!(report["continuity"]["delivered"], 60);
    assert_eq!(report["continuity"]["lost"], 0);
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_is_measured() {
    let server = serve(Options::default(), |events| forward(&events, u64::MAX));
    for option in ["--json", "--hgrm", "--html"] {
        let outcome = small(&server).args([format!("{option}=/no/such/folder/report").as_str()]).finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
        let words = "the report cannot be written to /no/such/folder/report: No such file";
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
}

#[test]
fn a_run_that_loses_all_subscribers_ends() {
    let server = serve(Options::default(), |events| {
        let mut feed = Feed::default();
        while let Ok(event) = events.recv() {
            if matches!(event, Event::Stop) {
                return;
            }
            // The publisher's connection stays.
            if feed.take(event).is_some_and(|update| update.payload.n == 20) {
                feed.cut_subscribers();
            }
        }
    });
    let outcome = small(&server).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let words = "ended early: the server has ended the connections of all subscribers";
    assert!(outcome.stdout.contains(words), "{outcome:?}");
}

#[test]
fn a_run_that_only_listens_ends_when_all_connections_are_gone() {
    // Enough of Tickcast's protocol for a subscriber.
    let server = serve(Options::default(), |events| {
        let mut clients = BTreeMap::new();
        let mut subscribed = 0;
        while let Ok(event) = events.recv() {
            match event {
                Event::Opened(id, _, peer) => drop(clients.insert(id, peer)),
                Event::Message(id, text) => {
                    assert!(text.contains(r#""topics":["a.b"]"#), "{text}");
                    let answer = r#"{"op":"subscribed","id":1,"topics":[],"patterns":[],"errors":[]}"#;
                    clients.get_mut(&id).expect("it is connected").send(answer);
                    subscribed += 1;
                    if subscribed == 3 {
                        return;
                    }
                }
                Event::Closed(_) => {}
                Event::Stop => return,
            }
        }
    });
    let program = loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet", "--listen=a.b"]);
    let outcome = program.args(["--target", &server.listening.url("")]).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let words = "ended early: the server has ended the connections of all subscribers";
    assert!(outcome.stdout.contains(words), "{outcome:?}");
}
