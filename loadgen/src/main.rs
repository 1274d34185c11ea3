//! The `loadgen` program.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match loadgen::execute(loadgen::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("loadgen: {error:#}");
            ExitCode::from(2)
        }
    }
}
