//! Recorded feeds, read as a stream: a recording of a whole day needs no more memory than one of a minute.
//!
//! A new format is a file under `replay/` with a [`Feed`] in it, and an entry in [`FORMATS`]. A recording comes from
//! strangers: whatever is in it, a record either becomes publications or is reported with its position.

pub mod binance;
mod clock;
mod lines;
pub mod nba;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::publication::Feed;

/// A format that can be replayed.
pub struct Format {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// What a file of it contains and what comes of it.
    pub description: &'static str,
    open: fn(Reader) -> io::Result<Box<dyn Feed>>,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format {
        name: "binance",
        summary: "Binance spot streams: trades, tickers and books",
        description: binance::DESCRIPTION,
        open: |reader| Ok(Box::new(binance::Binance::new(reader))),
    },
    Format {
        name: "nba",
        summary: "NBA play-by-play: actions and scores of a game",
        description: nba::DESCRIPTION,
        open: |reader| Ok(Box::new(nba::Nba::new(reader)?)),
    },
];

/// The format of that name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

impl Format {
    /// The feed of a file, gzip or plain.
    pub fn open(&self, path: &Path) -> io::Result<Box<dyn Feed>> {
        (self.open)(Reader::open(path)?)
    }

    /// The feed of bytes in memory, gzip or plain.
    pub fn of_bytes(&self, bytes: Vec<u8>) -> io::Result<Box<dyn Feed>> {
        self.of_stream(io::Cursor::new(bytes))
    }

    /// The feed of bytes from anywhere, gzip or plain.
    pub fn of_stream(&self, bytes: impl BufRead + Send + 'static) -> io::Result<Box<dyn Feed>> {
        (self.open)(decompressed(bytes)?)
    }
}

/// Decompressed bytes of a recording, and which file they come from: some formats have the name of the instrument there,
/// and a second file beside it.
pub struct Reader {
    bytes: Box<dyn BufRead + Send>,
    path: Option<PathBuf>,
}

impl Reader {
    /// Bytes that are not compressed and come from no file.
    pub fn new(bytes: impl BufRead + Send + 'static) -> Self {
        Reader { bytes: Box::new(bytes), path: None }
    }

    /// A file, gzip or plain.
    pub fn open(path: &Path) -> io::Result<Self> {
        let reader = decompressed(BufReader::new(File::open(path)?))?;
        Ok(Reader { path: Some(path.to_owned()), ..reader })
    }

    /// The file that is read; `None` for standard input and for memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
    }
}

/// What the first two bytes of a gzip file are.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn decompressed(mut file: impl BufRead + Send + 'static) -> io::Result<Reader> {
    if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
        // Captures that were stopped and continued are several members in one file.
        Ok(Reader::new(BufReader::new(MultiGzDecoder::new(file))))
    } else {
        Ok(Reader::new(file))
    }
}

impl Feed for Box<dyn Feed> {
    fn counts(&self) -> crate::publication::Counts {
        (**self).counts()
    }
}

/// Whether `text` can be a segment of a topic as it stands. Stricter than the broker, and enough for symbols and ids.
fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
