//! The latency benchmark and delivery verifier for WebSocket fan-out servers.
#![allow(dead_code, unused_imports)]
mod cli;
mod clock;
mod command;
mod compare;
mod floor;
mod measure;
mod payload;
mod plan;
mod poll;
mod protocol;
mod report;
mod run;
mod scenario;
mod stream;
mod wire;

pub use cli::Cli;
pub use command::execute;
