//! Memory that a connection makes the broker hold without reading: messages that do not end, and unread answers.

use std::io;

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::link::{subscribe, text};
use crate::wire::Options;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "incomplete_messages",
        what: "4,000 connections send 60,000 bytes of a message, and not the rest",
        settings: &[("buffers_bytes_max", ("64MiB", "4MiB"))],
        run: |stage| {
            let message = text(&format!(r#"{{"op":"ping","id":"{}"}}"#, "x".repeat(64_000)));
            connect(stage, stage.size.pick(4_000, 400), &message[..60_000])
        },
        seconds: (8.0, 1.0),
        grows_mib: (64 + 64, 18),
        ..Attack::PLAIN
    },
    Attack {
        name: "unread_answers",
        what: "1,500 connections request a list of 50 long names again and again, and do not read it",
        settings: &[("buffers_bytes_max", ("64MiB", "4MiB"))],
        run: |stage| {
            let names = (0..50).map(|number| format!("none.{}.{number}", "y".repeat(200)));
            let list = text(r#"{"op":"list"}"#).repeat(100);
            connect(stage, stage.size.pick(1_500, 100), &[text(&subscribe(names, "")), list].concat())
        },
        seconds: (8.0, 1.0),
        grows_mib: (64 + 64, 18),
        ..Attack::PLAIN
    },
];

/// Opens connections that send this and read nothing.
fn connect(stage: &mut Stage<'_>, connections: usize, message: &[u8]) -> io::Result<()> {
    let (listen, patience) = (stage.broker.listen, stage.to_the_end());
    let mut crowd = Crowd::new(false)?;
    crowd.join_websockets(listen, connections, Options::receiving(4096), message, &patience)?;
    crowd.linger(&patience);
    let left = stage.broker.metrics(&stage.patience())?.get("tickcast_connections");
    stage.note(format!("{} connected, {left:.0} connections at the end", crowd.len()));
    Ok(())
}
