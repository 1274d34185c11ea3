//! HTTP on both listeners (`docs/protocol.md`), except for the WebSocket endpoint, which the caller supplies.
//!
//! The life of a request: may its sender connect ([`crate::access`], 403); which `route` is it (404), and does that
//! take the method (405); are its parameters known (`query`, 400); has its body an accepted type (415), and is it small
//! enough (`body`, 413, checked while it is read); then one call into the engine, and a `reply`, whose errors are JSON.
//!
//! Nothing here decides what a publish or a topic is: the engine does. Every request runs on the one thread that serves
//! HTTP, so long work is done in portions, each in a turn ([`crate::work`]).

mod admin;
mod answer;
mod awaiting;
mod body;
mod budget;
mod client;
pub mod handshake;
mod history;
mod lines;
mod listing;
mod peer;
mod percent;
mod publish;
mod query;
mod quota;
mod rejected;
mod reply;
mod route;
pub(crate) mod sockets;
mod sse;
mod topics;
mod web;

pub use admin::{BusyShards, Observe, handle as handle_admin};
pub use answer::{AnswerBody, GivenUp};
pub use budget::BodyBudget;
pub use client::{Context, handle};
pub use peer::{Author, Peer};
pub use reply::{Reply, error, error_bytes, error_bytes_with_status, error_with_status, event_stream, head_bytes};
