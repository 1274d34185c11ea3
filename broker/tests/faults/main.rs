//! Faults that are nobody's doing: the log's reader is gone, the disk is full, there is no file or thread left, a signal
//! comes at a bad moment. Each through the program itself, as whoever supervises it sees it.

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
