//! The servers are replaced by newer ones, one after the other, as an upgrade does it, while brokers publish.

use std::time::Duration;

use crate::common::nats::{CURRENT, OLDEST, Options, Servers};
use crate::members::LOG;
use crate::node::Node;
use crate::numbered::{Follower, Load};

/// How hard it is tried.
struct Form {
    options: Options,
    /// Publishers at each broker.
    publishers: usize,
    /// Between two updates of each.
    pause: Duration,
    /// Updates that each has to get rid of between two servers.
    between: u64,
}

#[test]
fn servers_are_replaced_by_newer_ones() {
    let (publishers, pause) = (1, Duration::from_millis(5));
    replaced(Form { options: Options::default(), publishers, pause, between: 20 });
}

#[test]
#[ignore = "minutes under full load: make cluster-test"]
fn servers_are_replaced_by_newer_ones_under_full_load() {
    let options = Options { sync_always: true, ..Options::default() };
    replaced(Form { options, publishers: 8, pause: Duration::ZERO, between: 200 });
}

fn replaced(form: Form) {
    let Some(mut servers) = Servers::start(OLDEST, 3, form.options) else { return };
    let flags = ["--journal-replicas", "3", "--retain-updates", "1000000", "--retain-bytes", "64MiB"];
    let nodes = ["a", "b"].map(|name| Node::start(&servers.url(), name, &flags));
    let mut follower = Follower::of(&nodes[1], "a.0");
    let loads: Vec<Load> = nodes
        .iter()
        .zip(["a", "b"])
        .flat_map(|(node, name)| (0..form.publishers).map(move |index| (node.address, format!("{name}.{index}"))))
        .map(|(address, topic)| Load::on(address, &topic, form.pause))
        .collect();
    let until_more = || loads.iter().for_each(|load| load.until_more(form.between));
    until_more();
    // The leader last, as one does it by hand: it is the one whose end is noticed.
    let leader = servers.until_leader_of(LOG);
    for index in (0..3).map(|step| (leader + 1 + step) % 3) {
        servers.until_in_step(LOG);
        servers[index].term();
        servers[index].start_again_as(CURRENT);
        servers.until_ready();
        assert_eq!(servers[index].version(), CURRENT);
        until_more();
        // One that is not read for minutes is closed as a slow one.
        follower.until_seq(nodes[1].seq("a.0").max(follower.seq));
    }
    servers.until_in_step(LOG);
    let [first, second] = &nodes;
    let taken: Vec<u64> = loads.into_iter().map(|load| load.end(&[first, second])).collect();
    // Nothing that was sent was lost on the way to who follows, nor was it told to begin anew.
    follower.until_seq(taken[0]);
    for node in &nodes {
        node.until_readiness(200);
        assert_eq!(node.metric("tickcast_journal_differing_total"), 0.0);
        assert_eq!(node.metric("tickcast_journal_in_doubt"), 0.0);
    }
}
