//! Scanning JSON text that a stranger sent: the exact grammar of RFC 8259, in one pass, without recursion.
//!
//! Nothing is converted: a value is a span of its message (numbers keep every digit), and what its bytes are is known
//! by its first one. Any nesting can be scanned, because a field after a hostile value still matters (an error
//! carries the request's `id`); how deep a value was is noted, and [`crate::data`] refuses more than 128 levels.

mod open;
mod token;

use self::open::Open;

/// The text is not JSON. Where the grammar broke is in `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid JSON at byte {at}")]
pub struct SyntaxError {
    /// The byte at which no valid text goes on.
    pub at: usize,
}

/// A value's span in its text.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// The text of the value, from its first byte to its last.
    pub raw: &'a str,
    /// How deep arrays and objects are nested in it; 0 for a scalar.
    pub levels: u32,
    /// Whether there is white space outside strings.
    pub spaced: bool,
}

/// A string's span in its text, without its quotes.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// What stands between the quotes.
    pub raw: &'a str,
    /// Whether there are escapes in it.
    pub escaped: bool,
}

/// Reads a text from left to right.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0 }
    }

    /// The next byte, if there is one.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over white space and says whether there was any.
    pub fn skip_space(&mut self) -> bool {
        let start = self.at;
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.at > start
    }

    /// After the last value: only white space may follow.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error()) }
    }

    /// Steps over the `{` of an object or the `[` of an array; [`Scanner::next_key`] or [`Scanner::next_element`]
    /// follow, told that they are the first.
    pub fn open(&mut self, bracket: u8) -> Result<(), SyntaxError> {
        if self.peek() != Some(bracket) {
            return Err(self.error());
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of an object, leaving the scanner at its value; or `None`, leaving it behind the object.
    pub fn next_key(&mut self, first: bool) -> Result<Option<Text<'a>>, SyntaxError> {
        if !self.next_item(first, b'}')? {
            return Ok(None);
        }
        self.key().map(|(key, _)| Some(key))
    }

    /// Whether an array has another element, leaving the scanner at it; else behind the array.
    pub fn next_element(&mut self, first: bool) -> Result<bool, SyntaxError> {
        self.next_item(first, b']')
    }

    /// Scans one value, whatever it is, leaving the scanner behind it.
    pub fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        let start = self.at;
        let mut open = Open::default();
        let (mut levels, mut spaced) = (0, false);
        'values: loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    open.push(bracket == b'{');
                    levels = levels.max(open.levels);
                    spaced |= self.skip_space();
                    // `]` and `}` stand two behind `[` and `{`.
                    if self.peek() != Some(bracket + 2) {
                        if bracket == b'{' {
                            spaced |= self.key()?.1;
                        }
                        continue 'values;
                    }
                    self.at += 1;
                    open.pop();
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(self.error()),
            }
            // A value has ended: it ends what it stands in, or another follows.
            while open.levels > 0 {
                spaced |= self.skip_space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        spaced |= self.skip_space();
                        if open.in_object() {
                            spaced |= self.key()?.1;
                        }
                        continue 'values;
                    }
                    Some(b'}') if open.in_object() => {}
                    Some(b']') if !open.in_object() => {}
                    _ => return Err(self.error()),
                }
                self.at += 1;
                open.pop();
            }
            return Ok(Value { raw: &self.text[start..self.at], levels, spaced });
        }
    }

    /// The span of a value that `scan` steps over itself. Its levels are not counted.
    pub fn spanning(
        &mut self,
        scan: impl FnOnce(&mut Scanner<'a>) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        let start = self.at;
        scan(self)?;
        Ok(Value { raw: &self.text[start..self.at], levels: 0, spaced: true })
    }

    /// A key and its colon; and whether there was white space.
    fn key(&mut self) -> Result<(Text<'a>, bool), SyntaxError> {
        let key = self.string()?;
        let mut spaced = self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error());
        }
        self.at += 1;
        spaced |= self.skip_space();
        Ok((key, spaced))
    }

    fn next_item(&mut self, first: bool, close: u8) -> Result<bool, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            _ => Err(self.error()),
        }
    }

    fn error(&self) -> SyntaxError {
        SyntaxError { at: self.at }
    }
}
