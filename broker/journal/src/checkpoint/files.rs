//! The files of a directory that are checkpoints.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of a checkpoint begins with; its position follows.
const PREFIX: &str = "checkpoint.";
const POSITION_DIGITS: usize = 20;

/// The checkpoint that is being written.
pub(super) fn temporary(dir: &Path) -> PathBuf {
    dir.join("checkpoint.new")
}

/// The complete checkpoint of this position.
pub fn complete(dir: &Path, position: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{position:0POSITION_DIGITS$}"))
}

/// Lists the checkpoints in a directory, the newest first, each with its position: complete files, by their names. Whether
/// one is valid, [`super::verify`] says.
///
/// # Errors
/// The directory cannot be read.
pub fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let digits = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        let digits = digits.filter(|digits| digits.len() == POSITION_DIGITS);
        let is_number = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(position) = digits.filter(is_number).and_then(|digits| digits.parse().ok()) {
            found.push((position, path));
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Removes what a checkpoint that was not completed left in a directory.
///
/// # Errors
/// The system refuses.
pub fn remove_leftovers(dir: &Path) -> io::Result<()> {
    match fs::remove_file(temporary(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
