//! What the servers of a comparison need before they start.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::file::File;

/// A folder that is removed when this is dropped. It may contain keys, so nobody else may read it.
pub(crate) struct Prepared {
    folder: PathBuf,
}

impl Prepared {
    /// Makes the folder, fills it in, and runs the file's command for it.
    pub(crate) fn new(file: &mut File) -> anyhow::Result<Self> {
        let name = format!("loadgen-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("the folder {}", folder.display()))?;
        let prepared = Self { folder };
        file.fill(&prepared.folder);
        prepare(file)?;
        Ok(prepared)
    }
}

fn prepare(file: &File) -> anyhow::Result<()> {
    let Some((program, arguments)) = file.prepare.split_first() else { return Ok(()) };
    let mut command = Command::new(if program.contains('/') { file.folder.join(program) } else { program.into() });
    // It may need this program, for instance to make tokens.
    command.env("LOADGEN", std::env::current_exe().context("this program's own file")?);
    let output = command.args(arguments).current_dir(&file.folder).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("prepare: {program:?} could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("prepare: {program:?} failed ({}): {}", output.status, said.trim());
    }
    Ok(())
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Nothing can be done about a folder that cannot be removed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
