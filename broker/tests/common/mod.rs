//! A broker on free ports in this process, and clients that send exactly the bytes that a test gives them.
//!
//! Nothing here sleeps for a fixed time: clients wait for what has to come, gauges are polled until they have the right
//! value, and after [`PATIENCE`] a test fails and says what it waited for.
#![allow(dead_code, unused_imports, reason = "shared by several test crates, each of which uses a part")]

mod broker;
mod client;
pub(crate) mod frames;
mod http;
mod message;
pub(crate) mod nats;
mod panics;
mod process;

use std::io::Write as _;
use std::time::{Duration, Instant};

pub(crate) use broker::{Running, with_journal};
pub(crate) use client::{Client, End, HANDSHAKE, Hands};
pub(crate) use frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, masked, take};
pub(crate) use http::{Answer, ask, exchange};
pub(crate) use message::Message;
pub(crate) use process::{PROGRAM, Process, command, command_with_files, ends, free_address};

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Does something at the end of its scope, also if a test fails before: for instance, it releases other threads.
pub(crate) struct Finally<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Reports that this test did not run, and why: at once, and in the summary of `make test`.
pub(crate) fn not_run(why: &str) {
    let line = format!("not run: {}: {why}\n", std::thread::current().name().unwrap_or("a test"));
    // Not `eprintln!`: the test harness would capture that.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(summary) = std::env::var_os("NOT_RUN") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&summary);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("{}: {error}", summary.display()));
    }
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}
