//! Lines of JSON: our own, which say themselves where they belong, and any others with a mapping.

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
A JSON value on each line. Without a mapping they are updates, as --to FILE.ndjson writes them and POST /v1/publish takes
them: {\"topic\",\"kind\",\"data\"}, and \"due_us\", microseconds of the feed's clock; what has none goes out with the one
before. With a mapping (--mapping FILE.toml) they are anything, and the mapping says what their fields mean:
  topic = \"chat.{/room/name}\"                 fields in braces: a key, or a JSON pointer where it begins with a slash
  kind = \"event\"                              event, state or patch; or by a field:
                                              { field = \"type\", values = { said = \"event\", topic = \"state\", ping = \"skip\" } }
  time = { field = \"at\", unit = \"rfc3339\" }   s, ms, us, ns (since = \"epoch\" or \"midnight\"), rfc3339 or hh:mm:ss;
                                              or { every = \"100ms\" }
  [data]                                      or data = \"record\", the whole line
  text = \"text\"                               as it is; a field that is missing is left out
  user = { field = \"/user/id\", as = \"string\" }   string, number, or json (a text that is JSON itself)";

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
    /// Lines that are updates.
    pub fn updates(reader: Reader) -> Self {
        let mut clock = Clock::default();
        // Their clock is ours, also where the first of them is not at 0.
        let now_us = clock.advance_us(0);
        Ndjson { lines: Lines::new(reader), form: Form::Updates { clock, now_us }, records: 0, bad: 0 }
    }

    /// Lines that are anything.
    pub fn mapped(reader: Reader, mapping: Mapping) -> Self {
        let pointers = mapping.fields.names.iter().map(|name| pointer(name)).collect();
        let form = Form::Any { mapper: Box::new(Mapper::new(mapping)), pointers };
        Ndjson { lines: Lines::new(reader), form, records: 0, bad: 0 }
    }
}

/// A key as a JSON pointer (RFC 6901), or a pointer as it is.
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

/// A line as `POST /v1/publish` takes it, and when it is due.
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
    // What the endpoint takes beside them: they belong to who published it first.
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
        Some(text) => Kind::parse(&text).ok_or_else(|| format!("the kind {text:?} is none of event, state, patch"))?,
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
