//! Servers are killed, stopped and paused while producers publish at both brokers and subscribers follow at both: nothing is
//! lost, doubled or reordered, no epoch changes, and in the end both brokers have the same.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::common::nats::{CURRENT, OLDEST, Server};
use crate::load::{Load, pass};
use crate::members::{Cluster, LARGE, LOG};
use crate::report::Report;

/// How many publishes have to be answered between two blows.
const ANSWERED: u64 = 500;

/// What happens to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// SIGKILL.
    KillLeader,
    KillFollower,
    KillAll,
    /// SIGTERM, as in an upgrade.
    StopLeader,
    StopFollower,
    StopAll,
    /// SIGSTOP for so long, then SIGCONT.
    PauseLeader(Duration),
    PauseFollower(Duration),
}

const ALL: [Blow; 8] = [
    Blow::StopFollower,
    Blow::KillFollower,
    Blow::StopLeader,
    Blow::KillLeader,
    Blow::PauseFollower(Duration::from_secs(5)),
    Blow::PauseLeader(Duration::from_secs(1)),
    Blow::KillAll,
    Blow::StopAll,
];

/// Deals a blow, and repairs it. Returns the longest time for which nobody got an answer.
#[track_caller]
fn deal(blow: Blow, cluster: &mut Cluster, load: &mut Load) -> Duration {
    let leader = cluster.servers.until_leader_of(LOG);
    let follower = (leader + 1) % cluster.servers.len();
    load.ledger.take_pause();
    match blow {
        Blow::KillLeader => cluster.servers[leader].kill(),
        Blow::KillFollower => cluster.servers[follower].kill(),
        Blow::StopLeader => cluster.servers[leader].term(),
        Blow::StopFollower => cluster.servers[follower].term(),
        Blow::KillAll => cluster.servers.kill_all(),
        Blow::StopAll => cluster.servers.iter_mut().for_each(Server::term),
        Blow::PauseLeader(_) => cluster.servers[leader].pause(),
        Blow::PauseFollower(_) => cluster.servers[follower].pause(),
    }
    let begin = Instant::now();
    match blow {
        Blow::PauseLeader(time) | Blow::PauseFollower(time) => {
            while begin.elapsed() < time {
                load.join_failed();
                pass(Duration::from_millis(10));
            }
            let paused = if matches!(blow, Blow::PauseLeader(_)) { leader } else { follower };
            cluster.servers[paused].resume();
        }
        Blow::KillAll | Blow::StopAll => cluster.servers.start_all_again(),
        _ => {}
    }
    load.until_answered(ANSWERED);
    let pause = load.ledger.take_pause();
    cluster.until_whole(|| load.join_failed());
    load.until_answered(ANSWERED);
    pause
}

fn dealt(version: &str, blows: &[Blow]) {
    let Some(mut cluster) = Cluster::start(version, 3, 2, LARGE) else { return };
    let mut load = Load::start(cluster.addresses());
    load.until_answered(ANSWERED);
    let mut report = Report::new(version);
    for blow in blows {
        let pause = deal(*blow, &mut cluster, &mut load);
        report.add(format!("{blow:?}"), pause);
        for broker in &mut cluster.brokers {
            assert!(broker.process().runs(), "a broker has ended after {blow:?}");
            load.check_kept(broker.address, true);
        }
    }
    let last = load.finish();
    for broker in &cluster.brokers {
        load.check_kept(broker.address, false);
        for (topic, last) in load.ledger.topics.iter().zip(&last) {
            assert_eq!(broker.history(&topic.name, 1)["seq"], *last, "{}", topic.name);
        }
    }
    cluster.assert_equal();
    let resent = cluster.brokers.iter_mut().map(|broker| broker.process().metric("tickcast_journal_resent_total"));
    let resent = resent.sum::<f64>();
    report.print(&load.ledger, last.iter().sum(), &format!("{resent} records sent again"));
    assert!(load.ledger.answered.load(Ordering::Relaxed) > 0);
}

#[test]
fn the_leader_is_killed_and_another_stopped() {
    dealt(CURRENT, &[Blow::KillLeader, Blow::StopFollower]);
}

#[test]
fn the_leader_hangs_for_a_moment() {
    dealt(CURRENT, &[Blow::PauseLeader(Duration::from_secs(2))]);
}

#[test]
#[ignore = "takes some minutes: make cluster-test"]
fn servers_are_killed_and_stopped_in_every_way() {
    for version in [OLDEST, CURRENT] {
        dealt(version, &ALL);
    }
}

#[test]
#[ignore = "takes some minutes: make cluster-test"]
fn servers_hang() {
    for version in [OLDEST, CURRENT] {
        let pauses = [1, 4, 10, 30].map(Duration::from_secs);
        let blows = pauses.iter().flat_map(|time| [Blow::PauseLeader(*time), Blow::PauseFollower(*time)]);
        dealt(version, &blows.collect::<Vec<_>>());
    }
}
