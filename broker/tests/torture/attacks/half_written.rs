//! Large images of which the kernel takes a part: the broker holds the rest until the client reads on.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::http;
use crate::link::{Link, subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "half_written_images",
        what: "1,500 connections subscribe to an image of 1 MB that changes, and do not read",
        settings: &[("images_partial_bytes_max", ("256MiB", "8MiB"))],
        run: half_written,
        seconds: (12.0, 3.0),
        // Connections that are closing may hold another quarter of the budget.
        grows_mib: (256 + 64 + 32, 48),
        ..Attack::PLAIN
    },
    Attack {
        name: "encoded_images",
        what: "200 images of 1 MB are read one after the other, so that each is encoded",
        settings: &[
            ("images_bytes_max", ("256MiB", "32MiB")),
            ("images_encoded_bytes_max", ("128MiB", "4MiB")),
            ("retain_updates", ("1", "1")),
        ],
        prepare: |stage| (0..stage.size.pick(200, 24)).try_for_each(|number| image(stage, &format!("big.{number}"))),
        run: encoded,
        seconds: (8.0, 2.0),
        grows_mib: (128 + 32, 12),
        // The images stay, also in their encoded form.
        keeps_mib: (128 + 32, 12),
        ..Attack::PLAIN
    },
    Attack {
        name: "conflated_images",
        what: "4 connections follow 40 images of 1 MB every 10 ms, and all images change all the time",
        settings: &[("retain_updates", ("1", "1"))],
        prepare: |stage| (0..stage.size.pick(40, 8)).try_for_each(|number| image(stage, &format!("big.{number}"))),
        run: conflated,
        grows_mib: (128, 64),
        ..Attack::PLAIN
    },
];

/// Patches that make an image of about 1 MB, each smaller than `message_bytes`.
const PATCHES: usize = 17;
const MEMBERS: usize = 60;

/// Publishes an image.
pub(super) fn image(stage: &Stage<'_>, topic: &str) -> io::Result<()> {
    let value = "x".repeat(1000);
    let begin = format!(r#"{{"topic":"{topic}","kind":"state","data":{{}}}}"#);
    let patches = (0..PATCHES).map(|patch| {
        let members: Vec<String> = (0..MEMBERS).map(|member| format!(r#""k{patch}_{member}":"{value}""#)).collect();
        format!(r#"{{"topic":"{topic}","kind":"patch","data":{{{}}}}}"#, members.join(","))
    });
    match stage.publish([begin].into_iter().chain(patches))? {
        0 => Ok(()),
        rejected => Err(io::Error::other(format!("{rejected} updates of an image were refused"))),
    }
}

fn half_written(stage: &mut Stage<'_>) -> io::Result<()> {
    image(stage, "big")?;
    let (listen, connections) = (stage.broker.listen, stage.size.pick(1500, 100));
    let (mut crowd, patience) = (Crowd::new(false)?, stage.to_the_end());
    let (mut publisher, request) = (stage.link()?, text(&subscribe(["big"], "")));
    let mut largest = 0.0_f64;
    for number in 0..connections {
        if stage.is_over() {
            break;
        }
        crowd.join_websockets(listen, 1, Options::receiving(2048), &request, &patience)?;
        // After this change the next connection gets another image.
        change(&mut publisher, stage, number)?;
        if number % 50 == 0 {
            largest = largest.max(stage.broker.metrics(&stage.patience())?.get("tickcast_pinned_bytes"));
        }
    }
    stage.to_the_end().pass();
    largest = largest.max(stage.broker.metrics(&stage.patience())?.get("tickcast_pinned_bytes"));
    stage.note(format!("{} of {connections} connected; half-written at most {:.0} MB", crowd.len(), largest / 1e6));
    Ok(())
}

pub(super) fn change(publisher: &mut Link, stage: &Stage<'_>, number: usize) -> io::Result<()> {
    let patch = format!(r#"{{"op":"publish","id":1,"topic":"big","kind":"patch","data":{{"n":{number}}}}}"#);
    publisher.ask(&patch, "published", &stage.patience())?;
    Ok(())
}

fn conflated(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut crowd = Crowd::new(true)?;
    let request = text(&subscribe(["big.*"], r#","conflate_ms":10"#));
    crowd.join_websockets(stage.broker.listen, 4, Options::attacker(), &request, &stage.to_the_end())?;
    let (mut publisher, topics, patience) = (stage.link()?, stage.size.pick(40, 8), stage.patience());
    let (mut changes, mut read) = (0, 0);
    while !stage.is_over() {
        // Every second change deletes a member: no patch can express that for a state that is skipped, but an
        // image can.
        for topic in 0..topics {
            let value = if changes % 2 == 0 { "null" } else { "1" };
            let data = format!(r#"{{"n":{changes},"k{}_1":{value}}}"#, changes % PATCHES);
            let patch = format!(r#"{{"op":"publish","topic":"big.{topic}","kind":"patch","data":{data}}}"#);
            publisher.say(&patch, &patience)?;
        }
        changes += 1;
        let next = Instant::now() + Duration::from_millis(10);
        while Instant::now() < next {
            crowd.turn(Duration::from_millis(5), |_, bytes| read += bytes.len());
        }
    }
    stage.note(format!("{changes} times {topics} changes; {:.0} MB read", read as f64 / 1e6));
    Ok(())
}

fn encoded(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut read = 0;
    while !stage.is_over() {
        for number in 0..stage.size.pick(200, 24) {
            let request = http::get(stage.broker.listen, &format!("/v1/topics/big.{number}"));
            let answer =
                http::exchange(stage.broker.listen, Options::attacker(), &[request.as_bytes()], &stage.patience())?;
            stage.check(answer.status == 200, || format!("an image was answered with {}", answer.status));
            read += 1;
            // At the pace of one client.
            crate::patience::pass(Duration::from_millis(5));
        }
    }
    stage.note(format!("{read} images read"));
    Ok(())
}
