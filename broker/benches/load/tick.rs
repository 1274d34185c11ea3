//! What is published: 120 bytes of `data` with a time stamp in it.

use super::clock::DIGITS;
use super::wire::masked;

/// Bytes of `data`: with the envelope, frames of about 190 bytes.
const DATA_BYTES: usize = 120;

/// The kinds that the benchmarks publish.
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

/// A `publish` message for one topic, whose time stamp is written anew each time.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    text: Vec<u8>,
    stamp: usize,
}

/// The name of a benchmark's topic.
pub(super) fn topic(number: usize) -> String {
    format!("bench.{number}")
}

fn data() -> String {
    // No leading zero: this is a number.
    let stamp = format!("1{}", "0".repeat(DIGITS - 1));
    let mut data = format!(r#"{{"t":{stamp},"bid":"97123.10","ask":"97123.20","bq":"1.2345","aq":"0.9876","pad":""#);
    data.push_str(&"x".repeat(DATA_BYTES - data.len() - 2));
    data.push_str("\"}");
    data
}

impl Tick {
    pub(crate) fn new(number: usize, kind: Kind) -> Self {
        let entry = Self::entry(number, kind);
        let text = format!(r#"{{"op":"publish",{}"#, &entry[1..]);
        let stamp = text.find(r#"{"t":"#).map_or(0, |at| at + r#"{"t":"#.len());
        Self { text: text.into_bytes(), stamp }
    }

    /// The update as it stands in a batch.
    pub(crate) fn entry(number: usize, kind: Kind) -> String {
        format!(r#"{{"topic":"{}","kind":"{}","data":{}}}"#, topic(number), kind.as_str(), data())
    }

    /// Appends the frame that publishes it with this time stamp.
    pub(crate) fn frame(&mut self, out: &mut Vec<u8>, due_ns: u64) {
        let mut rest = due_ns;
        for digit in self.text[self.stamp..self.stamp + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        masked(out, &self.text);
    }
}
