//! Files that lines are written to: plain or compressed, and never in place of an existing file by accident.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use feed_player::publish::Output;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file, compressed or not.
enum Recorded {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Recorded::Plain(file) => file.write(bytes),
            Recorded::Gzip(file) => file.write(bytes),
            Recorded::Zstd(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Recorded::Plain(file) => file.flush(),
            Recorded::Gzip(file) => file.flush(),
            Recorded::Zstd(file) => file.flush(),
        }
    }
}

impl Output for Recorded {
    fn finish(&mut self) -> io::Result<()> {
        match self {
            Recorded::Plain(file) => file.flush(),
            Recorded::Gzip(file) => file.try_finish(),
            Recorded::Zstd(file) => file.do_finish(),
        }
    }
}

/// The endings that a file's name may have.
pub const FILE_ENDINGS: &[&str] = &[".ndjson", ".ndjson.gz", ".ndjson.zst"];

/// Whether a name is that of a file that can be written.
pub fn is_file_name(name: &str) -> bool {
    FILE_ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// Creates a file, compressed according to its name. An existing file is an error unless it may be `replaced`.
pub fn create(path: &Path, replaced: bool) -> io::Result<Box<dyn Output>> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replaced {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::new(error.kind(), "it already exists (--force replaces it)"),
        _ => error,
    })?;
    Ok(Box::new(match path.extension().and_then(|extension| extension.to_str()) {
        // The header has neither name nor time: the same updates give the same bytes.
        Some("gz") => Recorded::Gzip(GzEncoder::new(file, Compression::default())),
        Some("zst") => Recorded::Zstd(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        _ => Recorded::Plain(file),
    }))
}
