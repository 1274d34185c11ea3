//! The commands.

mod compare;
mod run;
mod sweep;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::floor;
use crate::scenario::SHIPPED;
use crate::{say, tokens};

/// Executes the command. The exit code is 1 if a verified stream was not whole, or a run was cut short.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(run) => run::run(&run),
        Command::Sweep(sweep) => sweep::sweep(&sweep),
        Command::Compare(compare) => compare::compare(&compare),
        Command::Floor { listen, frames_per_write } => {
            floor::serve(listen, frames_per_write, |address| {
                // It serves even if the reader of the address is gone.
                let _ = say::output(&format!("listening at ws://{address}\n"));
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Tokens(tokens) => {
            say::output(&tokens::make(&tokens)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Scenarios { name } => scenarios(name.as_deref()),
    }
}

fn scenarios(name: Option<&str>) -> anyhow::Result<ExitCode> {
    match name {
        Some(name) => {
            let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
            let (_, text) = shipped.ok_or_else(|| {
                anyhow::anyhow!("there is no shipped scenario {name:?} (`loadgen scenarios` lists them)")
            })?;
            say::output(text)?;
        }
        None => {
            let mut list = String::new();
            for (name, text) in SHIPPED {
                list.push_str(&format!("{name:22} {}\n", crate::scenario::Scenario::parse(text)?.about));
            }
            say::output(&list)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
