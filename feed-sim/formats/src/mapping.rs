//! Mappings: which columns of an unknown table are topic, time, kind and data.
//!
//! A mapping is a TOML file:
//!
//! ```toml
//! topic = "iot.{device}.{sensor}"
//! kind = "state"                            # or { field = "type", values = { T = "event", Q = "state", X = "skip" } }
//! time = { field = "ts", unit = "ms" }      # or { every = "100ms" }
//!
//! [data]                                    # or data = "record", the whole record
//! value = { field = "reading", as = "number" }
//! unit = "unit"                             # the same as { field = "unit" }
//!
//! [csv]                                     # for the format csv only
//! delimiter = ";"
//! header = true                             # or false (columns are "1", "2", …), or a list of names
//! quote = "'"                               # or "" if nothing is quoted
//! ```

mod section;
mod template;
mod time;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::moment;
use feed_player::publication::{Kind, push_string};
use section::Section;
pub(super) use template::Template;
pub(super) use time::{Since, TimeOf, Unit, time_of_day_ns, utc_ns};

/// The meaning of a record's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Every field that the mapping names; the rest of the mapping refers to them by their index here.
    pub(super) fields: Fields,
    pub(super) topic: Template,
    pub(super) time: TimeOf,
    pub(super) kind: KindOf,
    pub(super) data: DataOf,
    pub(super) csv: CsvForm,
}

/// The names of columns, or JSON pointers, and the key that named each first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) names: Vec<String>,
    /// The key of the mapping, for the error if there is no such column.
    pub(super) named_by: Vec<String>,
}

/// The index of a field's name in [`Fields`].
pub(super) type FieldId = usize;

/// The source of the kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KindOf {
    Constant(Kind),
    /// By the text of a field; `None` skips the record.
    Field(FieldId, BTreeMap<String, Option<Kind>>),
}

/// The source of the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DataOf {
    Record,
    Fields(Vec<Member>),
}

/// A member of the object that is published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// Its name, as a JSON string.
    pub(super) key: String,
    pub(super) field: FieldId,
    /// `None` keeps the field's own type: text in CSV, any in JSON.
    pub(super) form: Option<Form>,
}

/// The type that a field is published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Number,
    Json,
}

/// The notation of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvForm {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) header: Header,
}

/// The source of the columns' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    FirstLine,
    /// The columns have no names: they are `1`, `2` and so on.
    Numbers,
    Names(Vec<String>),
}

/// A mapping that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("the mapping cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The content is wrong; the text names the key and what is allowed.
    #[error("the mapping is wrong: {0}")]
    Wrong(String),
}

impl Mapping {
    /// Reads the mapping in a file.
    pub fn load(path: &Path) -> Result<Mapping, MappingError> {
        Mapping::parse(&fs::read_to_string(path).map_err(MappingError::Unreadable)?)
    }

    /// Reads a mapping from TOML.
    pub fn parse(text: &str) -> Result<Mapping, MappingError> {
        let table: toml::Table = text.parse().map_err(|error| MappingError::Wrong(format!("not TOML: {error}")))?;
        Mapping::of(&Section::top(&table)).map_err(MappingError::Wrong)
    }

    fn of(top: &Section<'_>) -> Result<Mapping, String> {
        top.only(&["topic", "time", "kind", "data", "csv"])?;
        let mut fields = Fields::default();
        let topic =
            Template::parse(top.required_text("topic", "a template such as \"iot.{device}.{sensor}\"")?, |name| {
                fields.id(name, "topic")
            })
            .map_err(|reason| format!("topic: {reason}"))?;
        let time = time(top, &mut fields)?;
        let kind = kind(top, &mut fields)?;
        let data = data(top, &mut fields)?;
        let csv = csv(top)?;
        Ok(Mapping { fields, topic, time, kind, data, csv })
    }
}

impl Fields {
    fn id(&mut self, name: &str, named_by: &str) -> FieldId {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.named_by.push(named_by.to_owned());
            self.names.len() - 1
        })
    }
}

const TIME_FORMS: &str = "{ field = \"…\", unit = \"s\" } or { every = \"100ms\" }";

fn time(top: &Section<'_>, fields: &mut Fields) -> Result<TimeOf, String> {
    let time = top.section("time")?.ok_or_else(|| format!("time is missing: {TIME_FORMS}"))?;
    if let Some(every) = time.text("every")? {
        time.only(&["every"])?;
        let every_us = moment::duration_us(every).map_err(|reason| format!("time.every: {reason}"))?;
        return Ok(TimeOf::Every { every_us });
    }
    time.only(&["field", "unit", "since", "every"])?;
    let field = fields.id(time.required_text("field", "the name of a field, or `every` instead")?, "time.field");
    let unit = time.required_choice("unit", Unit::ALL)?;
    let since = time.choice("since", Since::ALL)?;
    match (unit, since) {
        (Unit::Rfc3339 | Unit::TimeOfDay, Some(_)) => Err("time.since is for units that are numbers".to_owned()),
        (Unit::TimeOfDay, None) => Ok(TimeOf::Field { field, unit, since: Since::Midnight }),
        (_, since) => Ok(TimeOf::Field { field, unit, since: since.unwrap_or(Since::Epoch) }),
    }
}

const KINDS: &[(&str, Kind)] = &[("event", Kind::Event), ("state", Kind::State), ("patch", Kind::Patch)];
const KINDS_AND_SKIP: &[(&str, Option<Kind>)] =
    &[("event", Some(Kind::Event)), ("state", Some(Kind::State)), ("patch", Some(Kind::Patch)), ("skip", None)];

fn kind(top: &Section<'_>, fields: &mut Fields) -> Result<KindOf, String> {
    if !top.is_table("kind") {
        return Ok(KindOf::Constant(top.required_choice("kind", KINDS)?));
    }
    let kind = top.section("kind")?.ok_or("kind is missing")?;
    kind.only(&["field", "values"])?;
    let field = fields.id(kind.required_text("field", "the name of a field")?, "kind.field");
    let values = match kind.section("values")? {
        Some(values) => values
            .keys()
            .map(|text| Ok((text.to_owned(), values.required_choice(text, KINDS_AND_SKIP)?)))
            .collect::<Result<_, String>>()?,
        None => KINDS.iter().map(|(text, kind)| ((*text).to_owned(), Some(*kind))).collect(),
    };
    Ok(KindOf::Field(field, values))
}

const FORMS: &[(&str, Form)] = &[("string", Form::Text), ("number", Form::Number), ("json", Form::Json)];

fn data(top: &Section<'_>, fields: &mut Fields) -> Result<DataOf, String> {
    if !top.is_table("data") {
        return match top.text("data")? {
            None | Some("record") => Ok(DataOf::Record),
            Some(other) => Err(format!("data: {other:?} is neither \"record\" nor a table of what to publish")),
        };
    }
    let data = top.section("data")?.ok_or("data is missing")?;
    let member = |key: &str| {
        let (name, form) = if data.is_table(key) {
            let member = data.section(key)?.ok_or("data is missing")?;
            member.only(&["field", "as"])?;
            (member.required_text("field", "the name of a field")?.to_owned(), member.choice("as", FORMS)?)
        } else {
            (data.required_text(key, "the name of a field")?.to_owned(), None)
        };
        let field = fields.id(&name, &format!("data.{key}"));
        let mut quoted = String::new();
        push_string(&mut quoted, key);
        Ok(Member { key: quoted, field, form })
    };
    Ok(DataOf::Fields(data.keys().map(member).collect::<Result<_, String>>()?))
}

fn csv(top: &Section<'_>) -> Result<CsvForm, String> {
    let mut form = CsvForm { delimiter: b',', quote: Some(b'"'), header: Header::FirstLine };
    let Some(csv) = top.section("csv")? else { return Ok(form) };
    csv.only(&["delimiter", "header", "quote"])?;
    let character = |key: &str, text: &str| match text.as_bytes() {
        &[byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(byte),
        _ => Err(format!("csv.{key}: {text:?} is not a single ASCII character")),
    };
    if let Some(text) = csv.text("delimiter")? {
        form.delimiter = character("delimiter", text)?;
    }
    match csv.text("quote")? {
        None => {}
        Some("") => form.quote = None,
        Some(text) => form.quote = Some(character("quote", text)?),
    }
    if form.quote == Some(form.delimiter) {
        return Err("csv.quote is the same as csv.delimiter".to_owned());
    }
    form.header = match csv.value("header") {
        None | Some(toml::Value::Boolean(true)) => Header::FirstLine,
        Some(toml::Value::Boolean(false)) => Header::Numbers,
        Some(toml::Value::Array(names)) => Header::Names(
            names
                .iter()
                .map(|name| name.as_str().map(str::to_owned).ok_or("csv.header: every name is a text"))
                .collect::<Result<_, _>>()?,
        ),
        Some(_) => return Err("csv.header is true, false, or a list of names".to_owned()),
    };
    Ok(form)
}
