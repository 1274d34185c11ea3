//! WebSocket on our side of the socket (RFC 6455): the request that asks for it, and the frames that come in.
//!
//! The upgrade itself and the codes are the `fastwebsockets` crate's, which the Rust client uses for frames as well. Here its
//! frame reader would not do: its `read_frame` cannot be cancelled, each of its connections keeps a buffer of 8 KiB, and it
//! lets frames pass that RFC 6455 forbids. The frame reader of this module works on the shard's one read buffer
//! and holds bytes for a connection only while a frame or a message of it is incomplete.

pub mod reader;

pub use reader::{Event, Input, Rules, Violation, next};
