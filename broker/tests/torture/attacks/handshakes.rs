//! Connections that never complete their handshake, and connections that come and go as fast as they can.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{handshake, subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "handshake_flood",
        what: "4,000 connections send nothing, and 1,000 more send one byte of a request every 100 ms",
        run: flood,
        ..Attack::PLAIN
    },
    Attack {
        name: "connect_storm",
        what: "500 connections at a time connect, subscribe and reset, up to 2,000 a second",
        run: storm,
        ..Attack::PLAIN
    },
];

fn flood(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let (mute, dribbling) = stage.size.pick((4_000, 1_000), (400, 100));
    let mut silent = Crowd::new(true)?;
    silent.join(listen, mute, Options::attacker(), &[].into(), &patience)?;
    let request = handshake(listen, None);
    let mut crowd = Crowd::new(true)?;
    crowd.join(listen, dribbling, Options::attacker(), &[request[0]].into(), &patience)?;
    // All but the last byte, which would complete it.
    for byte in &request[1..request.len() - 1] {
        let byte: Arc<[u8]> = [*byte].into();
        (0..crowd.len()).for_each(|member| crowd.say(member, &byte));
        let next = Instant::now() + Duration::from_millis(100);
        while Instant::now() < next && !stage.is_over() {
            crowd.turn(Duration::from_millis(10), |_, _| {});
            silent.turn(Duration::ZERO, |_, _| {});
        }
        if stage.is_over() {
            break;
        }
    }
    stage.note(format!(
        "{} of {mute} mute and {} of {dribbling} dribbling ones were closed",
        silent.ended(),
        crowd.ended()
    ));
    Ok(())
}

fn storm(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, each) = (stage.broker.listen, stage.size.pick(500, 100));
    let request = text(&subscribe(["a.b"], ""));
    let mut count = 0;
    while !stage.is_over() {
        let next = Instant::now() + Duration::from_millis(250);
        let mut crowd = Crowd::new(true)?;
        crowd.join_websockets(listen, each, Options::attacker(), &request, &stage.to_the_end())?;
        while Instant::now() < next && !stage.is_over() {
            crowd.turn(Duration::from_millis(10), |_, _| {});
        }
        count += each;
    }
    stage.note(format!("{count} connections came and went"));
    Ok(())
}
