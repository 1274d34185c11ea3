//! Request bodies that do not end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::http;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "idle_bodies",
        what: "33 connections send bodies of 8 MiB except for the last bytes, which fills `bodies_bytes_max`",
        settings: BODIES,
        run: |stage| hold(stage, None),
        // A silent body may stay for 10 s, and its connection 5 s longer.
        seconds: (17.0, 1.0),
        grows_mib: (256 + 64, 40),
        ..Attack::PLAIN
    },
    Attack {
        name: "trickling_bodies",
        what: "as idle_bodies, but each connection goes on with a byte every second",
        settings: BODIES,
        run: |stage| hold(stage, Some(Duration::from_secs(1))),
        seconds: (27.0, 1.0),
        grows_mib: (256 + 64, 40),
        ..Attack::PLAIN
    },
];

const BODIES: &[(&str, (&str, &str))] =
    &[("bodies_bytes_max", ("256MiB", "4MiB")), ("ndjson_bytes_max", ("8MiB", "128KiB"))];
/// So many that their bodies together exceed `bodies_bytes_max`.
const CONNECTIONS: usize = 33;
/// The bytes of each body that do not come, or come one by one.
const REST: usize = 32;
/// The time within which the broker has to give up a body that makes no progress: 15 s, and a second for the test.
const RID_OF: Duration = Duration::from_secs(16);

fn hold(stage: &mut Stage<'_>, trickle: Option<Duration>) -> io::Result<()> {
    let (listen, length) = (stage.broker.listen, stage.size.pick(8 << 20, 128 << 10));
    // As NDJSON these are blank lines, and valid.
    let body = vec![b'\n'; length - REST];
    let request: Arc<[u8]> = [http::post(listen, "/v1/publish", "x-ndjson", length).as_bytes(), &body].concat().into();
    let mut crowd = Crowd::new(true)?;
    crowd.join(listen, CONNECTIONS, Options::attacker(), &request, &stage.to_the_end())?;
    let (begin, byte) = (Instant::now(), Arc::from(*b"\n"));
    let (mut taken, mut refused, mut last_byte, mut gone) = (0, 0, Instant::now(), None);
    while !stage.is_over() {
        // Another client publishes as before.
        match publish(stage)? {
            200 => taken += 1,
            _ => refused += 1,
        }
        if trickle.is_some_and(|every| last_byte.elapsed() > every) {
            (0..crowd.len()).for_each(|member| crowd.say(member, &byte));
            last_byte = Instant::now();
        }
        if gone.is_none() && crowd.ended() == crowd.len() {
            gone = Some(begin.elapsed());
        }
        let pause = Instant::now() + Duration::from_millis(50);
        while Instant::now() < pause {
            crowd.turn(Duration::from_millis(10), |_, _| {});
        }
    }
    let left = crowd.len() - crowd.ended();
    // A trickle is no progress either: less than a KiB in 10 s.
    let is_long_enough = begin.elapsed() > RID_OF;
    stage.check(!is_long_enough || gone.is_some_and(|gone| gone < RID_OF), || {
        format!("{left} of {CONNECTIONS} bodies are still held, the last was given up after {gone:?}")
    });
    stage.check(refused == 0, || format!("{refused} of {} publishes of others were refused", taken + refused));
    stage.note(format!("{taken} publishes of others taken, {left} bodies held at the end"));
    Ok(())
}

/// Publishes as another client, from another address. Returns the status.
fn publish(stage: &Stage<'_>) -> io::Result<u16> {
    let (listen, body) = (stage.broker.listen, format!("{:?}", "ordinary ".repeat(500)));
    let head = http::post(listen, "/v1/topics/an.ordinary.topic", "json", body.len());
    let request = [head.as_bytes(), body.as_bytes()];
    let answer = http::exchange(listen, Options::default(), &request, &stage.patience())?;
    Ok(answer.status)
}
