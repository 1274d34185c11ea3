//! A liar that speaks enough of Tickcast's protocol (`broker/docs/protocol.md`) to be judged by `seq`.

use std::collections::{BTreeMap, BTreeSet};

use crossbeam_channel::Receiver;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::acts::{Act, HONEST, Liar, NUMBERED, Sent, other_byte};
use super::{ATTEMPTS, SCENARIO, assert_reported};
use crate::fixture::{Event, Options, Peer, loadgen, serve};

const HELLO: &str = r#"{"op":"hello","protocol":"tickcast.v1","server":"liar","session":"a","heartbeat_ms":25000,"features":[],"limits":{}}"#;

#[derive(Deserialize)]
struct Request<'a> {
    op: &'a str,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    topic: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The subscriber of these topics: each of three has another pair.
fn number(topics: &BTreeSet<String>) -> u32 {
    let numbers: Vec<u32> = topics.iter().map(|topic| topic[topic.len() - 1..].parse().expect("a digit")).collect();
    match numbers[..] {
        [0, 1] => 0,
        [0, 2] => 1,
        [1, 2] => 2,
        _ => panic!("{topics:?}"),
    }
}

fn message(topic: &str, sent: &Sent) -> String {
    match sent {
        Sent::Update { n, data } => format!(r#"{{"op":"update","topic":"{topic}","seq":{n},"ts":17,"data":{data}}}"#),
        Sent::Merged { from, n, data } => {
            format!(r#"{{"op":"patch","topic":"{topic}","from":{from},"seq":{n},"ts":17,"data":{data}}}"#)
        }
        Sent::Image { n, data } => {
            format!(r#"{{"op":"image","topic":"{topic}","epoch":"e","seq":{n},"ts":17,"data":{data}}}"#)
        }
        Sent::Gap { from, to } => {
            format!(r#"{{"op":"gap","topic":"{topic}","from":{from},"to":{to},"reason":"slow"}}"#)
        }
    }
}

fn lie(events: &Receiver<Event>, acts: &'static [Act]) -> Liar {
    // Any byte may be changed: the envelope names the update.
    let mut liar = Liar::new(acts, |data, n| other_byte(data, n as usize * 7 % (data.len() - 2)));
    let mut clients: BTreeMap<u64, (Peer, BTreeSet<String>)> = BTreeMap::new();
    let mut published: BTreeMap<String, u64> = BTreeMap::new();
    while let Ok(event) = events.recv() {
        match event {
            Event::Stop => break,
            Event::Opened(id, _, mut peer) => {
                peer.send(HELLO);
                clients.insert(id, (peer, BTreeSet::new()));
            }
            Event::Closed(id) => drop(clients.remove(&id)),
            Event::Message(id, text) => {
                let request: Request<'_> = serde_json::from_str(&text).expect("a request");
                match request.op {
                    "subscribe" => {
                        let (peer, topics) = clients.get_mut(&id).expect("it is connected");
                        let start = |topic: &String| {
                            format!(
                                r#"{{"topic":"{topic}","kind":null,"epoch":null,"seq":0,"oldest":1,"start":"live","conflate_ms":0}}"#
                            )
                        };
                        let starts: Vec<String> = request.topics.iter().map(start).collect();
                        let starts = starts.join(",");
                        peer.send(&format!(
                            r#"{{"op":"subscribed","id":1,"topics":[{starts}],"patterns":[],"errors":[]}}"#
                        ));
                        topics.extend(request.topics);
                    }
                    "publish" => {
                        let (topic, data) = (request.topic, request.data.expect("a payload").get());
                        let n = published.entry(topic.clone()).or_default();
                        *n += 1;
                        for (peer, topics) in clients.values_mut().filter(|(_, topics)| topics.contains(&topic)) {
                            for sent in liar.publish(number(topics), &topic, *n, data) {
                                peer.send(&message(&topic, &sent));
                            }
                        }
                    }
                    other => panic!("loadgen sends {other}"),
                }
            }
        }
    }
    liar
}

#[track_caller]
fn check(acts: &'static [Act]) {
    for _ in 0..ATTEMPTS {
        let server = serve(Options::default(), move |events| lie(&events, acts));
        let (outcome, report) = loadgen(SCENARIO).args(["--verify", "--target", &server.listening.url("")]).report();
        if let Some(lies) = server.finish().lies() {
            return assert_reported(&outcome, &report, &lies);
        }
    }
    panic!("this machine is too busy to publish 150 updates in a second");
}

#[test]
fn every_lie_is_found_and_announcements_are_not_lies() {
    check(NUMBERED);
}

#[test]
fn gaps_images_and_merged_updates_are_not_lies() {
    check(HONEST);
}

#[test]
fn an_honest_server_is_not_blamed() {
    check(&[]);
}
