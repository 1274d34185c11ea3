//! PROTOCOL §2 to §5 over real sockets: what a client that was written from that page alone relies on.

#[path = "../common/mod.rs"]
mod common;

mod conflate;
mod continuity;
mod data;
mod epochs;
mod going_on;
mod greeting;
mod liveness;
mod order;
mod overlap;
mod patterns;
mod places;
mod positions;
mod process;
mod publish;
mod ready;
mod requests;
mod resume;
mod shutdown;
mod slow;
mod subscribe;
mod sys;
