//! Updates as NDJSON lines.

use std::io::{self, ErrorKind, Write};

use super::TargetGone;
use crate::schedule::Due;
use crate::summary::Summary;

/// A file is written in pieces of this many bytes, each up to the end of a line. What a full disk cuts off is then
/// known to this precision; each piece of a compressed file can be read even if the next one is missing.
const PIECE_BYTES: usize = 1 << 20;

/// The output of lines, with an explicit end: a compressed file is incomplete without it.
pub trait Output: Write + Send {
    /// Writes the remaining bytes, and the end.
    fn finish(&mut self) -> io::Result<()>;
}

impl Output for Box<dyn Write + Send> {
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// Writes a line per update.
pub struct Lines {
    name: String,
    out: Box<dyn Output>,
    /// Whether lines carry the feed's own time and are collected until there are enough for a piece.
    is_file: bool,
    text: String,
    /// Updates in `text`.
    waiting: u64,
}

impl Lines {
    /// Writes lines as `POST /v1/publish` takes them to `out`, which needs no buffer of its own: it is flushed after
    /// each batch.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Lines { name: "stdout".to_owned(), out: Box::new(out), is_file: false, text: String::new(), waiting: 0 }
    }

    /// Writes a recording: lines with `due_us`, to a file of this name.
    pub fn recording(name: String, out: Box<dyn Output>) -> Self {
        Lines { name, out, is_file: true, text: String::new(), waiting: 0 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn submit(&mut self, batch: &[Due], summary: &mut Summary) -> Result<(), TargetGone> {
        for (index, due) in batch.iter().enumerate() {
            if self.is_file {
                due.publication.write_timed_line(due.due_us, &mut self.text);
            } else {
                due.publication.write_line(&mut self.text);
            }
            self.waiting += 1;
            if self.text.len() >= PIECE_BYTES {
                self.write(summary).inspect_err(|_| summary.unanswered += (batch.len() - index - 1) as u64)?;
            }
        }
        if self.is_file { Ok(()) } else { self.write(summary) }
    }

    /// Writes the remaining lines, and the end of the file.
    pub(super) fn finish(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        self.write(summary)?;
        self.out.finish().map_err(gone)
    }

    fn write(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        let (updates, written) =
            (self.waiting, self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush()));
        self.text.clear();
        self.waiting = 0;
        match written {
            Ok(()) => {
                summary.acknowledged += updates;
                Ok(())
            }
            Err(error) => {
                // Some of it may have been written, or read before the reader left.
                summary.unanswered += updates;
                Err(gone(error))
            }
        }
    }
}

fn gone(error: io::Error) -> TargetGone {
    match error.kind() {
        ErrorKind::BrokenPipe => TargetGone::ReaderLeft,
        _ => TargetGone::Output(error),
    }
}
