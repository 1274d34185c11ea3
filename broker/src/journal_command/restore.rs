//! `tickcast journal restore`: a journal of a backup.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use broker::clock;
use broker_journal::local::restore;

use super::moment;
use super::outlook::counted;
use crate::say;

pub(super) fn run(dir: &Path, file: &Path) -> anyhow::Result<ExitCode> {
    let restored = restore(file, dir, clock::now).context("the backup could not be restored")?;
    let has = &restored.backup;
    let text = format!(
        "{} has {} with {}, as of {}.\nIt begins a new generation: clients have seen updates that may not be in it, and are told \
         to begin anew (reset).\nThe directory has to belong to the broker's user.\n",
        dir.display(),
        counted(has.topics, "topic"),
        counted(has.updates, "retained update"),
        moment::text(has.head.saved_us)
    );
    Ok(say::output("tickcast journal restore", &text))
}
