//! A liar whose messages have no numbers of their own: they can only be judged by the payload's `n`.

use crossbeam_channel::Receiver;

use super::acts::{Act, Liar, PLAIN, Sent, other_byte};
use super::{ATTEMPTS, SCENARIO, assert_reported};
use crate::fixture::{Event, Feed, Options, loadgen, serve};

/// Changes a byte of any field, except the marker by which a payload is found, and its topic and number.
fn garble(data: &str, n: u64) -> String {
    let after = |key: &str| data.find(key).expect("a payload") + key.len();
    let offsets = [after("\"t\":") + 15, after("\"w\":") + 12, after("\"p\":\"") + 3, after("\"c\":\"") + 2];
    other_byte(data, offsets[n as usize / 5 % offsets.len()])
}

fn lie(events: &Receiver<Event>, acts: &'static [Act]) -> Liar {
    let (mut feed, mut liar) = (Feed::default(), Liar::new(acts, garble));
    while let Ok(event) = events.recv() {
        if matches!(event, Event::Stop) {
            break;
        }
        let Some(update) = feed.take(event) else { continue };
        for follower in feed.followers(&update.topic) {
            let number = follower.number.expect("a subscriber of loadgen's");
            for sent in liar.publish(number, &update.topic, update.payload.n, &update.data) {
                let Sent::Update { data, .. } = sent else { panic!("{sent:?} needs numbers") };
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
        let program = Feed::configure(loadgen(SCENARIO), &server.listening.url("")).args(["--verify"]);
        let (outcome, report) = program.report();
        if let Some(lies) = server.finish().lies() {
            return assert_reported(&outcome, &report, &lies);
        }
    }
    panic!("this machine is too busy to publish 150 updates in a second");
}

#[test]
fn every_lie_is_found() {
    check(PLAIN);
}

#[test]
fn an_honest_server_is_not_blamed() {
    check(&[]);
}

#[test]
fn without_verify_lies_are_counted_but_are_no_failure() {
    let server = serve(Options::default(), |events| lie(&events, &[Act::Lose(1)]));
    let (outcome, report) = Feed::configure(loadgen(SCENARIO), &server.listening.url("")).report();
    drop(server.finish());
    assert!(report["continuity"]["lost"].as_u64() > Some(0), "{}", report["continuity"]);
    assert_eq!((outcome.code, &report["continuity"]["verified"]), (Some(0), &false.into()), "{outcome:?}");
}
