//! A message of the broker: its text, byte for byte, and its parsed JSON.

use std::ops::Index;

use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Message {
    pub(crate) fn parse(text: String) -> Self {
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        Self { text, json }
    }

    pub(crate) fn op(&self) -> &str {
        self.json["op"].as_str().unwrap_or_else(|| panic!("no op: {self:?}"))
    }

    /// Returns `data` as it came, byte for byte.
    pub(crate) fn data(&self) -> String {
        #[derive(serde::Deserialize)]
        struct HasData {
            data: Box<RawValue>,
        }
        let parsed: HasData = serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        parsed.data.get().to_owned()
    }

    pub(crate) fn str(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_else(|| panic!("no text {field}: {self:?}")).to_owned()
    }

    pub(crate) fn num(&self, field: &str) -> u64 {
        self.json[field].as_u64().unwrap_or_else(|| panic!("no number {field}: {self:?}"))
    }

    /// Returns whether each of the wanted fields is there and equal; there may be others.
    pub(crate) fn has(&self, wanted: &Value) -> bool {
        includes(&self.json, wanted)
    }
}

/// Compares objects by the wanted members, and everything else exactly.
fn includes(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| includes(value, wanted)))
        }
        (Value::Array(values), Value::Array(wanted)) => {
            values.len() == wanted.len() && values.iter().zip(wanted).all(|(value, wanted)| includes(value, wanted))
        }
        (value, wanted) => value == wanted,
    }
}

impl Index<&str> for Message {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.json[field]
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.text.chars().take(600).collect();
        f.write_str(&short)
    }
}
