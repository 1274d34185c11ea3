//! WebSocket on our side of the socket (RFC 6455): the request that asks for it, and the frames that come in.
//!
//! The upgrade itself and the codes are the `fastwebsockets` crate's; the frame reader works on the shard's one read buffer
//! and holds bytes for a connection only while a frame or a message of it is incomplete.

pub mod handshake;
pub mod reader;

pub use reader::{Event, Input, Rules, Violation, next};
