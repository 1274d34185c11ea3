//! Sources: a topic remembers the last 16, each by a name of up to 64 bytes.

use std::io;

use super::listings::many;
use crate::attack::{Attack, Stage};

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "sources",
    what: "updates from 16 sources with long names for each of 60,000 topics",
    settings: &[("retain_updates", ("1", "1")), ("sources_bytes_max", ("32MiB", "2MiB"))],
    prepare: |stage| publish(stage, None),
    run: |stage| {
        for source in 0..16 {
            publish(stage, Some(source))?;
        }
        Ok(())
    },
    seconds: (8.0, 1.0),
    // The sources, the bodies of requests, and what a process needs around them.
    grows_mib: (32 + 32, 2 + 14),
    keeps_mib: (32 + 32, 2 + 14),
    ..Attack::PLAIN
}];

fn publish(stage: &Stage<'_>, source: Option<usize>) -> io::Result<()> {
    let topics = 0..stage.size.pick(60_000, 10_000);
    let source = source.map(|source| format!(r#","source":"{source:-<64}","source_seq":1"#)).unwrap_or_default();
    stage
        .publish(topics.map(|number| format!(r#"{{"topic":"{}","kind":"state","data":1{source}}}"#, many(number))))
        .map(drop)
}
