//! Streams of Server-Sent Events at rest: no buffer may remain after something was sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::http;
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "resting_streams",
    what: "4,000 streams of Server-Sent Events get 7 KB each, one after the other, and then nothing",
    run: rest,
    seconds: (8.0, 2.0),
    // A few KiB for each stream, and none of the data.
    grows_mib: (24, 6),
    ..Attack::PLAIN
}];

fn rest(stage: &mut Stage<'_>) -> io::Result<()> {
    let (listen, patience, streams) = (stage.broker.listen, stage.to_the_end(), stage.size.pick(4_000, 1_000));
    let data = "x".repeat(7_000);
    stage.publish([format!(r#"{{"topic":"shown.once","kind":"state","data":"{data}"}}"#)].into_iter())?;
    let request: Arc<[u8]> = http::get(listen, "/v1/sse?topic=shown.once").into_bytes().into();
    let mut crowd = Crowd::new(true)?;
    while crowd.len() < streams && !stage.is_over() {
        crowd.join(listen, 100, Options::attacker(), &request, &patience)?;
        crowd.turn(Duration::from_millis(5), |_, _| {});
    }
    let (mut read, wanted) = (0, streams * data.len());
    while read < wanted / 2 && !stage.is_over() {
        crowd.turn(Duration::from_millis(10), |_, bytes| read += bytes.len());
    }
    crowd.linger(&patience);
    let metrics = stage.broker.metrics(&stage.patience())?;
    stage.note(format!("{:.0} streams at rest", metrics.get("tickcast_sse_connections")));
    Ok(())
}
