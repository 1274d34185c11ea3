//! Lines of JSON: updates with their topics, as we write them, and any others with a mapping.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Reader;
use super::clock::Clock;
use super::lines::Lines;
use super::mapped::{Cell, Mapper, Record, push_on_one_line};
use super::mapping::{FieldId, Mapping};
use broker_protocol::topic::check_topic;
use feed_player::publication::{BadRecord, Counts, Feed, Kind, Origin, Publication, Timed};

/// What `feed-sim describe ndjson` prints.
pub const DESCRIPTION: &str = "\
A JSON value on each line. Without a mapping they are updates, as --to FILE.ndjson writes them and POST /v1/publish accepts
them: {\"topic\",\"kind\",\"data\"}, and \"due_us\", microseconds of the feed's clock; an update without it goes out with
the one before. With a mapping (--mapping FILE.toml) they are anything, and the mapping says what their fields mean:
  topic = \"chat.{/room/name}\"                 fields in braces: a key, or a JSON pointer if it begins with a slash
  kind = \"event\"                              event, state or patch; or by a field:
                                              { field = \"type\", values = { said = \"event\", topic = \"state\", ping = \"skip\" } }
  time = { field = \"at\", unit = \"rfc3339\" }   s, ms, us, ns (since = \"epoch\" or \"midnight\"), rfc3339 or hh:mm:ss;
                                              or { every = \"100ms\" }
  [data]                                      or data = \"record\", the whole line
  text = \"text\"                               unchanged; a field that is missing is left out
  user = { field = \"/user/id\", as = \"string\" }   string, number, or json (a string that contains JSON)";

/// The feed of lines.
pub struct Ndjson {
    lines: Lines,
    form: Form,
    records: u64,
    bad: u64,
}

enum Form {
    Updates { clock: Clock, now_us: u64 },
    Any { mapper: Box<Mapper>, pointers: Vec<String> },
}

impl Ndjson {
    /// Reads lines that are updates.
    pub fn updates(reader: Reader) -> Self {
        let mut clock = Clock::default();
        // Their clock is the feed's, even if the first line is not at 0.
        let now_us = clock.advance_us(0);
        Ndjson { lines: Lines::new(reader), form: Form::Updates { clock, now_us }, records: 0, bad: 0 }
    }

    /// Reads any lines, with a mapping.
    pub fn mapped(reader: Reader, mapping: Mapping) -> Self {
        let pointers = mapping.fields.names.iter().map(|name| pointer(name)).collect();
        let form = Form::Any { mapper: Box::new(Mapper::new(mapping)), pointers };
        Ndjson { lines: Lines::new(reader), form, records: 0, bad: 0 }
    }
}

/// Returns a key as a JSON pointer (RFC 6901), or a pointer unchanged.
fn pointer(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{}", name.replace('~', "~0").replace('/', "~1")) }
}

impl Form {
    fn timed(&mut self, index: u64, line: &[u8]) -> Result<Option<Timed>, String> {
        let line = str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
        match self {
            Form::Updates { clock, now_us } => {
                let (due_us, publication) = update(line)?;
                if let Some(due_us) = due_us {
                    *now_us = clock.advance_us(due_us.saturating_mul(1_000));
                }
                Ok(Some(Timed { due_us: *now_us, publication }))
            }
            Form::Any { mapper, pointers } => {
                let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
                mapper.map(index, &Line { line, value, pointers })
            }
        }
    }
}

/// A line as `POST /v1/publish` accepts it, with the time when it is due.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
    due_us: Option<u64>,
    // The endpoint accepts these too. They are ignored: they identify the original publisher.
    #[serde(borrow, rename = "source")]
    _source: Option<&'a RawValue>,
    #[serde(borrow, rename = "source_seq")]
    _source_seq: Option<&'a RawValue>,
    #[serde(borrow, rename = "source_ts")]
    _source_ts: Option<&'a RawValue>,
}

fn update(line: &str) -> Result<(Option<u64>, Publication), String> {
    let update: Update<'_> = serde_json::from_str(line)
        .map_err(|error| format!("not an update such as {{\"topic\":…,\"kind\":…,\"data\":…}}: {error}"))?;
    check_topic(&update.topic).map_err(|error| error.to_string())?;
    let kind = match update.kind {
        Some(text) => {
            Kind::parse(&text).ok_or_else(|| format!("the kind {text:?} is not one of event, state, patch"))?
        }
        None => Kind::Event,
    };
    let mut data = String::new();
    push_on_one_line(update.data.get(), &mut data);
    Ok((update.due_us, Publication::new(&update.topic, kind, data)))
}

struct Line<'a> {
    line: &'a str,
    value: Value,
    pointers: &'a [String],
}

impl Record for Line<'_> {
    fn cell(&self, field: FieldId) -> Cell<'_> {
        let value = self.pointers.get(field).and_then(|pointer| self.value.pointer(pointer));
        match value {
            None => Cell::Missing,
            Some(Value::Null) => Cell::Null,
            Some(Value::String(text)) => Cell::Text(Cow::Borrowed(text)),
            Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Cell::Scalar(scalar.to_string()),
            Some(compound) => Cell::Compound(compound.to_string()),
        }
    }

    fn push_whole(&self, data: &mut String) {
        push_on_one_line(self.line, data);
    }
}

impl Iterator for Ndjson {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            let index = self.records;
            self.records += 1;
            let result = match line {
                Ok(line) => self.form.timed(index, line).map_err(|reason| self.lines.bad(reason)),
                Err(bad) => Err(bad),
            };
            match result {
                Ok(Some(timed)) => return Some(Ok(timed)),
                Ok(None) => {}
                Err(bad) => {
                    self.bad += 1;
                    return Some(Err(bad));
                }
            }
        }
    }
}

impl Feed for Ndjson {
    fn counts(&self) -> Counts {
        Counts { records: self.records, bad: self.bad, ..Counts::default() }
    }

    fn origin(&self) -> Option<Origin> {
        match &self.form {
            Form::Updates { .. } => None,
            Form::Any { mapper, .. } => mapper.origin(),
        }
    }
}
