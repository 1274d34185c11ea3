//! The bytes of a recording: from a file or standard input, decompressed on the way, and counted.
//!
//! How it is compressed is told by its first bytes, not by its name: a pipe has none. Whatever it is, it is read as a
//! stream through buffers of a fixed size, so that a small file which decompresses to a terabyte costs time and no memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bzip2::bufread::MultiBzDecoder;
use feed_player::progress::Recording;
use flate2::bufread::MultiGzDecoder;

/// Decompressed bytes of a recording, and which file they come from: some formats have the name of the instrument there,
/// and a second file beside it.
pub struct Reader {
    bytes: Box<dyn BufRead + Send>,
    path: Option<PathBuf>,
}

/// What is read from the operating system at once.
const BUFFER_BYTES: usize = 128 * 1024;

impl Reader {
    /// Bytes that are not compressed and come from no file.
    pub fn new(bytes: impl BufRead + Send + 'static) -> Self {
        Reader { bytes: Box::new(bytes), path: None }
    }

    /// A file, or standard input for `-`, compressed or plain.
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

    /// Bytes that may be compressed. Captures that were stopped and continued are several members, streams or frames in one
    /// file: all of them are read.
    pub fn decompressing(mut file: impl BufRead + Send + 'static) -> io::Result<Self> {
        // A pipe gives what it has, which may be less than what is looked for.
        let mut beginning = Vec::new();
        (&mut file).take(BEGINNING_BYTES).read_to_end(&mut beginning)?;
        let compression = Compression::of(&beginning);
        let whole = Cursor::new(beginning).chain(file);
        Ok(match compression {
            Compression::Gzip => Reader::new(buffered(MultiGzDecoder::new(whole))),
            Compression::Bzip2 => Reader::new(buffered(MultiBzDecoder::new(whole))),
            // It refuses frames that ask for a window of more than 128 MiB, its own default.
            Compression::Zstd => Reader::new(buffered(zstd::Decoder::with_buffer(whole)?)),
            Compression::Plain => Reader::new(whole),
        })
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

/// As many bytes as the longest of the beginnings that [`Compression::of`] knows.
const BEGINNING_BYTES: u64 = 10;

#[derive(Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Bzip2,
    Zstd,
    Plain,
}

impl Compression {
    /// By RFC 1952 (2.3.1), RFC 8878 (3.1.1 and, for frames that a reader skips, 3.1.2), and for bzip2 the header of the
    /// file and that of its first block, or of the end where there is none: `BZh1` alone could begin a text.
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
