//! Any CSV, with a mapping.

use std::borrow::Cow;
use std::io::{self, Read};

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::Reader;
use super::mapped::{Cell, Mapper, Record};
use super::mapping::{FieldId, Header, Mapping};
use feed_player::publication::{BadRecord, Counts, Feed, Origin, Timed, push_string};

/// What `feed-sim describe csv` prints.
pub const DESCRIPTION: &str = "\
CSV, with or without a header, and a mapping (--mapping FILE.toml) that says what its columns mean:
  topic = \"iot.{device}.{sensor}\"             columns in braces; their values must not contain dots
  kind = \"state\"                              event, state or patch; or by a column:
                                              { field = \"type\", values = { T = \"event\", Q = \"state\", X = \"skip\" } }
  time = { field = \"ts\", unit = \"ms\" }        s, ms, us, ns (since = \"epoch\" or \"midnight\"), rfc3339 or hh:mm:ss;
                                              or { every = \"100ms\" }
  [data]                                      or data = \"record\", all columns as texts
  celsius = { field = \"value\", as = \"number\" }   string, number (empty is null) or json
  unit = \"unit\"                               the same as { field = \"unit\" }
  [csv]
  delimiter = \";\"                             a comma by default
  header = true                               or false (columns are \"1\", \"2\", …), or the list of their names
  quote = \"'\"                                 a double quote by default; \"\" if nothing is quoted";

/// The longest record in bytes: a quote that is never closed extends to the end of the file.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// The feed of a table.
pub struct Csv {
    reader: csv::Reader<Bounded>,
    record: StringRecord,
    /// The column of each of the mapping's fields.
    columns: Vec<usize>,
    /// The names of all columns.
    names: StringRecord,
    mapper: Mapper,
    records: u64,
    bad: u64,
    over: bool,
}

impl Csv {
    /// Reads the header. An error if it lacks a column that the mapping names.
    pub fn new(reader: Reader, mapping: Mapping) -> io::Result<Self> {
        let form = &mapping.csv;
        let mut reader = ReaderBuilder::new()
            .delimiter(form.delimiter)
            .quoting(form.quote.is_some())
            .quote(form.quote.unwrap_or(b'"'))
            .has_headers(form.header == Header::FirstLine)
            .from_reader(Bounded { reader, left_bytes: RECORD_BYTES_MAX });
        let first = reader.headers().map_err(|error| invalid(reason(&error)))?;
        let names = match &form.header {
            Header::FirstLine => first.clone(),
            Header::Numbers => (1..=first.len()).map(|number| number.to_string()).collect(),
            Header::Names(names) if first.is_empty() || names.len() == first.len() => names.iter().collect(),
            Header::Names(names) => {
                let reason = format!(
                    "csv.header of the mapping names {} columns, but the file has {}",
                    names.len(),
                    first.len()
                );
                return Err(invalid(reason));
            }
        };
        let columns = columns(&names, &mapping)?;
        let record = StringRecord::new();
        Ok(Csv { reader, record, columns, names, mapper: Mapper::new(mapping), records: 0, bad: 0, over: false })
    }

    fn read(&mut self) -> Option<Result<Option<Timed>, BadRecord>> {
        self.reader.get_mut().left_bytes = RECORD_BYTES_MAX;
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let record = Row { record: &self.record, columns: &self.columns, names: &self.names };
                let timed = self.mapper.map(self.records, &record);
                self.records += 1;
                Some(timed.map_err(|reason| bad(self.record.position(), reason, false)))
            }
            Err(error) => {
                self.records += 1;
                let cut = error.is_io_error();
                self.over = cut;
                // The reader is at the line that it could not read to the end.
                let position = error.position().or(Some(self.reader.position()));
                Some(Err(bad(position, reason(&error), cut)))
            }
        }
    }
}

fn columns(names: &StringRecord, mapping: &Mapping) -> io::Result<Vec<usize>> {
    let all = || names.iter().collect::<Vec<_>>().join(", ");
    if let Some((_, twice)) =
        names.iter().enumerate().find(|(nth, name)| names.iter().take(*nth).any(|other| other == *name))
    {
        return Err(invalid(format!("two columns are called {twice:?}; the columns are {}", all())));
    }
    let fields = &mapping.fields;
    let column = |(name, named_by): (&String, &String)| {
        names.iter().position(|column| column == name).ok_or_else(|| {
            invalid(format!(
                "{named_by} of the mapping names the column {name:?}, which does not exist; the columns are {}",
                all()
            ))
        })
    };
    fields.names.iter().zip(&fields.named_by).map(column).collect()
}

impl Iterator for Csv {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.read() {
                Some(Ok(None)) => {}
                Some(Ok(Some(timed))) => return Some(Ok(timed)),
                Some(Err(bad)) => {
                    self.bad += 1;
                    return Some(Err(bad));
                }
                None => self.over = true,
            }
        }
        None
    }
}

impl Feed for Csv {
    fn counts(&self) -> Counts {
        Counts { records: self.records, bad: self.bad, ..Counts::default() }
    }

    fn origin(&self) -> Option<Origin> {
        self.mapper.origin()
    }
}

struct Row<'a> {
    record: &'a StringRecord,
    columns: &'a [usize],
    names: &'a StringRecord,
}

impl Record for Row<'_> {
    fn cell(&self, field: FieldId) -> Cell<'_> {
        let text = self.columns.get(field).and_then(|column| self.record.get(*column));
        text.map_or(Cell::Missing, |text| Cell::Text(Cow::Borrowed(text)))
    }

    fn push_whole(&self, data: &mut String) {
        for (nth, (name, text)) in self.names.iter().zip(self.record).enumerate() {
            data.push(if nth == 0 { '{' } else { ',' });
            push_string(data, name);
            data.push(':');
            push_string(data, text);
        }
        data.push('}');
    }
}

/// A reader that fails after `left_bytes`, which is set again for each record.
struct Bounded {
    reader: Reader,
    left_bytes: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left_bytes == 0 {
            let reason = format!("a record is longer than {RECORD_BYTES_MAX} bytes: is a quote not closed?");
            return Err(invalid(reason));
        }
        let read = self.reader.read(buffer)?;
        self.left_bytes = self.left_bytes.saturating_sub(read as u64);
        Ok(read)
    }
}

fn reason(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns, but the records before have {expected_len}")
        }
        ErrorKind::Utf8 { err, .. } => format!("not UTF-8: {err}"),
        ErrorKind::Io(error) => format!("the recording cannot be read from here on: {error}"),
        _ => error.to_string(),
    }
}

fn bad(position: Option<&csv::Position>, reason: String, ends_recording: bool) -> BadRecord {
    let position = position.map_or_else(|| "somewhere".to_owned(), |position| format!("line {}", position.line()));
    BadRecord { position, reason, ends_recording }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
