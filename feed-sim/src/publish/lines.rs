//! Updates as NDJSON lines.

use std::io::{ErrorKind, Write};

use super::TargetGone;
use crate::schedule::Due;
use crate::summary::Summary;

/// Writes a line per update, and flushes after each batch.
pub struct Lines<W> {
    out: W,
    text: String,
}

impl<W: Write> Lines<W> {
    /// Lines to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> Self {
        Lines { out, text: String::new() }
    }

    pub(super) fn submit(&mut self, batch: &[Due], summary: &mut Summary) -> Result<(), TargetGone> {
        self.text.clear();
        for due in batch {
            due.publication.write_line(&mut self.text);
        }
        self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush()).map_err(|error| {
            // Some of the batch may have been read before the reader left.
            summary.unanswered += batch.len() as u64;
            match error.kind() {
                ErrorKind::BrokenPipe => TargetGone::ReaderLeft,
                _ => TargetGone::Output(error),
            }
        })?;
        summary.acknowledged += batch.len() as u64;
        Ok(())
    }
}
