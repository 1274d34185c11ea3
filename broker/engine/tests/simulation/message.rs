//! A message from the broker, as an independent JSON parser reads it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The fields of one object, with the text of their values.
pub struct Message<'a>(BTreeMap<&'a str, &'a RawValue>);

impl<'a> Message<'a> {
    pub fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self).map_err(|error| error.to_string())
    }

    /// The operation; empty if there is none.
    pub fn op(&self) -> &'a str {
        self.0.get("op").map_or("", |raw| raw.get().trim_matches('"'))
    }

    pub fn raw(&self, field: &str) -> Result<&'a str, String> {
        self.0.get(field).map(|raw| raw.get()).ok_or_else(|| format!("there is no \"{field}\""))
    }

    pub fn number(&self, field: &str) -> Result<u64, String> {
        self.raw(field)?.parse().map_err(|_| format!("\"{field}\" is not a number"))
    }

    pub fn optional_number(&self, field: &str) -> Result<Option<u64>, String> {
        if self.0.contains_key(field) { self.number(field).map(Some) } else { Ok(None) }
    }

    pub fn text(&self, field: &str) -> Result<String, String> {
        serde_json::from_str(self.raw(field)?).map_err(|_| format!("\"{field}\" is not a string"))
    }

    /// A string, or `None` if it is `null`.
    pub fn optional_text(&self, field: &str) -> Result<Option<String>, String> {
        serde_json::from_str(self.raw(field)?).map_err(|_| format!("\"{field}\" is neither a string nor null"))
    }

    pub fn list(&self, field: &str) -> Result<Vec<Message<'a>>, String> {
        let rows: Vec<BTreeMap<&'a str, &'a RawValue>> =
            serde_json::from_str(self.raw(field)?).map_err(|_| format!("\"{field}\" is not a list of objects"))?;
        Ok(rows.into_iter().map(Message).collect())
    }
}
