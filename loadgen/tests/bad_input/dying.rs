//! A server that dies in the middle: what was measured until then is reported, and nobody takes it for a whole run.

use std::collections::BTreeMap;

use crossbeam_channel::Receiver;
use serde_json::Value;

use crate::fixture::{Event, Feed, Options, Program, Serving, loadgen, scratch, serve};

/// Forwards so many updates, then everything is gone.
fn forward(events: &Receiver<Event>, updates: u64) {
    let mut feed = Feed::default();
    while let Ok(event) = events.recv() {
        if matches!(event, Event::Stop) {
            return;
        }
        let Some(update) = feed.hear(event) else { continue };
        feed.followers(&update.topic).into_iter().for_each(|follower| follower.send(&update.data));
        if update.payload.n == updates {
            return;
        }
    }
}

fn small(server: &Serving<()>) -> Program {
    let program = loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet"]);
    Feed::speak(program, &server.listening.url(""))
}

#[test]
fn the_report_is_kept_and_says_that_it_is_not_of_a_whole_run() {
    let server = serve(Options::default(), |events| forward(&events, 20));
    let file = scratch("report.json");
    let outcome = small(&server).args(["--verify", "--json", file.to_str().expect("a path")]).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for words in ["The run ended before its time: ", "publisher's connection", "60 delivered"] {
        assert!(outcome.stdout.contains(words), "{words:?}: {outcome:?}");
    }
    let report: Value = serde_json::from_slice(&std::fs::read(&file).expect("a report")).expect("JSON");
    let _ = std::fs::remove_file(&file);
    assert!(report["ended_early"].as_str().is_some_and(|why| why.contains("publisher's connection")), "{report}");
    assert_eq!(report["continuity"]["delivered"], 60);
    assert_eq!(report["continuity"]["lost"], 0);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_measured() {
    let server = serve(Options::default(), |events| forward(&events, u64::MAX));
    for option in ["--json", "--hgrm", "--html"] {
        let outcome = small(&server).args([format!("{option}=/no/such/folder/report").as_str()]).finish();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
        let said = "the report cannot be written to /no/such/folder/report: No such file";
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
}

#[test]
fn a_run_without_subscribers_is_none() {
    let server = serve(Options::default(), |events| {
        let mut feed = Feed::default();
        while let Ok(event) = events.recv() {
            if matches!(event, Event::Stop) {
                return;
            }
            // The publisher's connection stays.
            if feed.hear(event).is_some_and(|update| update.payload.n == 20) {
                feed.cut_subscribers();
            }
        }
    });
    let outcome = small(&server).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let words = "before its time: the server has ended the connections of all subscribers";
    assert!(outcome.stdout.contains(words), "{outcome:?}");
}

#[test]
fn who_only_listens_is_told_when_there_is_nothing_left_to_hear() {
    // Enough of Tickcast's protocol to be listened to.
    let server = serve(Options::default(), |events| {
        let mut clients = BTreeMap::new();
        let mut subscribed = 0;
        while let Ok(event) = events.recv() {
            match event {
                Event::Came(id, _, speaker) => drop(clients.insert(id, speaker)),
                Event::Said(id, text) => {
                    assert!(text.contains(r#""topics":["a.b"]"#), "{text}");
                    let answer = r#"{"op":"subscribed","id":1,"topics":[],"patterns":[],"errors":[]}"#;
                    clients.get_mut(&id).expect("it has come").say(answer);
                    subscribed += 1;
                    if subscribed == 3 {
                        return;
                    }
                }
                Event::Left(_) => {}
                Event::Stop => return,
            }
        }
    });
    let program = loadgen("steady").args(["--subscribers=3", "--seconds=1", "--quiet", "--listen=a.b"]);
    let outcome = program.args(["--target", &server.listening.url("")]).finish();
    server.finish();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let words = "before its time: the server has ended the connections of all subscribers";
    assert!(outcome.stdout.contains(words), "{outcome:?}");
}
