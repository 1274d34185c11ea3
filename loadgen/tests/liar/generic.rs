//! A liar whose messages have no numbers of their own: the payload's `n` is all there is to judge by.

use crossbeam_channel::Receiver;

use super::acts::{Act, Liar, PLAIN, Say, other_byte};
use super::{ATTEMPTS, SCENARIO, assert_told};
use crate::fixture::{Event, Feed, Options, loadgen, serve};

/// Everything but the field that says where a payload is, and those that say which it is.
fn garble(data: &str, n: u64) -> String {
    let after = |key: &str| data.find(key).expect("a payload") + key.len();
    let places = [after("\"t\":") + 15, after("\"w\":") + 12, after("\"p\":\"") + 3, after("\"c\":\"") + 2];
    other_byte(data, places[n as usize / 5 % places.len()])
}

fn lie(events: &Receiver<Event>, acts: &'static [Act]) -> Liar {
    let (mut feed, mut liar) = (Feed::default(), Liar::new(acts, garble));
    while let Ok(event) = events.recv() {
        if matches!(event, Event::Stop) {
            break;
        }
        let Some(update) = feed.hear(event) else { continue };
        for follower in feed.followers(&update.topic) {
            let number = follower.number.expect("a subscriber of loadgen's");
            for say in liar.publish(number, &update.topic, update.payload.n, &update.data) {
                let Say::Update { data, .. } = say else { panic!("{say:?} needs numbers") };
                follower.send(&data);
            }
        }
    }
    liar
}

#[track_caller]
fn check(acts: &'static [Act]) {
    for _ in 0..ATTEMPTS {
        let server = serve(Options::default(), move |events| lie(&events, acts));
        let program = Feed::speak(loadgen(SCENARIO), &server.listening.url("")).args(["--verify"]);
        let (outcome, report) = program.report();
        if let Some(lies) = server.finish().lies() {
            return assert_told(&outcome, &report, &lies);
        }
    }
    panic!("this machine is too busy to publish 150 updates in a second");
}

#[test]
fn every_lie_is_found() {
    check(PLAIN);
}

#[test]
fn who_tells_the_truth_is_not_blamed() {
    check(&[]);
}

#[test]
fn lies_are_counted_but_pardoned_where_nobody_asked_to_verify() {
    let server = serve(Options::default(), |events| lie(&events, &[Act::Lose(1)]));
    let (outcome, report) = Feed::speak(loadgen(SCENARIO), &server.listening.url("")).report();
    drop(server.finish());
    assert!(report["continuity"]["lost"].as_u64() > Some(0), "{}", report["continuity"]);
    assert_eq!((outcome.code, &report["continuity"]["verified"]), (Some(0), &false.into()), "{outcome:?}");
}
