//! Publishers at full speed. Their input must not be read before earlier updates are delivered.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::listings::many;
use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "batch_publishers",
        what: "50 connections publish batches of 900 updates at full speed, to topics without subscribers",
        settings: RETAIN,
        run: |stage| publish(stage, 50),
        grows_mib: GROWS_MIB,
        ..Attack::PLAIN
    },
    Attack {
        name: "followed_batches",
        what: "10 connections publish batches of 900 updates at full speed, to topics with subscribers",
        settings: RETAIN,
        run: |stage| {
            let _followers = followers(stage, 2)?;
            publish(stage, 10)
        },
        grows_mib: GROWS_MIB,
        ..Attack::PLAIN
    },
    Attack {
        name: "journaled_batches",
        what: "50 connections publish batches of 900 updates at full speed to a broker with a journal",
        settings: RETAIN,
        files: journal,
        run: |stage| publish(stage, 50),
        grows_mib: GROWS_MIB,
        ..Attack::PLAIN
    },
    Attack {
        name: "journaled_publishers",
        what: "50 connections publish single updates at full speed to a broker with a journal",
        settings: RETAIN,
        files: journal,
        run: |stage| publish_all(stage, 50, singles()),
        grows_mib: GROWS_MIB,
        ..Attack::PLAIN
    },
];

/// Short histories, so that the feed and the rings fill up instead.
pub(super) const RETAIN: &[(&str, (&str, &str))] = &[("retain_updates", ("16", "16"))];
/// `feed_bytes_max`, and as much again for what the feed needs around it, messages and answers.
pub(super) const GROWS_MIB: (u64, u64) = (160, 160);
/// The most updates, on average, that a shard may take in before it delivers again.
const PER_ROUND: f64 = 20_000.0;
/// The number of updates in one message, which is shorter than `message_bytes`.
const BATCH: usize = 900;

/// Makes a batch of updates to topics of [`many`].
pub(super) fn batch() -> Arc<[u8]> {
    let updates = (0..BATCH).map(|number| format!(r#"{{"topic":"{}","kind":"state","data":1}}"#, many(number)));
    text(&format!(r#"{{"op":"publish","batch":[{}]}}"#, updates.collect::<Vec<_>>().join(","))).into()
}

/// Connects clients that follow those topics, once a second. They stop reading when they are dropped.
pub(super) fn followers(stage: &Stage<'_>, count: usize) -> io::Result<Followers> {
    let mut crowd = Crowd::new(true)?;
    let request = text(&subscribe(["m.>"], r#","conflate_ms":1000"#));
    crowd.join_websockets(stage.broker.listen, count, Options::attacker(), &request, &stage.patience())?;
    let stop = crate::patience::Stop::default();
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        crowd.linger(&crate::patience::Patience::of(Duration::from_secs(120)).or(&stopped));
    });
    Ok(Followers { stop, thread: Some(thread) })
}

/// Reading followers.
pub(super) struct Followers {
    stop: crate::patience::Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A journal in the broker's folder.
fn journal(folder: &Path) -> io::Result<String> {
    Ok(format!("journal = \"local\"\njournal_dir = {:?}\n", folder.join("journal")))
}

/// Makes as many messages of one update each.
fn singles() -> Arc<[u8]> {
    (0..BATCH)
        .flat_map(|number| text(&format!(r#"{{"op":"publish","topic":"{}","kind":"state","data":1}}"#, many(number))))
        .collect()
}

fn publish(stage: &mut Stage<'_>, connections: usize) -> io::Result<()> {
    publish_all(stage, connections, batch())
}

fn publish_all(stage: &mut Stage<'_>, connections: usize, batch: Arc<[u8]>) -> io::Result<()> {
    let mut crowd = Crowd::new(true)?;
    crowd.join_websockets(stage.broker.listen, connections, Options::attacker(), &batch, &stage.to_the_end())?;
    let before = stage.broker.metrics(&stage.patience())?;
    let mut backlog = 0.0_f64;
    while !stage.is_over() {
        let slice = std::time::Instant::now() + Duration::from_millis(500);
        while std::time::Instant::now() < slice && !stage.is_over() {
            crowd.keep_saying(&batch);
            crowd.turn(Duration::from_millis(10), |_, _| {});
        }
        backlog = backlog.max(stage.broker.metrics(&stage.patience())?.get("tickcast_feed_backlog_bytes"));
    }
    let after = stage.broker.metrics(&stage.patience())?;
    let published = after.get("tickcast_published_total") - before.get("tickcast_published_total");
    let per_round = after.per_round(&before, "tickcast_published_total");
    stage.note(format!("{per_round:.0} updates taken in per round"));
    stage.check(per_round <= PER_ROUND, || format!("{per_round:.0} updates are taken in per round, above {PER_ROUND}"));
    stage.note(format!("{published:.0} updates taken in; backlog up to {:.0} MB", backlog / 1e6));
    stage.check(crowd.ended() == 0, || format!("{} of {connections} publishers were closed", crowd.ended()));
    Ok(())
}
