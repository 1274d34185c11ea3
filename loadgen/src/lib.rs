//! The latency benchmark and delivery verifier for WebSocket fan-out servers.
//!
//! ```text
//! cli, command     what was asked for, and who does it
//! scenario, plan   what a run does; who follows what
//! run              one run: subscribers, publishers, the judging of what arrives
//!   protocol       how servers are spoken to
//!   payload        what is published, with all that is needed to judge its arrival
//!   stream         one topic of one subscriber: is it whole?
//!   measure        schedules, histograms, counts, what processes use
//! report           what is said about a run
//! floor, compare   the physical limit; several servers in turns
//! ```
//!
//! It depends on no server: what it knows of Tickcast is what the protocol's document says. Nothing is allocated per
//! delivery, there is no task per connection, and latency counts from the moment at which an update was due.

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

use std::process::ExitCode;

use clap::Parser as _;

/// The program: does what the command line says. The code to exit with is 1 where a verified stream was not whole or a run
/// was cut short, 2 where something could not be done at all.
pub fn main() -> ExitCode {
    match command::execute(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            say::aside(&format!("loadgen: {error:#}"));
            ExitCode::from(2)
        }
    }
}
