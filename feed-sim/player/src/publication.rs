//! The items of a feed: an update of a topic, and when it is due.

use std::fmt::{self, Write as _};
use std::ops::Add;
use std::task::{Context, Poll};

pub use broker_client::Kind;
pub use broker_protocol::write::push_string;

use crate::faults::FaultCounts;

/// One update as it will be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The full name of the topic.
    pub topic: String,
    /// What kind of update it is.
    pub kind: Kind,
    /// JSON text, carried byte for byte. One line: it never contains a line break.
    pub data: String,
    /// How far the source's clock is off when it stamps the update, in microseconds: a fault, otherwise 0.
    pub source_offset_us: i64,
}

impl Publication {
    /// An update of `topic`.
    pub fn new(topic: &str, kind: Kind, data: String) -> Self {
        Publication { topic: topic.to_owned(), kind, data, source_offset_us: 0 }
    }

    /// Appends the update as one NDJSON line, as `POST /v1/publish` takes it.
    pub fn write_line(&self, line: &mut String) {
        self.open_line(line);
        line.push_str("}\n");
    }

    /// Appends the update as a line of a recording: like [`Publication::write_line`], and with `due_us`, the feed's own
    /// time (an unknown field to the broker's endpoint, which refuses it).
    pub fn write_timed_line(&self, due_us: u64, line: &mut String) {
        self.open_line(line);
        // A `String` takes whatever is written to it.
        let _ = writeln!(line, ",\"due_us\":{due_us}}}");
    }

    fn open_line(&self, line: &mut String) {
        line.push_str("{\"topic\":");
        push_string(line, &self.topic);
        line.push_str(",\"kind\":\"");
        line.push_str(self.kind.as_str());
        line.push_str("\",\"data\":");
        line.push_str(&self.data);
    }

    /// About how many bytes it takes on the wire; batches are bounded by this.
    pub fn bytes(&self) -> usize {
        wire_bytes(&self.topic, &self.data)
    }
}

/// About how many bytes an update takes on the wire.
pub(crate) fn wire_bytes(topic: &str, data: &str) -> usize {
    /// `{"topic":"","kind":"state","data":}` and, for a broker, the source fields beside it.
    const ENVELOPE_BYTES: usize = 140;
    topic.len() + data.len() + ENVELOPE_BYTES
}

/// A publication and the moment at which it is due, in microseconds of the feed's own clock, which starts at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// Never less than that of the publication before.
    pub due_us: u64,
    /// The update to publish then.
    pub publication: Publication,
}

/// A piece of a recording that could not be used, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its position in the recording: `line 17`.
    pub position: String,
    /// What is wrong with it.
    pub reason: String,
    /// Whether nothing can be read after it: the recording is truncated or its compression is damaged.
    pub ends_recording: bool,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.reason)
    }
}

impl std::error::Error for BadRecord {}

/// The number of records that a feed read, and of those that it did not turn into publications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Records read from the recording, good and bad; 0 for a simulated feed.
    pub records: u64,
    /// Records that could not be used; each was reported once as a [`BadRecord`].
    pub bad: u64,
    /// Records left out on purpose, because a snapshot includes them.
    pub superseded: u64,
    /// Breaks in the venue's own sequence: the recording itself lacks something there.
    pub venue_gaps: u64,
    /// Updates that are not played because only a part of the recording is: those from before its start, those of other
    /// symbols, and the one at which it stops (later ones are not read).
    pub left_out: u64,
    /// Updates that stand for no record: the states of topics from before the start, when the window opens, and the
    /// empty states of topics whose first record is a patch.
    pub images: u64,
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            records: self.records + other.records,
            bad: self.bad + other.bad,
            superseded: self.superseded + other.superseded,
            venue_gaps: self.venue_gaps + other.venue_gaps,
            left_out: self.left_out + other.left_out,
            images: self.images + other.images,
        }
    }
}

/// The time that the recording itself gives for the moment when the feed's own clock is at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nanoseconds since the UNIX epoch.
    Epoch {
        /// See above.
        ns: u64,
    },
    /// Nanoseconds since midnight at the venue; the recording does not say on which day.
    Midnight {
        /// See above.
        ns: u64,
    },
}

/// Where updates come from, simulated or recorded: [`Timed`] publications in order of `due_us`.
pub trait Feed: Iterator<Item = Result<Timed, BadRecord>> + Send {
    /// What has been read so far.
    fn counts(&self) -> Counts {
        Counts::default()
    }

    /// The faults that have been injected so far; `None` if the feed injects none.
    fn faults(&self) -> Option<FaultCounts> {
        None
    }

    /// The time at the beginning, known with the first publication; `None` if the feed has no such times.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// Ready if `next` returns without waiting for the writer of a pipe; otherwise `context` is woken when it would.
    /// Most feeds are always ready: a file does not wait for anyone.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Feed for Box<dyn Feed> {
    fn counts(&self) -> Counts {
        (**self).counts()
    }

    fn faults(&self) -> Option<FaultCounts> {
        (**self).faults()
    }

    fn origin(&self) -> Option<Origin> {
        (**self).origin()
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        (**self).poll_ready(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_http_endpoint_takes() {
        let mut line = String::new();
        Publication::new("a.b", Kind::Patch, r#"{"x":null}"#.into()).write_line(&mut line);
        Publication::new("q\"\n", Kind::State, "1.50".into()).write_line(&mut line);
        assert_eq!(
            line,
            "{\"topic\":\"a.b\",\"kind\":\"patch\",\"data\":{\"x\":null}}\n\
             {\"topic\":\"q\\\"\\n\",\"kind\":\"state\",\"data\":1.50}\n"
        );
        line.clear();
        Publication::new("a.b", Kind::Event, "{}".into()).write_timed_line(1_500, &mut line);
        assert_eq!(line, "{\"topic\":\"a.b\",\"kind\":\"event\",\"data\":{},\"due_us\":1500}\n");
    }
}
