//! Readers on a slow line. They read all the time, so they are not stalled.

use std::io::{self, ErrorKind, Read as _};
use std::time::Duration;

use crate::attack::{Attack, Stage};
use crate::link::{subscribe, text};
use crate::patience::pass;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "slow_readers",
    what: "20 clients read as slowly as 2,000 bytes a second with a `stall_ms` of a minute, here both 10 times as fast",
    // A tenth of the default, so that 20,000 bytes a second is like 2,000 with the default.
    settings: &[("stall_ms", ("6000", "2000"))],
    run: read_slowly,
    seconds: (16.0, 5.0),
    ..Attack::PLAIN
}];

const READERS: usize = 20;
/// The interval between two reads.
const EVERY: Duration = Duration::from_millis(50);

fn read_slowly(stage: &mut Stage<'_>) -> io::Result<()> {
    let (mut publisher, patience) = (stage.link()?, stage.patience());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut link = crate::link::Link::connect(stage.broker.listen, Options::attacker(), &patience)?;
        link.ask(&subscribe(["busy.topic"], ""), "subscribed", &patience)?;
        readers.push(link.wire.into_stream()?);
    }
    // More than the kernel's buffers hold: then the readers decide the pace.
    let update =
        text(&format!(r#"{{"op":"publish","topic":"busy.topic","kind":"event","data":"{}"}}"#, "x".repeat(4_000)));
    let per_turn = stage.size.pick(1_000, 3_000);
    let (mut closed, mut taken, mut turns) = (0, 0, 0);
    while !stage.is_over() {
        let updates = if turns < 40 { 50 } else { 2 };
        for _ in 0..updates {
            publisher.wire.send(&update, &patience)?;
        }
        let mut buffer = vec![0; per_turn];
        readers.retain_mut(|reader| match reader.read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                taken += read;
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        });
        closed = READERS - readers.len();
        turns += 1;
        pass(EVERY);
    }
    stage.note(format!(
        "{:.0} bytes a second and reader",
        taken as f64 / READERS as f64 / (turns as f64 * EVERY.as_secs_f64())
    ));
    stage.check(closed == 0, || format!("{closed} of {READERS} readers were closed, though they read all the time"));
    Ok(())
}
