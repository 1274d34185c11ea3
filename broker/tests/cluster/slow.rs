//! A broker that stands still, or whose way to the servers does: the others publish and deliver as before, and it catches up.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::nats::{CURRENT, Link, Options, Servers, Way};
use crate::node::{Node, patiently};
use crate::numbered::{Follower, Load};

/// Updates that are published meanwhile: several times what the server keeps on its way for one reader.
const MEANWHILE: u64 = 1_000;

#[test]
fn a_broker_that_is_paused() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    slow(
        &servers,
        &servers.url(),
        |node| node.process().signal(Signal::STOP),
        |node| {
            node.process().signal(Signal::CONT);
        },
    );
}

#[test]
fn a_broker_to_which_nothing_comes() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let link = Link::to(servers[0].address);
    slow(&servers, &servers.url_by(&[link.address]), |_| link.silence_way(Way::ToClient), |_| link.heal());
}

fn slow(servers: &Servers, way: &str, hold: impl FnOnce(&mut Node), release: impl FnOnce(&mut Node)) {
    let flags = ["--retain-updates", "100000", "--retain-bytes", "16MiB"];
    let quick = Node::start(&servers.url(), "quick", &flags);
    let mut slow = Node::start(way, "slow", &flags);
    let load = Load::on(quick.address, "t", Duration::ZERO);
    let (mut at_quick, mut at_slow) = (Follower::of(&quick, "t"), Follower::of(&slow, "t"));
    load.until_more(20);
    at_slow.until_seq(20);

    hold(&mut slow);
    let begin = load.taken();
    load.until_more(MEANWHILE);
    at_quick.until_seq(begin + MEANWHILE);
    // Nobody at the quick one notices: nothing is refused, it is not stale and has nothing to catch up.
    assert_eq!((load.refused(), at_quick.told.len()), (0, 0));
    quick.until_readiness(200);
    assert_eq!(quick.metric("tickcast_journal_stale"), 0.0);

    release(&mut slow);
    at_slow.until_seq(begin + MEANWHILE);
    patiently("it to have caught up", || slow.metric("tickcast_journal_lag_records") == 0.0);
    slow.until_readiness(200);
    let taken = load.end(&[&quick, &slow]);
    at_slow.until_seq(taken);
    assert_eq!(slow.metric("tickcast_journal_differing_total"), 0.0);
}
