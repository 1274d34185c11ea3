//! The repository's files, as git lists them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the repository's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads a file's text.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every file that git knows and that still exists, by its path from the root. Other files in a checkout do not
/// count.
pub(crate) fn files() -> Vec<String> {
    let listing = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output().unwrap();
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty() && root().join(name).is_file());
    let files: Vec<String> = names.map(str::to_owned).collect();
    assert!(files.len() > 100, "git lists {} files only", files.len());
    files
}

/// Returns every Rust source file, with its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let names = files().into_iter().filter(|name| name.ends_with(".rs"));
    names.map(|name| (name.clone(), read(&name))).collect()
}

/// Returns the part of a line that is code, roughly: without a comment.
pub(crate) fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}
