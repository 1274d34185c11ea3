//! `tickcast journal inspect`: what is in a journal.

mod json;
mod table;

use std::path::Path;
use std::process::ExitCode;

use broker::clock;
use broker::config::Config;
use broker_journal::local::{Checked, JournalError, Reading, Served, Survey};

use super::open;
use crate::say;

/// What was found.
struct Found<'a> {
    reading: &'a Reading,
    survey: Survey,
    checkpoints: Vec<Checked>,
    /// What a start would serve, or why it is refused.
    served: Result<Served, JournalError>,
}

pub(super) fn run(dir: &Path, config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let reading = open(dir)?;
    let served = reading.start(&config.engine_limits()).map(|start| start.served(clock::now()));
    let found = Found { reading: &reading, survey: reading.survey(), checkpoints: reading.checkpoints()?, served };
    let text = if as_json { json::text(&found) } else { table::text(&found) };
    Ok(say::output("tickcast journal inspect", &text))
}
