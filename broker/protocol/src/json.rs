//! Scanning untrusted JSON text: the exact grammar of RFC 8259, in one pass, without recursion.
//!
//! Nothing is converted: a value is a span of its message (numbers keep every digit), and its type follows from its
//! first byte. Any nesting can be scanned, because a field after a hostile value still matters (an error carries the
//! request's `id`); the depth of a value is recorded, and [`crate::data`] refuses more than 128 levels.
//!
//! simd-json is not used here: its tape has neither spans nor the digits of numbers, and with a search for the span of
//! `data` it takes 1.4 to 2.2 times as long (`benches/validate`, `broker/docs/benchmarks.md`).

mod open;
mod token;

use self::open::Open;
use self::token::Step;

/// The text is not JSON; `at` is where the grammar is violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {at}")]
pub struct SyntaxError {
    /// The byte at which the text stops being valid.
    pub at: usize,
}

/// A value's span in its text.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// The text of the value, from its first byte to its last.
    pub raw: &'a str,
    /// The number of levels to which arrays and objects are nested in it; 0 for a scalar.
    pub levels: u32,
    /// Whether it contains white space outside strings.
    pub spaced: bool,
}

/// A string's span in its text, without its quotes.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The text between the quotes.
    pub raw: &'a str,
    /// Whether it contains escapes.
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

    /// Skips white space.
    pub fn skip_space(&mut self) {
        self.at = token::space(self.text.as_bytes(), self.at);
    }

    /// Checks that only white space follows the last value.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(SyntaxError { at: self.at }) }
    }

    /// Skips the `{` of an object or the `[` of an array; the first call to [`Scanner::next_key`] or
    /// [`Scanner::next_element`] after it passes `first`.
    pub fn open(&mut self, bracket: u8) -> Result<(), SyntaxError> {
        if self.peek() != Some(bracket) {
            return Err(SyntaxError { at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// Returns the next key of an object, leaving the scanner at its value; or `None`, leaving it after the object.
    #[inline]
    pub fn next_key(&mut self, first: bool) -> Result<Option<Text<'a>>, SyntaxError> {
        if !self.next_item(first, b'}')? {
            return Ok(None);
        }
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        let end = token::string(bytes, self.at, &mut escaped).map_err(|at| SyntaxError { at })?;
        let raw = &self.text[self.at + 1..end - 1];
        self.at = value_of_key(bytes, end).map_err(|at| SyntaxError { at })?;
        Ok(Some(Text { raw, escaped }))
    }

    /// Returns whether an array has another element, leaving the scanner at it; otherwise after the array.
    pub fn next_element(&mut self, first: bool) -> Result<bool, SyntaxError> {
        self.next_item(first, b']')
    }

    /// Scans one value of any type, leaving the scanner after it.
    pub fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        let start = self.at;
        let mut levels = 0;
        let mut spaced = false;
        self.at = value(self.text.as_bytes(), start, &mut levels, &mut spaced).map_err(|at| SyntaxError { at })?;
        Ok(Value { raw: &self.text[start..self.at], levels, spaced })
    }

    /// Returns the span of a value that `scan` skips itself. Its levels are not counted.
    pub fn spanning(
        &mut self,
        scan: impl FnOnce(&mut Scanner<'a>) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        let start = self.at;
        scan(self)?;
        Ok(Value { raw: &self.text[start..self.at], levels: 0, spaced: true })
    }

    #[inline]
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
            _ => Err(SyntaxError { at: self.at }),
        }
    }
}

/// Skips one value.
///
/// ```text
/// a value is expected: a scalar ends it; a bracket opens a level, which is closed at once or begins with its
///                      first key, and then with a value
/// a value has ended:   outside of all levels, done; a comma (and in an object a key), and a value is expected;
///                      the bracket of the innermost level closes it, which is a value that has ended
/// ```
fn value(text: &[u8], mut at: usize, levels: &mut u32, spaced: &mut bool) -> Step {
    let mut open = Open::default();
    'expected: loop {
        match text.get(at) {
            Some(b'"') => at = token::string(text, at, &mut false)?,
            Some(b'-' | b'0'..=b'9') => at = token::number(text, at)?,
            Some(&bracket @ (b'{' | b'[')) => {
                open.push(bracket == b'{');
                *levels = open.levels.max(*levels);
                at = skip_space(text, at + 1, spaced);
                // In ASCII, `]` and `}` come two after `[` and `{`.
                if text.get(at) != Some(&(bracket + 2)) {
                    if bracket == b'{' {
                        at = key(text, at, spaced)?;
                    }
                    continue 'expected;
                }
                at += 1;
                open.pop();
            }
            Some(_) => at = token::word(text, at)?,
            None => return Err(at),
        }
        while open.levels > 0 {
            at = skip_space(text, at, spaced);
            match text.get(at) {
                Some(b',') => {
                    at = skip_space(text, at + 1, spaced);
                    if open.in_object() {
                        at = key(text, at, spaced)?;
                    }
                    continue 'expected;
                }
                Some(b'}') if open.in_object() => {}
                Some(b']') if !open.in_object() => {}
                _ => return Err(at),
            }
            at += 1;
            open.pop();
        }
        return Ok(at);
    }
}

/// Skips a key and its colon up to its value, and notes white space.
#[inline]
fn key(text: &[u8], at: usize, spaced: &mut bool) -> Step {
    let end = token::string(text, at, &mut false)?;
    let value = value_of_key(text, end)?;
    *spaced |= value > end + 1;
    Ok(value)
}

/// Skips from the end of a key to its value.
#[inline]
fn value_of_key(text: &[u8], end: usize) -> Step {
    let colon = token::space(text, end);
    if text.get(colon) == Some(&b':') { Ok(token::space(text, colon + 1)) } else { Err(colon) }
}

/// Skips white space, and notes it.
#[inline]
fn skip_space(text: &[u8], at: usize, spaced: &mut bool) -> usize {
    let end = token::space(text, at);
    *spaced |= end > at;
    end
}
