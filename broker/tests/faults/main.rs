//! Faults of the environment: the log's reader is gone, the disk is full, no file or thread is left, a signal comes at
//! a bad moment. Each is tested on the program itself, as its supervisor sees it.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with the tests of events")]
#[path = "../sse/source.rs"]
mod source;

mod clock;
mod descriptors;
mod log;
mod peers;
mod signals;
mod start;
