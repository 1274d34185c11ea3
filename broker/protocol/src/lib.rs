//! The Tickcast wire protocol, version 1: what may appear on the wire, and how it is read and written.
//!
//! This crate does no I/O, reads no clock and is not async; it turns text into [`request::Request`]s and answers into
//! bytes. It never decides what a request *does*: that is the engine's task.
//!
//! The life of one message from a client: the connection hands a complete text message to [`request::parse`], which
//! scans it once ([`json`], our own RFC 8259 scanner) and returns a `Request` whose strings and `data` still point into
//! the message. Names are checked by [`topic`] and [`pattern`]. Any error is a [`request::Refusal`] with an
//! [`codes::ErrorCode`], and is returned with the request's `id` if there was a valid one.
//!
//! The life of one message to a client: an encoder of [`message`] appends the JSON payload to a buffer, and
//! [`frame`] puts the WebSocket head before it. Frames from server to client are not masked, so that the bytes are
//! made once and shared by all subscribers.
//!
//! | module | what |
//! |---|---|
//! | [`topic`], [`pattern`] | names: what is allowed, what a pattern matches, which of two patterns is more specific |
//! | [`permissions`] | what a client may do, as patterns |
//! | [`kind`] | `event`, `state`, `patch` |
//! | [`data`] | `data`, carried byte for byte: a checked span of its message |
//! | [`request`] | messages from clients |
//! | [`message`] | messages to clients |
//! | [`frame`] | WebSocket heads, their size classes, and a finished frame to share |
//! | [`codes`] | the one catalogue of error codes and close reasons |
//! | [`json`], [`walk`], [`mod@write`] | scanning untrusted text, walking checked text, writing |

pub mod codes;
pub mod data;
pub mod frame;
pub mod json;
pub mod kind;
pub mod message;
pub mod pattern;
pub mod permissions;
mod quote;
pub mod request;
pub mod topic;
pub mod walk;
pub mod write;

pub use codes::{CloseReason, ErrorCode};
pub use data::{Data, DataError};
pub use frame::Frame;
pub use kind::Kind;
pub use pattern::{Pattern, Segment, Specificity};
pub use permissions::Permissions;
pub use request::{OnSlow, Publication, Refusal, Request};
pub use topic::NameError;
