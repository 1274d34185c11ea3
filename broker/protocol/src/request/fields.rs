//! The fields of an object that a client sent: collected by name in one scan, validated afterwards.

use std::borrow::Cow;

use super::{ID_BYTES_MAX, Id, Refusal};
use crate::json::{Scanner, SyntaxError, Text, Value};
use crate::quote::quote;
use crate::walk::{unescaped, unescaped_str};

/// Exact numbers are below 2^53, which every JSON parser can represent.
pub(super) const EXACT_MAX: u64 = (1 << 53) - 1;

/// Declares the names of all fields that occur in requests of any operation.
macro_rules! fields {
    ($($field:ident $name:literal,)*) => {
        /// A field of an object in a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($field,)* }

        const NAMES: &[&str] = &[$($name,)*];

        impl Field {
            fn named(name: &[u8]) -> Option<Field> {
                $(if name == $name.as_bytes() { return Some(Field::$field); })*
                None
            }
        }
    };
}

fields! {
    Topic "topic", Data "data", Kind "kind", Op "op", Id "id",
    Source "source", SourceSeq "source_seq", SourceTs "source_ts", Batch "batch",
    Topics "topics", From "from", ConflateMs "conflate_ms", OnSlow "on_slow",
    Epoch "epoch", Seq "seq", Last "last", Token "token",
    Ready "ready", Positions "positions", Resume "resume",
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// The fields of one object: the first value of each, and the first error in its names.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    values: [Option<Value<'a>>; NAMES.len()],
    unknown: Option<Text<'a>>,
    twice: Option<Field>,
    present: u32,
}

/// A set of fields, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set(u32);

impl Set {
    pub(super) const fn of(fields: &[Field]) -> Set {
        let mut set = 0;
        let mut at = 0;
        while at < fields.len() {
            set |= 1 << fields[at] as u32;
            at += 1;
        }
        Set(set)
    }

    pub(super) const fn and(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }
}

impl<'a> Fields<'a> {
    /// Reads an object, leaving the scanner after it. What was read before a syntax error is kept.
    pub(super) fn read(&mut self, scanner: &mut Scanner<'a>) -> Result<(), SyntaxError> {
        self.read_with(scanner, |_, scanner| scanner.value())
    }

    /// Reads an object like [`Fields::read`], with `value` scanning its values.
    pub(super) fn read_with(
        &mut self,
        scanner: &mut Scanner<'a>,
        mut value: impl FnMut(Option<Field>, &mut Scanner<'a>) -> Result<Value<'a>, SyntaxError>,
    ) -> Result<(), SyntaxError> {
        scanner.open(b'{')?;
        let mut first = true;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            let raw = key.raw.as_bytes();
            let field = Field::named(&if key.escaped { unescaped(raw) } else { Cow::Borrowed(raw) });
            let value = value(field, scanner)?;
            scanner.skip_space();
            // A number at the end of a truncated text may itself be truncated: a field only counts if something follows
            // it.
            if let Some(b',' | b'}') = scanner.peek() {
                self.keep(key, field, value);
            }
        }
        Ok(())
    }

    fn keep(&mut self, key: Text<'a>, field: Option<Field>, value: Value<'a>) {
        match field {
            None => self.unknown = self.unknown.or(Some(key)),
            Some(field) => match &mut self.values[field as usize] {
                free @ None => {
                    *free = Some(value);
                    self.present |= Set::of(&[field]).0;
                }
                Some(_) => self.twice = self.twice.or(Some(field)),
            },
        }
    }

    /// Refuses fields that are given twice, that are unknown, or that `whose` does not have.
    pub(super) fn only(&self, allowed: Set, whose: &str) -> Result<(), Refusal> {
        if let Some(field) = self.twice {
            return Err(Refusal::bad_request(format!("the field \"{}\" is given twice", field.name())));
        }
        if let Some(name) = self.unknown {
            let name = String::from_utf8_lossy(&unescaped(name.raw.as_bytes())).into_owned();
            return Err(Refusal::bad_request(format!("{} is not a field of {whose}", quote(&name))));
        }
        let others = self.present & !allowed.0;
        if others != 0 {
            let name = NAMES[others.trailing_zeros() as usize];
            return Err(Refusal::bad_request(format!("\"{name}\" is not a field of {whose}")));
        }
        Ok(())
    }

    pub(super) fn get(&self, field: Field) -> Option<Value<'a>> {
        self.values[field as usize]
    }

    /// Returns a field that must be present.
    pub(super) fn need(&self, field: Field) -> Result<Value<'a>, Refusal> {
        self.get(field).ok_or_else(|| Refusal::bad_request(format!("\"{}\" is missing", field.name())))
    }

    /// Returns a string, if the field is present.
    pub(super) fn text(&self, field: Field) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => match text_of(value.raw) {
                Some(text) => Ok(Some(text)),
                None => Err(wrong(field, "a string")),
            },
        }
    }

    /// Returns a string that must be present.
    pub(super) fn need_text(&self, field: Field) -> Result<Cow<'a, str>, Refusal> {
        self.need(field)?;
        self.text(field)?.ok_or_else(|| wrong(field, "a string"))
    }

    /// Returns a whole number, if the field is present; a number above the range of `u64` becomes its maximum.
    pub(super) fn whole(&self, field: Field) -> Result<Option<u64>, Refusal> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => match whole_of(value.raw) {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(field, "a whole number, not negative")),
            },
        }
    }

    /// Returns a whole number below 2^53, if the field is present.
    pub(super) fn exact(&self, field: Field) -> Result<Option<u64>, Refusal> {
        match self.whole(field)? {
            Some(number) if number > EXACT_MAX => Err(wrong(field, "below 2^53")),
            number => Ok(number),
        }
    }

    /// Returns `true` or `false`; `false` if the field is absent.
    pub(super) fn flag(&self, field: Field) -> Result<bool, Refusal> {
        match self.get(field).map(|value| value.raw) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(field, "true or false")),
        }
    }

    /// Returns the `id`, if there is one.
    pub(super) fn id(&self) -> Result<Option<Id<'a>>, Refusal> {
        let Some(value) = self.get(Field::Id) else { return Ok(None) };
        let bytes = match value.raw.as_bytes() {
            [b'"', raw @ .., b'"'] => unescaped(raw).len(),
            number @ [b'-' | b'0'..=b'9', ..] => number.len(),
            _ => usize::MAX,
        };
        if bytes > ID_BYTES_MAX {
            return Err(wrong(Field::Id, "a number or a string of at most 64 bytes"));
        }
        Ok(Some(Id(value.raw)))
    }
}

/// The refusal of a value of the wrong type or range.
pub(super) fn wrong(field: Field, wanted: &str) -> Refusal {
    Refusal::bad_request(format!("\"{}\" must be {wanted}", field.name()))
}

/// The text of a scanned value if it is a string (and has no half of a surrogate pair, which Rust cannot represent).
pub(super) fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    unescaped_str(raw.strip_prefix('"')?.strip_suffix('"')?)
}

/// The number in a text that consists of digits only.
pub(super) fn whole_of(raw: &str) -> Option<u64> {
    raw.bytes().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}
