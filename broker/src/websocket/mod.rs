//! The server's side of a WebSocket (RFC 6455): the frames that clients send.
//!
//! The upgrade itself and the codes are the `fastwebsockets` crate's, which the Rust client uses for frames as well.
//! Its frame reader is not suitable here: its `read_frame` cannot be cancelled, each of its connections keeps a buffer
//! of 8 KiB, and it accepts frames that RFC 6455 forbids. The frame reader of this module works on the shard's one read
//! buffer, and holds bytes for a connection only while one of its frames or messages is incomplete.

pub mod reader;

pub use reader::{Event, Input, Rules, Violation, is_long, next};
