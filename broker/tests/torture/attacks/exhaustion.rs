//! No descriptor or connection is left: existing clients are served, the supervisor is answered, and newcomers get a
//! code.

use std::io;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "descriptors",
        what: "400 connections to a broker that may have 256 open files",
        open_files: Some(256),
        run: |stage| crowd_in(stage, 0, 400),
        may_refuse_newcomers: true,
        ..Attack::PLAIN
    },
    Attack {
        name: "connections",
        what: "300 connections, and 600 more that send nothing, to a broker with `connections_max` 100 and 700 open files",
        settings: &[("connections_max", ("100", "100"))],
        open_files: Some(700),
        run: |stage| crowd_in(stage, 600, 300),
        may_refuse_newcomers: true,
        ..Attack::PLAIN
    },
];

/// The most lines that may be logged about the same condition per second, and in addition at the beginning.
const LINES_PER_SECOND: f64 = 2.0;
const LINES_AT_FIRST: f64 = 20.0;

fn crowd_in(stage: &mut Stage<'_>, mute: usize, connections: usize) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let begin = std::time::Instant::now();
    let lines = stage.broker.log_lines();
    let mut silent = Crowd::new(true)?;
    silent.join(listen, mute, Options::attacker(), &[].into(), &patience)?;
    let mut crowd = Crowd::new(true)?;
    crowd.join_websockets(listen, connections, Options::attacker(), b"", &patience)?;
    crowd.linger(&patience);
    let lines = (stage.broker.log_lines() - lines) as f64;
    let seconds = begin.elapsed().as_secs_f64();
    stage.note(format!(
        "{lines:.0} lines logged in {seconds:.0} s; {} of {connections} connections closed",
        crowd.ended()
    ));
    stage.check(lines < LINES_AT_FIRST + LINES_PER_SECOND * seconds, || {
        format!("{lines:.0} lines logged in {seconds:.0} s")
    });
    Ok(())
}
