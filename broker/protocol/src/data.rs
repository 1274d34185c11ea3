//! `data`, carried byte for byte: numbers keep every digit, keys their order, strings their escapes. Only white space
//! outside strings is removed.

use crate::codes::ErrorCode;
use crate::json::{Scanner, SyntaxError, Value};
use crate::quote::quote;
use crate::walk::{string_bytes, unescaped};

/// Maximum number of levels to which arrays and objects may be nested in `data`.
pub const LEVELS_MAX: u32 = 128;

/// A checked JSON value: its span in the message that contained it.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    raw: &'a str,
    spaced: bool,
}

/// Why a text is not valid `data`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not the grammar of RFC 8259.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// JSON, but nested too deeply.
    #[error("`data` is nested {levels} levels deep; the maximum is {LEVELS_MAX}")]
    TooDeep {
        /// Its number of levels.
        levels: u32,
    },
    /// A `patch` that is not an object.
    #[error("the `data` of a patch must be an object")]
    NotAnObject,
    /// A `patch` in which a key is given twice.
    #[error("the key {key} is given twice in an object of a patch")]
    DuplicateKey {
        /// The key, quoted and of bounded length.
        key: String,
    },
}

impl DataError {
    /// Returns the error code for the answer.
    pub fn code(&self) -> ErrorCode {
        match self {
            DataError::Syntax(_) => ErrorCode::BadJson,
            DataError::TooDeep { .. } | DataError::NotAnObject | DataError::DuplicateKey { .. } => {
                ErrorCode::BadRequest
            }
        }
    }
}

impl<'a> Data<'a> {
    /// Checks a text that consists of one value, except for white space around it.
    pub fn check(text: &'a str) -> Result<Data<'a>, DataError> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let value = scanner.value()?;
        scanner.end()?;
        Data::of(value)
    }

    /// Checks the `data` of a `patch`: an object in which no key is given twice, at any level. Keys are compared
    /// unescaped (`"a"` equals `"\u0061"`).
    pub fn check_patch(text: &'a str) -> Result<Data<'a>, DataError> {
        let data = Data::check(text)?;
        data.patch()?;
        Ok(data)
    }

    /// Checks a value that was scanned together with its message.
    pub(crate) fn of(value: Value<'a>) -> Result<Data<'a>, DataError> {
        if value.levels > LEVELS_MAX {
            return Err(DataError::TooDeep { levels: value.levels });
        }
        Ok(Data { raw: value.raw, spaced: value.spaced })
    }

    /// Checks what a patch requires beyond being a value.
    pub fn patch(&self) -> Result<(), DataError> {
        if !self.is_object() {
            return Err(DataError::NotAnObject);
        }
        match duplicate_key(self.raw.as_bytes()) {
            Some(key) => Err(DataError::DuplicateKey { key: quote(&String::from_utf8_lossy(key)) }),
            None => Ok(()),
        }
    }

    /// Appends the value without white space outside strings; a plain copy if there is none.
    pub fn append_compact(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw.as_bytes();
        if !self.spaced {
            out.extend_from_slice(rest);
            return;
        }
        while let Some(&byte) = rest.first() {
            let (token, after) = match byte {
                b' ' | b'\n' | b'\r' | b'\t' => (0, 1),
                b'"' => {
                    let string = string_bytes(rest);
                    (string, string)
                }
                _ => {
                    let token = rest.iter().position(|byte| b" \n\r\t\"".contains(byte)).unwrap_or(rest.len());
                    (token, token)
                }
            };
            out.extend_from_slice(&rest[..token]);
            rest = &rest[after..];
        }
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.raw.starts_with('{')
    }

    /// Returns the text as received, including white space.
    pub fn raw(&self) -> &'a str {
        self.raw
    }
}

/// Returns a key that is given twice in one object of a checked text, if there is one.
///
/// Keys are pushed onto a stack until their object ends, then sorted, and neighbours are compared: there is no hash
/// that a client could attack, and the cost is O(n log n) whatever the keys are.
fn duplicate_key(text: &[u8]) -> Option<&[u8]> {
    let mut keys = Vec::new();
    let mut objects = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = at + string_bytes(&text[at..]);
                // A string followed by a colon is a key.
                let next = text[end..].iter().find(|byte| !b" \n\r\t".contains(byte));
                if next == Some(&b':') {
                    let raw = &text[at + 1..end - 1];
                    keys.push((unescaped(raw), raw));
                }
                at = end;
                continue;
            }
            b'{' => objects.push(keys.len()),
            b'}' => {
                let start = objects.pop().unwrap_or_default();
                let own = &mut keys[start..];
                own.sort_unstable();
                if let Some(pair) = own.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    return Some(pair[1].1);
                }
                keys.truncate(start);
            }
            _ => {}
        }
        at += 1;
    }
    None
}
