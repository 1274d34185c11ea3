//! The bytes of a recording: from a file or standard input, decompressed on the way, and counted.
//!
//! The first bytes tell the compression, not the name: a pipe has no name. Everything is read as a stream through
//! buffers of a fixed size, so a small file that decompresses to a terabyte costs time but no memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bzip2::bufread::MultiBzDecoder;
use feed_player::progress::Recording;
use flate2::bufread::MultiGzDecoder;

/// The decompressed bytes of a recording, and the file they come from: for some formats the instrument is in the file's
/// name, and a second file is beside it.
pub struct Reader {
    bytes: Box<dyn BufRead + Send>,
    path: Option<PathBuf>,
}

/// How many bytes are read from the operating system at once.
const BUFFER_BYTES: usize = 128 * 1024;

impl Reader {
    /// Reads bytes that are not compressed and are not from a file.
    pub fn new(bytes: impl BufRead + Send + 'static) -> Self {
        Reader { bytes: Box::new(bytes), path: None }
    }

    /// Opens a file, or standard input for `-`, compressed or plain.
    pub fn open(path: &Path, progress: &Arc<Recording>) -> io::Result<Self> {
        progress.begin();
        if path == Path::new("-") {
            return Reader::decompressing(counted(io::stdin(), progress));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            progress.set_whole_bytes(metadata.len());
        }
        Ok(Reader { path: Some(path.to_owned()), ..Reader::decompressing(counted(file, progress))? })
    }

    /// Reads bytes that may be compressed. A capture that was stopped and continued is several members, streams or
    /// frames in one file: all of them are read.
    pub fn decompressing(mut file: impl BufRead + Send + 'static) -> io::Result<Self> {
        // A read from a pipe may return less than is needed here.
        let mut beginning = Vec::new();
        (&mut file).take(BEGINNING_BYTES).read_to_end(&mut beginning)?;
        let compression = Compression::of(&beginning);
        let whole = Cursor::new(beginning).chain(file);
        Ok(match compression {
            Compression::Gzip => Reader::new(buffered(MultiGzDecoder::new(whole))),
            Compression::Bzip2 => Reader::new(buffered(MultiBzDecoder::new(whole))),
            // Frames that need a window of more than 128 MiB, the library's default, are refused.
            Compression::Zstd => Reader::new(buffered(zstd::Decoder::with_buffer(whole)?)),
            Compression::Plain => Reader::new(whole),
        })
    }

    /// Returns the file that is read; `None` for standard input and for memory.
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

/// The length in bytes of the longest beginning that [`Compression::of`] recognises.
const BEGINNING_BYTES: u64 = 10;

#[derive(Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Bzip2,
    Zstd,
    Plain,
}

impl Compression {
    /// Recognises the compression by RFC 1952 (2.3.1), by RFC 8878 (3.1.1 and, for skippable frames, 3.1.2), and for
    /// bzip2 by the header of the file and that of its first block, or of the end if it has no block: `BZh1` alone
    /// could begin a text.
    fn of(beginning: &[u8]) -> Compression {
        match beginning {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90] => Compression::Bzip2,
            _ => Compression::Plain,
        }
    }
}

fn buffered<R: Read>(inner: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, inner)
}

fn counted<R: Read>(inner: R, progress: &Arc<Recording>) -> BufReader<Counted<R>> {
    buffered(Counted { inner, progress: progress.clone() })
}

struct Counted<R> {
    inner: R,
    progress: Arc<Recording>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.add_read_bytes(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_begin_like_a_compressed_file() {
        for text in ["", "B", "BZh1", "BZh91AY&S", "BZh9;AAPL;1;2", "(\u{b5}/", "{\"a\":1}\n", "1,2\n"] {
            assert_eq!(Compression::of(text.as_bytes()), Compression::Plain, "{text}");
            let mut read = Vec::new();
            let mut reader = Reader::decompressing(Cursor::new(text)).expect("readable");
            reader.read_to_end(&mut read).expect("readable");
            assert_eq!(read, text.as_bytes());
        }
    }
}
