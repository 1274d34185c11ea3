//! A directory of this process alone, for checkpoints on their way. A process that is killed leaves its own behind, and the
//! next one removes it: nobody else may hold the lock in it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// How the names of all of them begin.
const PREFIX: &str = "tickcast-journal-";
/// How often one is made until it stays.
const TRIES: u32 = 5;
/// The file in each that its process has locked.
const LOCK: &str = "lock";

/// The directory. Dropped, it is removed with everything in it.
pub(crate) struct Scratch {
    path: PathBuf,
    /// Held as long as the directory is in use; the system frees it when the process ends, however it does.
    _lock: File,
}

impl Scratch {
    /// Makes one where the system keeps temporary files (`TMPDIR`), and removes what processes have left that were killed.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn make() -> io::Result<Self> {
        Self::make_in(&std::env::temp_dir())
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let name = format!("{PREFIX}{}-{:016x}", std::process::id(), rand::random::<u64>());
            let path = parent.join(name);
            DirBuilder::new().mode(0o700).create(&path)?;
            let file = File::create_new(path.join(LOCK))?;
            file.lock()?;
            // One that starts at the same moment may have had the lock before, and taken the directory for one that was left.
            if path.join(LOCK).exists() {
                if let Err(error) = remove_leftovers(parent, &path) {
                    tracing::warn!(%error, "it cannot be looked in {} for what killed brokers have left", parent.display());
                }
                return Ok(Self { path, _lock: file });
            }
        }
        Err(io::Error::other("others have removed it each time"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Removes the directories of processes that have ended. Everybody may write where temporary files are: only what is a
/// directory, and belongs to this user, is looked at.
fn remove_leftovers(parent: &Path, own: &Path) -> io::Result<()> {
    let user = fs::metadata(own)?.uid();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || path == own {
            continue;
        }
        // Not that of what a link leads to.
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.uid() == user);
        // Held until it is removed: so its process, if it is just being made, notices.
        if is_ours && let Some(_lock) = left(&path) {
            tracing::info!("removing {}, which a broker that was killed has left", path.display());
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(%error, "{} could not be removed", path.display());
            }
        }
    }
    Ok(())
}

/// The lock of one that nobody has. One that has no file for it yet is being made at this moment.
fn left(path: &Path) -> Option<File> {
    let file = File::open(path.join(LOCK)).ok()?;
    file.try_lock().is_ok().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    #[test]
    fn what_a_process_has_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        let running = Scratch::make_in(parent).unwrap();
        fs::write(running.path().join("a"), "1").unwrap();
        // Of a process that was killed: its lock is free.
        let left = parent.join(format!("{PREFIX}1-0"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("a.checkpoint"), "1").unwrap();
        // Of one that is starting, a link, and something else.
        fs::create_dir(parent.join(format!("{PREFIX}2-0"))).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(LOCK), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), parent.join(format!("{PREFIX}3-0"))).unwrap();
        fs::create_dir(parent.join("other")).unwrap();
        assert_eq!(count(parent), 5);

        let other = Scratch::make_in(parent).unwrap();
        assert!(!left.exists() && running.path().join("a").exists() && elsewhere.path().join(LOCK).exists());
        assert_eq!(count(parent), 5);
        drop((running, other));
        assert_eq!(count(parent), 3);
    }
}
