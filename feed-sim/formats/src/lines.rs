//! Lines of a recording, numbered and bounded.

use std::io::{self, BufRead, Read};

use super::Reader;
use feed_player::publication::BadRecord;

/// The longest line that is kept in memory, in bytes. The largest message of any known venue is below a tenth of it.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The lines of a recording.
pub(super) struct Lines {
    reader: Reader,
    line: Vec<u8>,
    number: u64,
    over: bool,
}

impl Lines {
    pub(super) fn new(reader: Reader) -> Self {
        Lines { reader, line: Vec::new(), number: 0, over: false }
    }

    /// Returns the next line that is not blank, without its end; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<&mut Vec<u8>, BadRecord>> {
        loop {
            if self.over {
                return None;
            }
            self.number += 1;
            self.line.clear();
            let read = (&mut self.reader).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.line);
            match read {
                Ok(0) => {
                    self.over = true;
                    return None;
                }
                Ok(_) if self.line.len() as u64 > LINE_BYTES_MAX => {
                    let skipped = skip_line(&mut self.reader);
                    return Some(Err(match skipped {
                        Ok(()) => self.bad(format!("the line is longer than {LINE_BYTES_MAX} bytes")),
                        Err(error) => self.cut(&error),
                    }));
                }
                Ok(_) => {
                    let end = self.line.trim_ascii_end().len();
                    self.line.truncate(end);
                    if end > 0 {
                        // Not returned from the match: the borrow would extend into the other arms.
                        break;
                    }
                }
                Err(error) => return Some(Err(self.cut(&error))),
            }
        }
        Some(Ok(&mut self.line))
    }

    /// Returns the number of the line that was read last; the first is 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Makes a report about the line that was read last.
    pub(super) fn bad(&self, reason: String) -> BadRecord {
        BadRecord { position: format!("line {}", self.number), reason, ends_recording: false }
    }

    fn cut(&mut self, error: &io::Error) -> BadRecord {
        self.over = true;
        let reason = format!("the recording cannot be read from here on: {error}");
        BadRecord { ends_recording: true, ..self.bad(reason) }
    }
}

/// Reads to the end of the line without keeping it.
fn skip_line(reader: &mut Reader) -> io::Result<()> {
    loop {
        let bytes = reader.fill_buf()?;
        let (taken, found) = match bytes.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        reader.consume(taken);
        if found {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        let long = vec![b'x'; LINE_BYTES_MAX as usize + 70_000];
        let bytes = [b"one\n\n".as_slice(), &long, b"\r\nthree"].concat();
        let mut lines = Lines::new(Reader::new(io::Cursor::new(bytes)));
        assert_eq!(lines.next().unwrap().unwrap(), b"one");
        assert_eq!(lines.next().unwrap().unwrap_err().position, "line 3");
        assert_eq!(lines.next().unwrap().unwrap(), b"three");
        assert!(lines.next().is_none());
    }
}
