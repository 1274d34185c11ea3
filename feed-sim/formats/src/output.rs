//! Files that lines are written to: plain or compressed, and never over another one by accident.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes with an end of their own: a compressed file is whole only with it.
pub(super) trait Output: Write + Send {
    /// Writes what is left, and the end.
    fn finish(&mut self) -> io::Result<()>;
}

impl Output for Box<dyn Write + Send> {
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Output for File {
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Output for GzEncoder<File> {
    fn finish(&mut self) -> io::Result<()> {
        self.try_finish()
    }
}

impl Output for zstd::Encoder<'static, File> {
    fn finish(&mut self) -> io::Result<()> {
        self.do_finish()
    }
}

/// What a file's name may end in.
pub const FILE_ENDINGS: &[&str] = &[".ndjson", ".ndjson.gz", ".ndjson.zst"];

/// Whether a name is one of a file that we can write.
pub fn is_file_name(name: &str) -> bool {
    FILE_ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// Makes the file, compressed as its name says. One that is there already is an error, unless it may be `replaced`.
pub(super) fn create(path: &Path, replaced: bool) -> io::Result<Box<dyn Output>> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replaced {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::new(error.kind(), "it exists already (--force replaces it)"),
        _ => error,
    })?;
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        // Neither name nor time go into the head: the same updates are the same bytes.
        Some("gz") => Box::new(GzEncoder::new(file, Compression::default())),
        Some("zst") => Box::new(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        _ => Box::new(file),
    })
}
