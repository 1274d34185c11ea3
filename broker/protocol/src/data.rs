//! `data`, carried byte for byte: numbers keep every digit, keys their order, strings their escapes. Only white space
//! outside strings goes.

use crate::codes::ErrorCode;
use crate::json::{Scanner, SyntaxError, Value};
use crate::quote::quote;
use crate::walk::{string_bytes, unescaped};

/// How deep arrays and objects may be nested in `data`.
pub const LEVELS_MAX: u32 = 128;

/// A checked JSON value: its span in the message that it came in.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    raw: &'a str,
    spaced: bool,
}

/// Why a text is no `data`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not the grammar of RFC 8259.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// JSON, but nested too deep.
    #[error("`data` is nested {levels} levels deep, the most are {LEVELS_MAX}")]
    TooDeep {
        /// How deep it is.
        levels: u32,
    },
    /// A `patch` that is no object.
    #[error("the `data` of a patch must be an object")]
    NotAnObject,
    /// A `patch` that names a key twice.
    #[error("the key {key} stands twice in an object of a patch")]
    DuplicateKey {
        /// The key, quoted and bounded.
        key: String,
    },
}

impl DataError {
    /// The code of the answer.
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
    /// Checks a text that is one value, white space around it apart.
    pub fn check(text: &'a str) -> Result<Data<'a>, DataError> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let value = scanner.value()?;
        scanner.end()?;
        Data::of(value)
    }

    /// Checks the `data` of a `patch`: an object that names no key twice, at any level, keys compared by what they
    /// say (`"a"` is `"\u0061"`).
    pub fn check_patch(text: &'a str) -> Result<Data<'a>, DataError> {
        let data = Data::check(text)?;
        data.patch()?;
        Ok(data)
    }

    /// A value that was scanned with its message.
    pub(crate) fn of(value: Value<'a>) -> Result<Data<'a>, DataError> {
        if value.levels > LEVELS_MAX {
            return Err(DataError::TooDeep { levels: value.levels });
        }
        Ok(Data { raw: value.raw, spaced: value.spaced })
    }

    /// What a patch must be beyond a value.
    pub fn patch(&self) -> Result<(), DataError> {
        if !self.is_object() {
            return Err(DataError::NotAnObject);
        }
        match duplicate_key(self.raw.as_bytes()) {
            Some(key) => Err(DataError::DuplicateKey { key: quote(&String::from_utf8_lossy(key)) }),
            None => Ok(()),
        }
    }

    /// Appends the value without white space outside strings; a plain copy where there was none.
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

    /// The text as it came, white space inside it and all.
    pub fn raw(&self) -> &'a str {
        self.raw
    }
}

/// A key that stands twice in one object of a checked text, if there is one.
///
/// Keys wait on a stack until their object ends, then they are sorted and neighbours compared: no hash that a
/// stranger could aim at, and the cost is O(n log n) whatever the keys are.
fn duplicate_key(text: &[u8]) -> Option<&[u8]> {
    let mut keys = Vec::new();
    let mut objects = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let end = at + string_bytes(&text[at..]);
                // A string is a key where a colon follows.
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
