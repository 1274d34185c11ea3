//! Subscriptions to names without topics, which take memory, and requests for many names, which do until they are done.

use std::io;
use std::sync::Arc;
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
    Attack {
        name: "begun_requests",
        what: "1,500 connections subscribe to 7,500 short names each, at the same time",
        settings: &[("buffers_bytes_max", ("64MiB", "4MiB")), ("names_waited_bytes_max", ("16MiB", "4MiB"))],
        run: begun,
        grows_mib: (64 + 16 + 96, 96),
        ..Attack::PLAIN
    },
];

/// Connects clients that all send a long request, and waits for their answers.
fn begun(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let connections = stage.size.pick(1_500, 60);
    let request: Arc<[u8]> = text(&subscribe((0..7_500).map(|name| format!("n{name}")), "")).into();
    let mut crowd = Crowd::new(true)?;
    crowd.join_websockets(listen, connections, Options::attacker(), b"", &patience)?;
    // Half of them have sent what takes little work before.
    let pings: Arc<[u8]> = text(r#"{"op":"ping"}"#).repeat(8).into();
    (0..crowd.len()).step_by(2).for_each(|number| crowd.say(number, &pings));
    crowd.turn(Duration::from_millis(100), |_, _| {});
    (0..crowd.len()).for_each(|number| crowd.say(number, &request));
    let mut answered = vec![false; crowd.len()];
    while !patience.is_over() {
        crowd.turn(Duration::from_millis(10), |number, bytes| answered[number] |= bytes.len() > 1000);
    }
    let (some, closed) = (answered.iter().filter(|answered| **answered).count(), crowd.ended());
    stage.note(format!("{some} of {connections} got an answer; {closed} connections closed"));
    stage.check(some > 0, || "nobody got an answer".to_owned());
    Ok(())
}

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
