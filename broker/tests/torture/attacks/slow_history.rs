//! Large answers over HTTP to clients that read them in small pieces.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::http;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "slow_http_history",
        what: "4 clients with small receive buffers read a history of 60 MB over HTTP",
        settings: &[("retain_bytes", ("64MiB", "8MiB"))],
        prepare: |stage| history(stage, stage.size.pick(1000, 100)),
        run: |stage| read(stage, 4, "/v1/topics/hist.big/history?last=1000", true),
        grows_mib: (128, 64),
        keeps_mib: (64, 48),
        ..Attack::PLAIN
    },
    Attack {
        name: "unread_histories",
        what: "64 clients request a history of 1 MB, the default bound, over and over, and do not read",
        prepare: |stage| history(stage, 16),
        run: |stage| read(stage, 64, "/v1/topics/hist.big/history?last=1000", false),
        grows_mib: (128, 128),
        keeps_mib: (64, 64),
        ..Attack::PLAIN
    },
];

fn history(stage: &Stage<'_>, updates: usize) -> io::Result<()> {
    let data = "x".repeat(60_000);
    stage.publish((0..updates).map(|_| format!(r#"{{"topic":"hist.big","kind":"event","data":"{data}"}}"#))).map(drop)
}

fn read(stage: &mut Stage<'_>, connections: usize, path: &str, reads: bool) -> io::Result<()> {
    let request: Arc<[u8]> = http::get(stage.broker.listen, path).repeat(4).into_bytes().into();
    let (mut crowd, patience) = (Crowd::new(reads)?, stage.to_the_end());
    crowd.join(stage.broker.listen, connections, Options::receiving(4096), &request, &patience)?;
    let mut taken = 0;
    while !stage.is_over() {
        crowd.turn(Duration::from_millis(10), |_, bytes| taken += bytes.len());
        // A pause, in which the broker can write the next piece.
        crate::patience::pass(Duration::from_micros(500));
    }
    stage.note(format!("{:.0} MB read", taken as f64 / 1e6));
    Ok(())
}
