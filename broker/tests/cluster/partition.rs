//! A broker that is cut off from the log: who publishes there is told, who reads there keeps what it has and is told, and
//! when the network heals everything goes on where it was.

use std::time::Duration;

use serde_json::json;

use crate::common::nats::{CURRENT, Link, Options, Servers};
use crate::members::LOG;
use crate::node::{Node, patiently};
use crate::numbered::{Follower, Load};
use crate::source::Source;

/// Between two updates: what is tested is what becomes of them, not how many there are.
const PAUSE: Duration = Duration::from_millis(5);

/// How a broker is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The connections end.
    Closed,
    /// Nothing passes, and nobody is told.
    Silent,
}

#[test]
fn a_broker_whose_connections_end() {
    cut_off(Cut::Closed);
}

#[test]
fn a_broker_from_which_nothing_passes() {
    cut_off(Cut::Silent);
}

fn cut_off(cut: Cut) {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let link = Link::to(servers[0].address);
    // It is unready because the connection is down, however long it takes until the silence counts.
    let flags = ["--journal-unavailable-ms", "500", "--journal-stale-ms", "1500", "--journal-unready-ms", "600000"];
    let apart = Node::start(&servers.url_by(&[link.address]), "apart", &flags);
    let other = Node::start(&servers.url(), "other", &flags);
    let mut follower = Follower::of(&apart, "t");
    let mut source = Source::open(apart.address, "topic=t", "");
    let (epoch, _) = other.publish("t", r#"{"n":1}"#);
    apart.publish("t", r#"{"n":2}"#);
    follower.until_seq(2);
    source.until(|message| message.json["seq"] == 2 && message.op() == "update");
    assert_eq!(apart.until_readiness(200), other.until_readiness(200));

    match cut {
        Cut::Closed => link.cut(),
        Cut::Silent => link.silence(),
    }
    let said = apart.until_readiness(503);
    assert!(said.contains("the connection to NATS is down"), "{said}");
    assert_eq!(apart.metric("tickcast_journal_connected"), 0.0);
    follower.until_told("stale");
    let stale = source.expect("stale");
    assert!(stale.num("since") > 0, "{stale:?}");
    // Who comes now is told at once, and gets what there is.
    let mut newcomer = apart.client();
    newcomer.expect_has(json!({"op": "stale", "since": stale.num("since")}));
    assert_eq!(newcomer.subscribe(&["t"])["topics"][0]["seq"], 2);
    let mut late = Source::open(apart.address, "topic=t", "");
    late.expect("hello");
    late.expect("stale");
    assert_eq!(apart.history("t")["updates"].as_array().unwrap().len(), 2);
    // Nothing is taken, and it is said why.
    let why = apart.publish_in_vain("/v1/topics/u?kind=event&source=s&source_seq=1", "1");
    assert!(why.contains("source_seq"), "{why}");
    newcomer.say(r#"{"op":"publish","id":1,"topic":"u","kind":"event","source":"s","source_seq":2,"data":2}"#);
    assert_eq!(newcomer.expect_error("unavailable")["retry"], true);
    // The other one goes on, and nobody there is told anything.
    for n in 3..=50 {
        assert_eq!(other.publish("t", &format!("{{\"n\":{n}}}")), (epoch.clone(), n));
    }
    other.until_readiness(200);
    assert_eq!(other.client().request(r#"{"op":"ping","id":1}"#).op(), "pong", "it is not stale");
    // Who comes from there is ahead: it is not told to begin anew.
    let resume = format!(r#"{{"op":"subscribe","topics":[{{"topic":"t","epoch":"{epoch}","seq":50}}]}}"#);
    newcomer.say(&resume);
    let refused = newcomer.expect("subscribed");
    assert_eq!(
        (&refused["errors"][0]["code"], &refused["errors"][0]["retry"]),
        (&json!("unavailable"), &json!(true)),
        "{refused:?}"
    );
    assert_eq!(apart.seq("t"), 2);

    link.heal();
    follower.until_told("fresh");
    follower.until_seq(50);
    assert_eq!(follower.epoch.as_deref(), Some(&*epoch));
    // No order is promised between that and updates.
    let (mut seq, mut is_fresh) = (2, false);
    source.until(|message| {
        match message.op() {
            "update" => {
                assert_eq!(message.num("seq"), seq + 1, "{message:?}");
                seq += 1;
            }
            "fresh" => is_fresh = true,
            _ => panic!("{message:?}"),
        }
        is_fresh && seq == 50
    });
    apart.until_readiness(200);
    // What was answered with unavailable is repeated, and is there once.
    for n in 1..=3 {
        let path = format!("POST /v1/topics/u?kind=event&source=s&source_seq={n}");
        patiently("it to be taken", || apart.http(&path, &n.to_string()).status == 200);
    }
    other.until_seq("u", 3);
    for topic in ["t", "u"] {
        assert_eq!(apart.history(topic), other.history(topic));
    }
    assert_eq!(apart.history("u")["seq"], 3);
    newcomer.skip_to(json!({"op": "fresh"}));
    newcomer.say(&resume);
    let resumed = newcomer.skip_to(json!({"op": "subscribed"}));
    assert_eq!(resumed["topics"][0]["start"], "resumed", "{resumed:?}");
}

#[test]
fn a_leader_of_nats_that_is_parted_from_the_others() {
    let Some(servers) = Servers::start(CURRENT, 3, Options { parting: true, ..Options::default() }) else { return };
    let flags = ["--journal-replicas", "3", "--journal-unavailable-ms", "1000", "--journal-unready-ms", "3000"];
    // The first one makes the log, and only then it is known who leads it.
    let first = Node::start(&servers.url(), "first", &flags);
    first.publish("t", r#"{"n":1}"#);
    let leader = servers.until_leader_of(LOG);
    servers.until_in_step(LOG);
    let others: Vec<_> = (0..3).filter(|index| *index != leader).map(|index| servers[index].address).collect();
    let apart = Node::start(servers[leader].url(), "apart", &flags);
    let other = Node::start(&servers.url_by(&others), "other", &flags);
    let mut follower = Follower::of(&apart, "t");
    let (at_apart, at_other) = (Load::on(apart.address, "at.apart", PAUSE), Load::on(other.address, "at.other", PAUSE));
    at_apart.until_more(10);
    at_other.until_more(10);

    servers.part(leader);
    follower.until_told("stale");
    let said = apart.until_readiness(503);
    assert!(said.contains("nothing has come from the log"), "{said}");
    // The others have another leader.
    at_other.until_more(50);
    let before = at_apart.taken();
    for n in 2..=20 {
        patiently("an update to be taken", || {
            let path = format!("POST /v1/topics/t?kind=event&source=s&source_seq={n}");
            other.http(&path, &format!("{{\"n\":{n}}}")).status == 200
        });
    }
    patiently("what is published there to be refused", || at_apart.refused() > 0);
    assert!(at_apart.taken() <= before + 1, "it has no majority");
    assert_eq!(apart.seq("t"), 1);

    servers.reunite();
    follower.until_told("fresh");
    follower.until_seq(20);
    apart.until_readiness(200);
    at_apart.until_more(50);
    let nodes = [&first, &apart, &other];
    at_apart.end(&nodes);
    at_other.end(&nodes);
    for node in nodes {
        node.until_seq("t", 20);
        assert_eq!(node.history("t"), first.history("t"));
        assert_eq!(node.metric("tickcast_journal_differing_total"), 0.0);
    }
}
