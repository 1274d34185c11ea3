//! `tickcast journal backup`: one file with everything that a start would serve.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use broker::config::Config;

use super::open;
use super::outlook::{begins_generation, counted};
use crate::say;

pub(super) fn run(dir: &Path, config: &Config, file: &Path) -> anyhow::Result<ExitCode> {
    if file == Path::new("-") {
        say::complaint("a backup is read again after it is written, so it needs a file: name one instead of -");
        return Ok(ExitCode::from(2));
    }
    if file.symlink_metadata().is_ok() {
        bail!("{} exists already: a backup never overwrites a file, name another one", file.display());
    }
    let reading = open(dir)?;
    let start = reading.start(&config.engine_limits())?;
    let has = reading.backup(&start, file).context("the backup could not be made")?;
    if begins_generation(reading.found().store().last_end()) {
        say::complaint(
            "warning: the last run ended in a way that the newest updates may be missing; `tickcast journal inspect` tells more",
        );
    }
    let text = format!(
        "{} has {} with {}, {} bytes. It was read again and is whole.\n",
        file.display(),
        counted(has.topics, "topic"),
        counted(has.updates, "retained update"),
        has.bytes
    );
    Ok(say::output("tickcast journal backup", &text))
}
