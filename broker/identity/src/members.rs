//! A JSON object as its members, whose values are still text. A name that occurs twice is an error: two readers of the
//! same token must not see two different claims (RFC 7519 section 4, RFC 7515 section 4).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, by name.
pub(crate) struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Members<'a> {
    /// Reads an object; `None` if the text is not one, or repeats a name.
    pub(crate) fn parse(text: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(text).ok()
    }

    /// The text of a member's value.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// The names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if members.insert(name, map.next_value::<&'de RawValue>()?).is_some() {
                        return Err(A::Error::custom("a name occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// A name: borrowed unless it contains an escape.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a value whose type has no object in it, so that no name can occur twice.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Reads a whole number. Nothing else is one: neither `1.0` nor `1e3`, nor a number in a string.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_their_decoded_names() {
        let members = Members::parse(r#" {"a": 1, "\u0062": {"a": 2, "a": 3}} "#).expect("an object");
        assert_eq!((members.get("a"), members.get("b")), (Some("1"), Some(r#"{"a": 2, "a": 3}"#)));
        assert_eq!(members.get("c"), None);
    }

    #[test]
    fn a_name_occurs_once() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, "[]", "1", "", "{", "{}x"] {
            assert!(Members::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(whole_number("1795404941"), Some(1_795_404_941));
        for text in ["-1", "1.0", "1e3", "\"1\"", "null", "18446744073709551616", "+1", ""] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
