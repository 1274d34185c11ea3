//! The latency benchmark and delivery verifier for WebSocket fan-out servers.
//!
//! ```text
//! cli, command     the command line, and its commands
//! access           tokens and certificates
//! scenario, plan   what a run does; which subscriber follows which topics
//! run              one run: subscribers, publishers, and the verification of what arrives
//!   protocol       the protocols of servers
//!   payload        the content of an update, with everything needed to verify its arrival
//!   stream         one topic of one subscriber: is it whole?
//!   measure        schedules, histograms, counts, the resources of processes
//! report           reports of a run
//! tokens           signed tokens for tests
//! floor, compare   the physical limit; several servers in turns
//! ```
//!
//! It depends on no server: it knows Tickcast only by the protocol's document. Nothing is allocated per delivery, there
//! is no task per connection, and latency counts from when an update was due.

mod access;
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
mod say;
mod scenario;
mod stream;
mod tokens;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the program. The exit code is 1 if a verified stream was not whole or a run was cut short, and 2 if something
/// could not be done at all.
pub fn main() -> ExitCode {
    match command::execute(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            say::aside(&format!("loadgen: {error:#}"));
            ExitCode::from(2)
        }
    }
}
