//! A pattern's first images, while publishers keep the shard behind.

use std::io;
use std::time::{Duration, Instant};

use super::batch_publishers::{GROWS_MIB, RETAIN, batch, followers};
use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::subscribe;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "starved_images",
    what: "10 connections publish at full speed to followed topics; another subscribes to a pattern of 200 images",
    prepare: |stage| {
        stage
            .publish((0..IMAGES).map(|number| format!(r#"{{"topic":"pic.{number}","kind":"state","data":1}}"#)))
            .map(drop)
    },
    run: starve,
    seconds: (8.0, 2.0),
    settings: RETAIN,
    grows_mib: GROWS_MIB,
    ..Attack::PLAIN
}];

const IMAGES: usize = 200;

fn starve(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut walker = stage.link()?;
    let _followers = followers(stage, 2)?;
    let (mut crowd, batch) = (Crowd::new(true)?, batch());
    crowd.join_websockets(stage.broker.listen, 10, Options::attacker(), &batch, &stage.to_the_end())?;
    let warm = Instant::now() + Duration::from_secs_f64(stage.size.pick(2.0, 0.5));
    while Instant::now() < warm {
        crowd.keep_saying(&batch);
        crowd.turn(Duration::from_millis(10), |_, _| {});
    }
    let stop = crate::patience::Stop::default();
    let stopped = stop.clone();
    let patience = stage.patience();
    // The images are read while the load runs.
    let begin = Instant::now();
    let reader = std::thread::spawn(move || -> io::Result<Option<Duration>> {
        let patience = patience.or(&stopped);
        walker.say(&subscribe(["pic.*"], ""), &patience)?;
        for _ in 0..IMAGES {
            match walker.expect("image", &patience) {
                Ok(_) => {}
                Err(_) if stopped.is_stopped() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(begin.elapsed()))
    });
    while !stage.is_over() && !reader.is_finished() {
        crowd.keep_saying(&batch);
        crowd.turn(Duration::from_millis(10), |_, _| {});
    }
    // Before the publishers stop.
    stop.stop();
    let read = reader.join();
    let backlog = stage.broker.metrics(&stage.patience())?.get("tickcast_feed_backlog_bytes");
    drop(crowd);
    match read {
        Ok(Ok(Some(took))) => stage.note(format!(
            "{IMAGES} images after {:.0} ms; backlog then {:.1} MB",
            took.as_secs_f64() * 1e3,
            backlog / 1e6
        )),
        Ok(Ok(None)) => stage.complain(format!(
            "{IMAGES} images did not all come within {:.0} s; backlog {:.1} MB",
            begin.elapsed().as_secs_f64(),
            backlog / 1e6
        )),
        Ok(Err(error)) => stage.complain(format!("the subscriber of the pattern: {error}")),
        Err(_) => stage.complain("the subscriber of the pattern panicked"),
    }
    Ok(())
}
