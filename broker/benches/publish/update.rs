//! The updates that are published, with 120 bytes of `data`.

/// The bytes of `data`; with the envelope, frames have about 190 bytes.
const DATA_BYTES: usize = 120;

/// The kinds of updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    State,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::State => "state",
        }
    }
}

fn data() -> String {
    let mut data =
        r#"{"t":1000000000000,"bid":"97123.10","ask":"97123.20","bq":"1.2345","aq":"0.9876","pad":""#.to_owned();
    data.push_str(&"x".repeat(DATA_BYTES - data.len() - 2));
    data.push_str("\"}");
    data
}

/// The update of a topic as an entry of a `batch`.
pub(crate) fn entry(topic: usize, kind: Kind) -> String {
    format!(r#"{{"topic":"bench.{topic}","kind":"{}","data":{}}}"#, kind.as_str(), data())
}

/// A `publish` message with one update.
pub(crate) fn message(topic: usize, kind: Kind) -> String {
    format!(r#"{{"op":"publish",{}"#, &entry(topic, kind)[1..])
}
