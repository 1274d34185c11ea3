//! Subscriptions to names without topics, which take memory.

use std::io;
use std::time::Duration;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "waited_names",
        what: "500 connections subscribe to 1,000 names of 210 bytes each that are never published",
        settings: &[("names_waited_bytes_max", ("64MiB", "4MiB"))],
        run: |stage| hold(stage, ""),
        grows_mib: (64 + 48, 24),
        ..Attack::PLAIN
    },
    Attack {
        name: "held_patterns",
        what: "500 connections subscribe to 1,000 patterns of 210 bytes each",
        settings: &[("subscriptions_bytes_max", ("64MiB", "4MiB"))],
        run: |stage| hold(stage, ".>"),
        grows_mib: (64 + 48, 24),
        ..Attack::PLAIN
    },
];

/// Connects clients, each of which subscribes to names of its own with this ending.
fn hold(stage: &mut Stage<'_>, end: &str) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let (connections, long) = (stage.size.pick(500, 60), "n".repeat(200));
    let mut crowd = Crowd::new(true)?;
    for connection in 0..connections {
        let requests = (0..4).map(|part| {
            let names = (0..250).map(|number| format!("{connection}.{part}.{number}.{long}{end}"));
            text(&subscribe(names, ""))
        });
        let requests = requests.collect::<Vec<_>>().concat();
        crowd.join_websockets(listen, 1, Options::attacker(), &requests, &patience)?;
        crowd.turn(Duration::ZERO, |_, _| {});
    }
    crowd.linger(&patience);
    let metrics = stage.broker.metrics(&stage.patience())?;
    let (entries, names) = (metrics.get("tickcast_subscriptions"), metrics.get("tickcast_followed_topics"));
    let closed = crowd.ended();
    stage.note(format!("{entries:.0} subscriptions, {names:.0} names; {closed} of {connections} connections closed"));
    Ok(())
}
