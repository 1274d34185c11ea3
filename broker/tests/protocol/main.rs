//! The WebSocket protocol (`docs/protocol.md`) over real sockets, as a client relies on it that was written from that
//! page alone.

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod conflate;
mod continuity;
mod data;
mod epochs;
mod greeting;
mod liveness;
mod order;
mod overlap;
mod patterns;
mod positions;
mod process;
mod publish;
mod ready;
mod requests;
mod resume;
mod resume_positions;
mod shutdown;
mod slow;
mod subscribe;
mod sys;
