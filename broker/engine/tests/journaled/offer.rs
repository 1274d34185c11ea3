//! An update that somebody publishes, and what is known of it.

use serde_json::Value;

/// An update as it is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    pub topic: String,
    pub kind: Option<&'static str>,
    pub source: Option<(String, u64)>,
    pub data: Value,
    /// It lacks its data.
    pub is_torn: bool,
}

/// What somebody must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Refused(&'static str),
    Done { epoch: String, seq: u64, duplicate: bool },
}

/// One update, by the number that its data has.
#[derive(Debug)]
pub struct Update {
    pub topic: String,
    /// `None` while nobody may be told anything.
    pub told: Option<Told>,
    /// It was refused: no log may have it.
    pub never: bool,
    /// It was refused when it was offered.
    pub at_once: bool,
    /// When the shard passed it on, in µs.
    pub passed_us: Option<u64>,
}

impl Offer {
    /// The fields of the update, as JSON.
    pub fn fields(&self) -> String {
        let mut text = format!(r#""topic":"{}""#, self.topic);
        if let Some(kind) = self.kind {
            text.push_str(&format!(r#","kind":"{kind}""#));
        }
        if let Some((source, number)) = &self.source {
            text.push_str(&format!(r#","source":"{source}","source_seq":{number}"#));
        }
        if !self.is_torn {
            text.push_str(&format!(r#","data":{}"#, self.data));
        }
        text
    }
}
