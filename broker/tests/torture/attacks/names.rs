//! Subscriptions to names that nobody publishes. They wait, and waiting takes memory.

use std::io;
use std::time::Duration;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "waited_names",
    what: "500 connections subscribe to 1,000 names of 210 bytes each that nobody publishes",
    settings: &[("names_waited_bytes_max", ("64MiB", "4MiB"))],
    run: wait,
    grows_mib: (64 + 48, 24),
    ..Attack::PLAIN
}];

fn wait(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let (connections, long) = (stage.size.pick(500, 60), "n".repeat(200));
    let mut crowd = Crowd::new(true)?;
    for connection in 0..connections {
        let requests = (0..4).map(|part| {
            let names = (0..250).map(|number| format!("{connection}.{part}.{number}.{long}"));
            text(&subscribe(names, ""))
        });
        let requests = requests.collect::<Vec<_>>().concat();
        crowd.join_websockets(listen, 1, Options::attacker(), &requests, &patience)?;
        crowd.turn(Duration::ZERO, |_, _| {});
    }
    crowd.linger(&patience);
    let followed = stage.broker.metrics(&stage.patience())?.get("tickcast_followed_topics");
    stage.note(format!("{followed:.0} names are waited for; {} of {connections} connections closed", crowd.ended()));
    Ok(())
}
