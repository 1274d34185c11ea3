//! A JSON document that is read value by value, so that an array of any length needs no more memory than its largest
//! element.
//!
//! Only brackets and quotes are followed here; the caller parses each value. So a value that does not parse is the only
//! one that is lost. (A parser that has met an error cannot tell where the next value begins.) White space between
//! tokens is removed, so that each value is on one line.

use std::io::{self, BufRead};

use crate::Reader;
use feed_player::publication::BadRecord;

/// The largest value that is kept, in bytes. The largest element of any known recording is a thousandth of it.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// A document that is being read.
pub(crate) struct Document {
    reader: Reader,
    read_bytes: u64,
    /// Whether nothing of the innermost open array or object has been read yet.
    fresh: bool,
    over: bool,
}

/// Why a document cannot be read any further.
#[derive(Debug)]
pub(crate) struct Broken {
    at_byte: u64,
    reason: String,
}

/// Whether a value was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// It is in the buffer.
    Kept,
    /// It has more than [`VALUE_BYTES_MAX`] bytes, and was skipped.
    TooLarge,
}

impl Value {
    /// Returns the bytes of a value, or the reason why they were not kept.
    pub(crate) fn check<'a>(&self, text: &'a [u8]) -> Result<&'a [u8], String> {
        match self {
            Value::Kept => Ok(text),
            Value::TooLarge => Err(format!("it is larger than {VALUE_BYTES_MAX} bytes")),
        }
    }
}

impl Document {
    pub(crate) fn new(reader: Reader) -> Self {
        Document { reader, read_bytes: 0, fresh: true, over: false }
    }

    /// Enters the next value, which has to be an array (`[`) or an object (`{`).
    pub(crate) fn enter(&mut self, bracket: u8) -> Result<(), Broken> {
        match self.next_token()? {
            byte if byte == bracket => {
                self.fresh = true;
                Ok(())
            }
            byte => Err(self.unexpected(byte, bracket as char)),
        }
    }

    /// Reads the next key of the object, without its quotes; `None` at the object's end. Its value must be read,
    /// skipped or entered next.
    pub(crate) fn key(&mut self, key: &mut Vec<u8>) -> Result<Option<()>, Broken> {
        if !self.advance(b'}')? {
            return Ok(None);
        }
        self.value(key)?;
        let colon = self.next_token()?;
        if colon != b':' {
            return Err(self.unexpected(colon, ':'));
        }
        if key.len() < 2 || key[0] != b'"' {
            return Err(self.broken("a key is not a string".to_owned()));
        }
        key.pop();
        key.remove(0);
        Ok(Some(()))
    }

    /// Reads the next element of the array; `None` after the last. A broken document is reported once.
    pub(crate) fn element(&mut self, text: &mut Vec<u8>) -> Option<Result<Value, Broken>> {
        if self.over {
            return None;
        }
        let element = match self.advance(b']') {
            Ok(true) => self.value(text).map(Some),
            Ok(false) => Ok(None),
            Err(broken) => Err(broken),
        };
        self.over = !matches!(element, Ok(Some(_)));
        element.transpose()
    }

    /// Reads the next value.
    pub(crate) fn value(&mut self, text: &mut Vec<u8>) -> Result<Value, Broken> {
        text.clear();
        let mut scan = Scan { text, depth: 0, in_string: false, escaped: false, too_large: false };
        let mut begun = false;
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok([]) => return Err(self.cut(&io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.cut(&error)),
            };
            let mut taken = 0;
            let mut end = None;
            for &byte in bytes {
                if !begun && byte.is_ascii_whitespace() {
                    taken += 1;
                    continue;
                }
                match scan.byte(byte) {
                    Step::More => taken += 1,
                    Step::Last => {
                        taken += 1;
                        end = Some(true);
                        break;
                    }
                    Step::Before => {
                        end = Some(begun);
                        break;
                    }
                }
                begun = true;
            }
            let too_large = scan.too_large;
            self.reader.consume(taken);
            self.read_bytes += taken as u64;
            match end {
                Some(true) if too_large => return Ok(Value::TooLarge),
                Some(true) => return Ok(Value::Kept),
                Some(false) => return Err(self.broken("a value is missing".to_owned())),
                None => {}
            }
        }
    }

    /// Advances to the next element or key. Returns false at the end of the array or object.
    fn advance(&mut self, end: u8) -> Result<bool, Broken> {
        let first = std::mem::replace(&mut self.fresh, false);
        let byte = self.peek_token()?;
        if byte == end {
            self.consume_one();
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if byte != b',' {
            return Err(self.unexpected(byte, ','));
        }
        self.consume_one();
        Ok(true)
    }

    fn next_token(&mut self) -> Result<u8, Broken> {
        let byte = self.peek_token()?;
        self.consume_one();
        Ok(byte)
    }

    /// Returns the next byte that is not white space.
    fn peek_token(&mut self) -> Result<u8, Broken> {
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok([]) => return Err(self.cut(&io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.cut(&error)),
            };
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let byte = bytes.get(blank).copied();
            self.reader.consume(blank);
            self.read_bytes += blank as u64;
            if let Some(byte) = byte {
                return Ok(byte);
            }
        }
    }

    fn consume_one(&mut self) {
        self.reader.consume(1);
        self.read_bytes += 1;
    }

    fn unexpected(&self, found: u8, wanted: char) -> Broken {
        self.broken(format!("'{}' instead of '{wanted}'", found.escape_ascii()))
    }

    fn cut(&self, error: &io::Error) -> Broken {
        self.broken(format!("the recording cannot be read from here on: {error}"))
    }

    fn broken(&self, reason: String) -> Broken {
        Broken { at_byte: self.read_bytes, reason }
    }
}

impl Broken {
    /// Turns it into the report that ends the recording.
    pub(crate) fn bad_record(self) -> BadRecord {
        BadRecord { position: format!("byte {}", self.at_byte), reason: self.reason, ends_recording: true }
    }

    /// Turns it into the reason why a file cannot be opened.
    pub(crate) fn error(self, what: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not the expected {what}: byte {}: {}", self.at_byte, self.reason),
        )
    }
}

/// The state of the scan of a value.
struct Scan<'a> {
    text: &'a mut Vec<u8>,
    depth: u64,
    in_string: bool,
    escaped: bool,
    too_large: bool,
}

/// The relation of a byte to the value.
enum Step {
    /// It is part of the value, and more follows.
    More,
    /// It is the last byte of the value.
    Last,
    /// It is not part of the value, which ended before it.
    Before,
}

impl Scan<'_> {
    fn byte(&mut self, byte: u8) -> Step {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return if self.depth == 0 { Step::Last } else { Step::More };
                }
                _ => {}
            }
            return Step::More;
        }
        match byte {
            // A number or a word ends before the next token, and a missing value does too.
            b',' | b']' | b'}' | b':' if self.depth == 0 => return Step::Before,
            byte if byte.is_ascii_whitespace() && self.depth == 0 => return Step::Before,
            byte if byte.is_ascii_whitespace() => return Step::More,
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => {
                self.depth -= 1;
                self.keep(byte);
                return if self.depth == 0 { Step::Last } else { Step::More };
            }
            _ => {}
        }
        self.keep(byte);
        Step::More
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < VALUE_BYTES_MAX {
            self.text.push(byte);
        } else {
            self.too_large = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        // Two bytes at a time: every token lies across the end of a buffer somewhere.
        Document::new(Reader::new(io::BufReader::with_capacity(2, io::Cursor::new(text.to_owned()))))
    }

    #[test]
    fn elements_of_every_kind() {
        let mut document =
            document(" [ {\"a\" : [1, \"x ]}\\\" y\"] } ,\n 12.50, \"s\\\\\", null,[ ] ,{\"b\" 1 },true]rest");
        document.enter(b'[').expect("an array");
        let mut text = Vec::new();
        let mut found = Vec::new();
        while let Some(value) = document.element(&mut text) {
            assert_eq!(value.expect("whole"), Value::Kept);
            found.push(String::from_utf8(text.clone()).expect("text"));
        }
        assert_eq!(found, [r#"{"a":[1,"x ]}\" y"]}"#, "12.50", r#""s\\""#, "null", "[]", r#"{"b"1}"#, "true"]);
        assert!(document.element(&mut text).is_none());
    }

    #[test]
    fn keys_of_an_object() {
        let mut document = document(r#"{"skip":{"x":[1]},"go":[7]}"#);
        let mut text = Vec::new();
        document.enter(b'{').expect("an object");
        assert!(document.key(&mut text).expect("a key").is_some());
        assert_eq!(text, b"skip");
        assert_eq!(document.value(&mut text).expect("a value"), Value::Kept);
        assert!(document.key(&mut text).expect("a key").is_some());
        assert_eq!(text, b"go");
        document.enter(b'[').expect("an array");
        assert!(document.element(&mut text).is_some());
        assert_eq!(text, b"7");
    }

    #[test]
    fn broken_documents_say_where() {
        for (text, good, at_byte) in
            [("[1 2]", 1, 3), ("[1,]", 1, 3), ("[1,{\"a\":", 1, 8), ("[\"a", 0, 3), ("[,1]", 0, 1)]
        {
            let mut document = document(text);
            document.enter(b'[').expect("an array");
            let mut buffer = Vec::new();
            for _ in 0..good {
                assert!(document.element(&mut buffer).expect("one").is_ok(), "{text}");
            }
            let broken = document.element(&mut buffer).expect("a report").expect_err("broken");
            assert_eq!(broken.at_byte, at_byte, "{text}");
            assert!(document.element(&mut buffer).is_none(), "{text}");
        }
        assert!(document("{}").enter(b'[').is_err());
        assert!(document("").enter(b'[').is_err());
    }

    #[test]
    fn a_value_that_is_too_large_is_skipped_whole() {
        let text = format!("[\"{}\",2]", "x".repeat(VALUE_BYTES_MAX));
        let mut document = Document::new(Reader::new(io::Cursor::new(text)));
        document.enter(b'[').expect("an array");
        let mut buffer = Vec::new();
        assert_eq!(document.element(&mut buffer).expect("one").expect("whole"), Value::TooLarge);
        assert_eq!(document.element(&mut buffer).expect("one").expect("whole"), Value::Kept);
        assert_eq!(buffer, b"2");
    }
}
