//! The installed programs, and where the stores of servers are.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Where stores are, if it has room: `sync_always` then costs what it costs the server, and not this machine's disk.
const MEMORY: &str = "/dev/shm";
/// Less room than this, in KiB, and stores are in the usual temporary folder.
const MEMORY_KIB_MIN: u64 = 2 * 1024 * 1024;

/// The installed program of this version.
pub(super) fn program(version: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = root.join(".tools/nats").join(version).join("bin/nats-server");
    program.is_file().then_some(program)
}

/// A folder for stores: in memory, if that has room.
pub(super) fn folder() -> TempDir {
    let named = |builder: &mut tempfile::Builder<'_, '_>, place: Option<&str>| match place {
        Some(place) => builder.tempdir_in(place),
        None => builder.tempdir(),
    };
    let in_memory = room_kib(MEMORY).is_some_and(|room| room >= MEMORY_KIB_MIN);
    let mut builder = tempfile::Builder::new();
    builder.prefix("tickcast-nats-");
    in_memory
        .then(|| named(&mut builder, Some(MEMORY)).ok())
        .flatten()
        .unwrap_or_else(|| named(&mut builder, None).unwrap())
}

/// The free room in KiB where this folder is.
fn room_kib(folder: &str) -> Option<u64> {
    let output = Command::new("df").args(["-kP", folder]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_ascii_whitespace().nth(3)?.parse().ok()
}
