//! Brokers are killed, stopped and paused while producers publish at both and subscribers follow at both: what is not answered
//! is repeated at the other, and is there once; subscribers go on at the other, and are never told to begin anew, even where
//! that one is behind.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rustix::process::Signal;

use crate::common::nats::{CURRENT, OLDEST};
use crate::common::until;
use crate::load::{Load, pass};
use crate::members::{Cluster, LARGE};
use crate::report::Report;

const ANSWERED: u64 = 200;

/// Ends the producers and subscribers, and compares what they had with what the brokers have.
#[track_caller]
fn finish(cluster: &mut Cluster, load: &mut Load) -> u64 {
    let last = load.finish();
    // One that was paused for long begins again from a checkpoint.
    until("all brokers to serve", || cluster.brokers.iter().all(|broker| TcpStream::connect(broker.address).is_ok()));
    for broker in &cluster.brokers {
        load.check_kept(broker.address, false);
        for (topic, last) in load.ledger.topics.iter().zip(&last) {
            until("all brokers to have all", || broker.history(&topic.name, 1)["seq"].as_u64().unwrap() >= *last);
            assert_eq!(broker.history(&topic.name, 1)["seq"], *last, "{}", topic.name);
        }
    }
    cluster.assert_equal();
    last.iter().sum()
}

fn killed(version: &str, servers: usize, times: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, LARGE) else { return };
    let mut load = Load::start(cluster.addresses());
    let mut report = Report::new(version);
    for time in 0..times {
        load.until_answered(ANSWERED);
        pass(Duration::from_micros(rand::rng().random_range(0..300_000)));
        load.ledger.take_pause();
        let broker = time % cluster.brokers.len();
        cluster.brokers[broker].kill();
        // By the other one.
        load.until_answered(ANSWERED);
        report.add(format!("broker {broker} killed"), load.ledger.take_pause());
        cluster.brokers[broker].go();
        for broker in &cluster.brokers {
            load.check_kept(broker.address, true);
        }
    }
    let updates = finish(&mut cluster, &mut load);
    report.print(&load.ledger, updates, "");
}

#[test]
fn killed_a_few_times() {
    killed(CURRENT, 1, 3);
}

#[test]
#[ignore = "takes some minutes: make cluster-test"]
fn killed_fifty_times() {
    for version in [OLDEST, CURRENT] {
        killed(version, 3, 50);
    }
}

/// A broker hangs, and comes back: what it had taken and what it still has in its sockets is not taken twice.
fn paused(version: &str, pauses: &[Duration]) {
    let Some(mut cluster) = Cluster::start(version, 1, 2, LARGE) else { return };
    let mut load = Load::start(cluster.addresses());
    let mut report = Report::new(version);
    for (time, pause) in pauses.iter().enumerate() {
        load.until_answered(ANSWERED);
        load.ledger.take_pause();
        let broker = time % cluster.brokers.len();
        cluster.brokers[broker].process().signal(Signal::STOP);
        let begin = Instant::now();
        while begin.elapsed() < *pause {
            load.join_failed();
            pass(Duration::from_millis(10));
        }
        cluster.brokers[broker].process().signal(Signal::CONT);
        load.until_answered(ANSWERED);
        report.add(format!("broker {broker} paused for {pause:?}"), load.ledger.take_pause());
        assert!(cluster.brokers[broker].process().runs(), "it has ended after {pause:?}");
    }
    let updates = finish(&mut cluster, &mut load);
    report.print(&load.ledger, updates, "");
}

#[test]
fn a_broker_hangs_for_a_moment() {
    paused(CURRENT, &[Duration::from_secs(3)]);
}

#[test]
#[ignore = "takes some minutes: make cluster-test"]
fn brokers_hang() {
    for version in [OLDEST, CURRENT] {
        paused(version, &[1, 2, 5, 10, 20, 30].map(Duration::from_secs));
    }
}

/// One broker gets nothing from the log any more, and the other, where all subscribers are by then, is killed.
fn held_back(version: &str, servers: usize) {
    let Some(mut cluster) = Cluster::start(version, servers, 2, LARGE) else { return };
    let mut load = Load::start(cluster.addresses());
    load.until_answered(ANSWERED);
    cluster.links.iter().for_each(crate::common::nats::Link::silence);
    // All move to the other one, which goes on.
    let seen = |load: &Load| -> u64 {
        let topics = 0..load.ledger.topics.len();
        topics.map(|topic| (0..3).map(|subscriber| load.ledger.seen(subscriber, topic)).min().unwrap()).sum()
    };
    let behind = seen(&load);
    until("all subscribers to be well ahead of the broker that is held back", || {
        load.join_failed();
        pass(Duration::from_millis(10));
        seen(&load) > behind + 5 * ANSWERED
    });
    let moved = load.ledger.reconnects.load(Ordering::Relaxed);
    cluster.brokers[0].kill();
    // They are all sent away or kept waiting by the one that is behind, and not told to begin anew: that would fail them.
    until("everybody to have come to the broker that is behind", || {
        load.join_failed();
        pass(Duration::from_millis(10));
        load.ledger.reconnects.load(Ordering::Relaxed) > moved + 10
    });
    cluster.links.iter().for_each(crate::common::nats::Link::heal);
    load.until_answered(ANSWERED);
    cluster.brokers[0].go();
    load.until_answered(ANSWERED);
    let updates = finish(&mut cluster, &mut load);
    Report::new(version).print(&load.ledger, updates, "one broker held back");
}

#[test]
fn the_only_broker_that_is_left_is_behind() {
    held_back(CURRENT, 1);
}

#[test]
#[ignore = "the same with three servers of each version: make cluster-test"]
fn the_only_broker_that_is_left_is_behind_with_three_servers() {
    for version in [OLDEST, CURRENT] {
        held_back(version, 3);
    }
}
