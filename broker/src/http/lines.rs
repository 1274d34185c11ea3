//! The lines of a body that is kept in blocks. Used blocks are freed.

use std::collections::VecDeque;

/// A body's lines, from its first.
#[derive(Debug)]
pub(super) struct Lines {
    blocks: VecDeque<Vec<u8>>,
    /// How many bytes of the first block were used.
    at: usize,
    /// How many bytes of a line are kept.
    bytes_max: usize,
    line: Vec<u8>,
    /// Whether a line has begun and not ended.
    open: bool,
    blank: bool,
}

/// The next item of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its line feed. A line that is longer than the bound is cut to one byte more than that.
    Line(&'a [u8]),
    /// A line of white space.
    Blank,
    /// A block of this capacity, in bytes, was used up, and the line may go on in the next one.
    Used(u64),
    /// There are no more lines.
    End,
}

impl Lines {
    /// The lines of these blocks, of which each keeps at most `bytes_max` bytes.
    pub(super) fn new(blocks: VecDeque<Vec<u8>>, bytes_max: usize) -> Lines {
        Lines { blocks, at: 0, bytes_max, line: Vec::new(), open: false, blank: true }
    }

    /// Returns the next line, or goes on by one block.
    pub(super) fn next(&mut self) -> Next<'_> {
        if !self.open {
            self.line.clear();
            (self.open, self.blank) = (true, true);
        }
        let Some(block) = self.blocks.front() else {
            return match self.blank && self.line.is_empty() {
                true => Next::End,
                false => self.finish(),
            };
        };
        let rest = &block[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let part = &rest[..end.unwrap_or(rest.len())];
        self.blank = self.blank && part.iter().all(u8::is_ascii_whitespace);
        let room = (self.bytes_max + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        match end {
            Some(end) => {
                self.at += end + 1;
                self.finish()
            }
            None => {
                let used = block.capacity() as u64;
                self.at = 0;
                self.blocks.pop_front();
                Next::Used(used)
            }
        }
    }

    fn finish(&mut self) -> Next<'_> {
        self.open = false;
        if self.blank { Next::Blank } else { Next::Line(&self.line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines, `None` for blank ones.
    fn lines(text: &str, block: usize, bytes_max: usize) -> Vec<Option<String>> {
        let blocks = text.as_bytes().chunks(block).map(<[u8]>::to_vec).collect();
        let mut lines = Lines::new(blocks, bytes_max);
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Next::Line(line) => found.push(Some(String::from_utf8(line.to_vec()).unwrap())),
                Next::Blank => found.push(None),
                Next::Used(_) => {}
                Next::End => return found,
            }
        }
    }

    #[test]
    fn lines_do_not_depend_on_where_a_block_ends() {
        for text in ["a\nbc\n\n \t\ndef", "a\r\n\r\nb\r\n", "\n", "", "one", "one\n\n\ntwo\n"] {
            let mut expected: Vec<_> =
                text.split('\n').map(|line| (!line.trim_ascii().is_empty()).then(|| line.to_owned())).collect();
            // After the last line feed there is no line.
            if expected.last() == Some(&None) {
                expected.pop();
            }
            for block in 1..=text.len().max(1) {
                assert_eq!(lines(text, block, 100), expected, "{text:?} in blocks of {block}");
            }
        }
    }

    #[test]
    fn a_line_is_kept_up_to_its_bound() {
        for block in 1..20 {
            let found = lines("123456789\n123\n1234\n          1", block, 3);
            let expected = ["1234", "123", "1234", "    "];
            assert_eq!(found, expected.map(|line| Some(line.to_owned())), "in blocks of {block}");
        }
    }
}
