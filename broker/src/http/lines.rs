//! The lines of a body that lies in blocks. Blocks that were used up are given back.

use std::collections::VecDeque;

/// A body's lines, from its first.
#[derive(Debug)]
pub(super) struct Lines {
    blocks: VecDeque<Vec<u8>>,
    /// What was used of the first block.
    at: usize,
    /// More than this of a line is not kept.
    bytes_max: usize,
    line: Vec<u8>,
    /// The line has begun, and is not done.
    open: bool,
    blank: bool,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its line feed. One that is longer than the bound has one byte more than that.
    Line(&'a [u8]),
    /// A line of white space.
    Blank,
    /// A block with room for so many bytes was used up, and a line goes on in the next.
    Used(u64),
    /// There are no more.
    End,
}

impl Lines {
    /// The lines of these blocks, each kept up to so many bytes.
    pub(super) fn new(blocks: VecDeque<Vec<u8>>, bytes_max: usize) -> Lines {
        Lines { blocks, at: 0, bytes_max, line: Vec::new(), open: false, blank: true }
    }

    /// The next line, or at most one block further.
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
    fn wherever_a_block_ends() {
        for text in ["a\nbc\n\n \t\ndef", "a\r\n\r\nb\r\n", "\n", "", "one", "one\n\n\ntwo\n"] {
            let mut expected: Vec<_> =
                text.split('\n').map(|line| (!line.trim_ascii().is_empty()).then(|| line.to_owned())).collect();
            // Behind the last line feed there is no line.
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
