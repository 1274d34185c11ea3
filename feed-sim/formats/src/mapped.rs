//! Turns a record of any table into an update, by a mapping.

use std::borrow::Cow;

use serde_json::Number;
use serde_json::value::RawValue;

use super::clock::Clock;
use super::mapping::{DataOf, FieldId, Form, KindOf, Mapping, Member, Since, TimeOf, Unit};
use feed_player::publication::{Kind, Origin, Publication, Timed, push_string};

/// A record in any notation.
pub(super) trait Record {
    /// Returns a field.
    fn cell(&self, field: FieldId) -> Cell<'_>;

    /// Appends the whole record as JSON without line breaks.
    fn push_whole(&self, data: &mut String);
}

/// A field of a record.
pub(super) enum Cell<'a> {
    Missing,
    Null,
    Text(Cow<'a, str>),
    /// A number or a boolean, as it is written.
    Scalar(String),
    /// An array or an object, as JSON.
    Compound(String),
}

/// Turns records into updates.
pub(super) struct Mapper {
    mapping: Mapping,
    clock: Clock,
    /// How many midnights have passed, for times of day.
    days: u64,
    last_of_day_ns: u64,
}

/// A time of day that goes back by more than this has passed midnight.
const HALF_DAY_NS: u64 = 12 * 3_600 * 1_000_000_000;

impl Mapper {
    pub(super) fn new(mapping: Mapping) -> Self {
        Mapper { mapping, clock: Clock::default(), days: 0, last_of_day_ns: 0 }
    }

    /// Returns what the record with this index publishes; `None` if its kind is to be skipped. An error changes
    /// nothing.
    pub(super) fn map(&mut self, index: u64, record: &impl Record) -> Result<Option<Timed>, String> {
        let Some(kind) = self.kind(record)? else { return Ok(None) };
        let topic = self.mapping.topic.fill(|field| self.text(record, field))?;
        let mut data = String::new();
        match &self.mapping.data {
            DataOf::Record => record.push_whole(&mut data),
            DataOf::Fields(members) => self.push_object(members, record, &mut data)?,
        }
        let due_us = self.due_us(index, record)?;
        Ok(Some(Timed { due_us, publication: Publication::new(&topic, kind, data) }))
    }

    /// Returns the recording's time when the feed's clock was 0.
    pub(super) fn origin(&self) -> Option<Origin> {
        let ns = self.clock.first_ns()?;
        match self.mapping.time {
            TimeOf::Every { .. } => None,
            TimeOf::Field { since: Since::Epoch, .. } => Some(Origin::Epoch { ns }),
            TimeOf::Field { since: Since::Midnight, .. } => Some(Origin::Midnight { ns }),
        }
    }

    fn kind(&self, record: &impl Record) -> Result<Option<Kind>, String> {
        match &self.mapping.kind {
            KindOf::Constant(kind) => Ok(Some(*kind)),
            KindOf::Field(field, values) => {
                let text = self.text(record, *field)?;
                values.get(&*text).copied().ok_or_else(|| {
                    let known: Vec<&str> = values.keys().map(String::as_str).collect();
                    format!("the kind {text:?} is not one of the mapping's values, {}", known.join(", "))
                })
            }
        }
    }

    fn due_us(&mut self, index: u64, record: &impl Record) -> Result<u64, String> {
        let (field, unit) = match self.mapping.time {
            TimeOf::Every { every_us } => return Ok(index.saturating_mul(every_us)),
            TimeOf::Field { field, unit, .. } => (field, unit),
        };
        let mut ns = unit.parse_ns(&self.text(record, field)?)?;
        if unit == Unit::TimeOfDay {
            if self.last_of_day_ns > ns && self.last_of_day_ns - ns > HALF_DAY_NS {
                self.days += 1;
            }
            self.last_of_day_ns = ns;
            ns += self.days * 2 * HALF_DAY_NS;
        }
        Ok(self.clock.advance_us(ns))
    }

    fn text<'a>(&self, record: &'a impl Record, field: FieldId) -> Result<Cow<'a, str>, String> {
        let name = || self.mapping.fields.names.get(field).map_or("", String::as_str);
        match record.cell(field) {
            Cell::Text(text) => Ok(text),
            Cell::Scalar(text) => Ok(text.into()),
            Cell::Missing => Err(format!("there is no field {:?}", name())),
            Cell::Null => Err(format!("the field {:?} is null", name())),
            Cell::Compound(_) => Err(format!("the field {:?} is neither a text nor a number", name())),
        }
    }

    /// Appends the object of a record. A member whose field is missing is left out.
    fn push_object(&self, members: &[Member], record: &impl Record, data: &mut String) -> Result<(), String> {
        data.push('{');
        for Member { key, field, form } in members {
            let cell = record.cell(*field);
            if matches!(cell, Cell::Missing) {
                continue;
            }
            if data.len() > 1 {
                data.push(',');
            }
            data.push_str(key);
            data.push(':');
            push_cell(cell, *form, data).map_err(|reason| format!("{key}: {reason}"))?;
        }
        data.push('}');
        Ok(())
    }
}

fn push_cell(cell: Cell<'_>, form: Option<Form>, data: &mut String) -> Result<(), String> {
    match (form, cell) {
        (_, Cell::Missing | Cell::Null) => data.push_str("null"),
        (None | Some(Form::Text), Cell::Text(text)) => push_string(data, &text),
        (Some(Form::Text), Cell::Scalar(text) | Cell::Compound(text)) => push_string(data, &text),
        (None | Some(Form::Json), Cell::Scalar(json) | Cell::Compound(json)) => data.push_str(&json),
        (Some(Form::Json), Cell::Text(text)) => {
            let json: &RawValue = serde_json::from_str(&text).map_err(|error| format!("not JSON: {error}"))?;
            push_on_one_line(json.get(), data);
        }
        // An empty cell is a reading that was not taken.
        (Some(Form::Number), Cell::Text(text)) if text.trim_ascii().is_empty() => data.push_str("null"),
        (Some(Form::Number), Cell::Text(text)) => push_number(&text, data)?,
        (Some(Form::Number), Cell::Scalar(text) | Cell::Compound(text)) => push_number(&text, data)?,
    }
    Ok(())
}

fn push_number(text: &str, data: &mut String) -> Result<(), String> {
    let number: Number = text.trim_ascii().parse().map_err(|_| format!("{text:?} is not a number as JSON has it"))?;
    data.push_str(number.as_str());
    Ok(())
}

/// Appends JSON on one line. A line break can only be between tokens, where a blank means the same.
pub(super) fn push_on_one_line(json: &str, data: &mut String) {
    data.extend(json.chars().map(|character| if matches!(character, '\n' | '\r') { ' ' } else { character }));
}
