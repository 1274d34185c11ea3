//! Subscribers to everything that stop reading while everything changes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::listings::{many, many_topics};
use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::tally::Tally;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "stalled_wildcards",
        what: "50 connections follow all of 100,000 topics and stop reading; then every topic changes twice",
        settings: &[("behind_bytes_max", ("32MiB", "2MiB"))],
        prepare: many_topics,
        run: stall,
        seconds: (15.0, 4.0),
        // What connections that are behind still want may take `behind_bytes_max`, and another quarter that is being
        // released. The rest are two updates in each history, two rings, and each shard's state of a topic that it
        // follows.
        grows_mib: (32 + 8 + 32 + 16 + 64, 40),
        keeps_mib: (72, 40),
        ..Attack::PLAIN
    },
    Attack {
        name: "passing_topics",
        what: "20 connections follow everything and stop reading; topics with 1 KiB of state begin and end",
        settings: &[("images_bytes_max", ("16MiB", "4MiB")), ("behind_bytes_max", ("32MiB", "2MiB"))],
        run: passing,
        seconds: (10.0, 4.0),
        grows_mib: (16 + 32 + 64, 64),
        ..Attack::PLAIN
    },
];

fn stall(stage: &mut Stage<'_>) -> io::Result<()> {
    let connections = stage.size.pick(50, 10);
    let mut crowd = Crowd::new(true)?;
    let request = text(&subscribe([">"], r#","from":"live""#));
    crowd.join_websockets(
        stage.broker.listen,
        connections,
        Options::receiving(64 * 1024),
        &request,
        &stage.to_the_end(),
    )?;
    // At first they read the introductions, as an ordinary client does.
    let (mut told, wanted) = (Tally::new(r#""op":"topic""#), connections * stage.size.pick(100_000, 20_000));
    while told.all() < wanted && !stage.is_over() {
        crowd.turn(Duration::from_millis(10), |member, bytes| _ = told.count(member, bytes));
    }
    let told = told.all();
    stage.check(told >= wanted, || format!("{told} of {wanted} introductions came in time"));
    for value in 2..4 {
        let lines = (0..stage.size.pick(100_000, 20_000))
            .map(|number| format!(r#"{{"topic":"{}","kind":"state","data":{value}}}"#, many(number)));
        let rejected = stage.publish(lines)?;
        stage.check(rejected == 0, || format!("{rejected} updates refused"));
    }
    // They are stalled from now on, for the rest of the attack.
    stage.to_the_end().pass();
    let metrics = stage.broker.metrics(&stage.patience())?;
    let behind = metrics.get("tickcast_connections_behind");
    stage.note(format!("{connections} got {told} introductions; {behind} are behind at the end"));
    Ok(())
}

fn passing(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut crowd = Crowd::new(false)?;
    let request = text(&subscribe([">"], ""));
    crowd.join_websockets(stage.broker.listen, 20, Options::receiving(2048), &request, &stage.to_the_end())?;
    let (mut link, patience) = (stage.link()?, stage.patience());
    let data = "x".repeat(1024);
    let (mut number, mut refused) = (0, 0);
    while !stage.is_over() && number < stage.size.pick(100_000, 8_000) {
        // A few topics at once, which their owner deletes over HTTP as soon as they exist.
        let names: Vec<String> = (number..number + 50).map(|number| format!("game.{number}")).collect();
        for name in &names {
            let publish = format!(r#"{{"op":"publish","id":1,"topic":"{name}","kind":"state","data":"{data}"}}"#);
            link.say(&publish, &patience)?;
        }
        for _ in &names {
            let answer = link.message(&patience)?;
            refused += u64::from(answer["op"] == "error");
        }
        delete(stage, &names)?;
        number += names.len();
    }
    stage.note(format!("{number} topics came and went"));
    stage.check(refused == 0, || format!("{refused} of {number} publishes refused, though few topics are alive"));
    Ok(())
}

/// Deletes these topics on one connection. If the broker is still busy with the ends of others, it tries again.
pub(super) fn delete(stage: &Stage<'_>, names: &[String]) -> io::Result<()> {
    let patience = stage.patience();
    let mut wire = crate::wire::Wire::connect(stage.broker.listen, Options::attacker(), &patience)?;
    let mut left: VecDeque<&String> = names.iter().collect();
    while !left.is_empty() {
        let some: Vec<&String> = left.drain(..left.len().min(50)).collect();
        let requests = some
            .iter()
            .map(|name| format!("DELETE /v1/topics/{name} HTTP/1.1\r\nHost: {}\r\n\r\n", stage.broker.listen));
        wire.send(requests.collect::<String>().as_bytes(), &patience)?;
        for name in some {
            let answer = crate::http::answer(&mut wire, &patience)?;
            match answer.status {
                // 404 if the publish was refused.
                200 | 404 => {}
                503 => left.push_back(name),
                status => {
                    return Err(io::Error::other(format!("a deletion was answered with {status}: {}", answer.text())));
                }
            }
        }
    }
    Ok(())
}
