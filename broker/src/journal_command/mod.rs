//! `tickcast journal`: what an operator does with the journal of a broker that does not run. All but `restore` leave its
//! directory as it is.
//!
//! ```text
//! inspect   what is in it, as a table or as JSON
//! verify    reads all of it; what is damaged, and what a start would do
//! backup    one file with what a start would serve
//! restore   a journal, with a new generation, from such a file
//! export    what was published, as lines of JSON
//! settings  those of the log beside those of the configuration
//! ```

mod backup;
mod export;
mod inspect;
mod moment;
mod outlook;
mod restore;
mod settings;
mod verify;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use broker::cli::{Cli, JournalTask};
use broker::clock;
use broker::config::Config;
use broker_journal::local::Reading;

use crate::say;

/// Does what the command line says.
pub(crate) fn run(cli: &Cli, config: &Config) -> ExitCode {
    let Some(task) = &cli.journal else { return ExitCode::from(2) };
    if let Some(done) = in_nats(task, config) {
        return exit_code(done);
    }
    let done = match (task, config.journal_dir.as_deref()) {
        (JournalTask::Verify { backup: Some(file) }, _) => verify::backup(file),
        (_, None) => {
            say::complaint(
                "journal_dir is not set: name the journal's directory (--journal-dir, TICKCAST_JOURNAL_DIR, or journal_dir \
                 in the file of --config)",
            );
            return ExitCode::from(2);
        }
        (JournalTask::Inspect { json }, Some(dir)) => inspect::run(dir, config, *json),
        (JournalTask::Verify { backup: None }, Some(dir)) => verify::run(dir, config),
        (JournalTask::Backup { file }, Some(dir)) => backup::run(dir, config, file),
        (JournalTask::Restore { file }, Some(dir)) => restore::run(dir, file),
        (JournalTask::Export { topics, from }, Some(dir)) => export::run(dir, config, topics, *from),
        (JournalTask::Settings { .. }, Some(dir)) => settings::run(dir, config),
    };
    exit_code(done)
}

fn exit_code(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        say::complaint(&chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

/// Does what can be done with a journal in NATS, if the configuration has one.
fn in_nats(task: &JournalTask, config: &Config) -> Option<anyhow::Result<ExitCode>> {
    let nats = config.nats_journal()?;
    match task {
        #[cfg(feature = "nats")]
        JournalTask::Settings { apply } => Some(settings::in_nats(&nats, config, *apply)),
        JournalTask::Verify { backup: Some(_) } | JournalTask::Restore { .. } => None,
        _ => Some(Err(anyhow::anyhow!(
            "the journal of {} is in NATS (journal = nats): its own tools look at it and copy it, such as `nats stream \
             backup`",
            nats.name
        ))),
    }
}

/// Opens the journal in a directory to read it.
fn open(dir: &Path) -> anyhow::Result<Reading> {
    if !dir.exists() {
        bail!("there is no directory {} (journal_dir)", dir.display());
    }
    Ok(Reading::open(dir, clock::now)?)
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors say their cause themselves.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
