//! The payload of an update: JSON text exactly as the producer wrote it.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

/// JSON text as it came over the wire, byte for byte. Cheap to clone.
///
/// It is a copy, not a slice of the read buffer: a program that keeps the last `Data` of each of a hundred thousand
/// topics keeps those bytes and nothing else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Data(Arc<str>);

impl Data {
    pub(crate) fn new(text: &str) -> Data {
        Data(Arc::from(text))
    }

    /// The raw JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Parses the text into a type of yours. Numbers become machine numbers where your type has them; use
    /// `serde_json::value::RawValue` or strings for prices that must keep their digits.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, simd_json::Error> {
        // simd-json parses in place and changes the text, which is shared, so it needs a copy.
        let mut copy = self.0.as_bytes().to_vec();
        simd_json::serde::from_slice(&mut copy)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Data {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_and_parsed() {
        let data = Data::new(r#"{"px":"189.10","qty":100}"#);
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Trade {
            px: String,
            qty: u32,
        }
        assert_eq!(data.parse::<Trade>().unwrap(), Trade { px: "189.10".into(), qty: 100 });
        assert_eq!(data.text(), r#"{"px":"189.10","qty":100}"#);
        assert!(data.parse::<u8>().is_err());
    }
}
