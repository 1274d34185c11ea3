//! The fields of a payload, and those of the head and the tail.

use broker_engine::log::record::{EXACT_MAX, NAME_BYTES_MAX, RULES_MAX};
use broker_engine::log::sessions::NODES_MAX;
use broker_engine::log::varint::{self, VarintError};
use broker_engine::log::{NodeSession, Rule, Settings};
use broker_engine::{Meanwhile, Places};
use broker_protocol::topic::check_topic;
use broker_protocol::{Kind, Pattern};

use super::error::Flaw;
use super::{COUNT_MAX, Head, Tail};
use crate::store::Generation;

pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::push(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn push_option<T>(out: &mut Vec<u8>, value: Option<T>, push: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        push(out, value);
    }
}

/// Returns the code of a kind; 0 is none.
pub(super) fn kind_code(kind: Option<Kind>) -> u8 {
    match kind {
        None => 0,
        Some(Kind::Event) => 1,
        Some(Kind::State) => 2,
        Some(Kind::Patch) => 3,
    }
}

/// What is left of a payload.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Decodes a payload that has nothing else than what `read` takes.
    pub(super) fn whole<T>(payload: &'a [u8], read: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        let mut fields = Fields(payload);
        let value = read(&mut fields)?;
        if fields.0.is_empty() { Ok(value) } else { Err(Flaw::Trailing(fields.0.len() as u64)) }
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Flaw::TooShort)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Places in the log, at least one.
    fn places(&mut self) -> Result<Places, Flaw> {
        let first = self.up_to(COUNT_MAX, "a place")?;
        Places::from_parts(first, self.bytes()?).ok_or(Flaw::Value("the places"))
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, Flaw> {
        match self.fixed()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Flaw::Value(field)),
        }
    }

    pub(super) fn option<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, Flaw>,
    ) -> Result<Option<T>, Flaw> {
        if self.flag(field)? { read(self).map(Some) } else { Ok(None) }
    }

    pub(super) fn kind(&mut self) -> Result<Option<Kind>, Flaw> {
        match self.fixed()? {
            [0] => Ok(None),
            [1] => Ok(Some(Kind::Event)),
            [2] => Ok(Some(Kind::State)),
            [3] => Ok(Some(Kind::Patch)),
            _ => Err(Flaw::Value("a kind")),
        }
    }

    pub(super) fn integer(&mut self) -> Result<u64, Flaw> {
        varint::take(&mut self.0).map_err(|error| match error {
            VarintError::TooShort => Flaw::TooShort,
            VarintError::NotShortest => Flaw::Integer(error),
        })
    }

    /// An integer of at most `max`.
    pub(super) fn up_to(&mut self, max: u64, field: &'static str) -> Result<u64, Flaw> {
        Some(self.integer()?).filter(|value| *value <= max).ok_or(Flaw::Value(field))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Flaw> {
        let length = usize::try_from(self.integer()?).map_err(|_| Flaw::TooShort)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Flaw::TooShort)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A text of at most `bytes_max` bytes.
    pub(super) fn text(&mut self, bytes_max: usize, field: &'static str) -> Result<&'a str, Flaw> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Flaw::Value(field))?;
        if text.len() <= bytes_max { Ok(text) } else { Err(Flaw::Value(field)) }
    }

    pub(super) fn topic_name(&mut self) -> Result<&'a str, Flaw> {
        let name = self.text(usize::MAX, "the name of a topic")?;
        check_topic(name).map_err(Flaw::Topic)?;
        Ok(name)
    }

    /// A list of at most `max` items, each of at least `item_bytes_min` bytes: no more is allocated than the payload can
    /// have.
    pub(super) fn list<T>(
        &mut self,
        max: u64,
        item_bytes_min: usize,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let count = usize::try_from(self.up_to(max, field)?).map_err(|_| Flaw::Value(field))?;
        if count > self.0.len() / item_bytes_min {
            return Err(Flaw::TooShort);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

impl Head {
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        let Head { generation, position, commands, sessions, settings, record_check, saved_us } = self;
        out.extend_from_slice(&generation.nonce.to_le_bytes());
        out.extend_from_slice(&record_check.to_le_bytes());
        for value in [generation.start_us, generation.first_ordinal, *position, *commands, *saved_us] {
            varint::push(out, value);
        }
        varint::push(out, sessions.len() as u64);
        for NodeSession { node, session, next, position } in sessions {
            push_bytes(out, node.as_bytes());
            for value in [session, next, position] {
                varint::push(out, *value);
            }
        }
        push_option(out, settings.as_ref(), push_settings);
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Head, Flaw> {
        let (nonce, record_check) = (u64::from_le_bytes(fields.fixed()?), u64::from_le_bytes(fields.fixed()?));
        let start_us = fields.up_to(COUNT_MAX, "the generation's start")?;
        let first_ordinal = fields.up_to(COUNT_MAX, "the generation's first ordinal")?;
        let position = fields.up_to(COUNT_MAX, "the position")?;
        let commands = fields.up_to(COUNT_MAX, "the number of commands")?;
        let saved_us = fields.up_to(COUNT_MAX, "the time")?;
        let sessions = fields.list(NODES_MAX as u64, 4, "the number of sessions", |fields| {
            let node = fields.text(NAME_BYTES_MAX, "the name of a broker")?.into();
            let (session, next) = (fields.integer()?, fields.up_to(EXACT_MAX, "the number of a record")?);
            Ok(NodeSession { node, session, next, position: fields.up_to(COUNT_MAX, "the position of a session")? })
        })?;
        let settings = fields.option("an option", read_settings)?;
        let generation = Generation { nonce, start_us, first_ordinal };
        Ok(Head { generation, position, commands, sessions, settings, record_check, saved_us })
    }
}

impl Tail {
    pub(super) fn push(&self, topics: u64, out: &mut Vec<u8>) {
        varint::push(out, topics);
        varint::push(out, self.complete_at);
        varint::push(out, self.meanwhile.ended.len() as u64);
        for (name, place) in &self.meanwhile.ended {
            push_bytes(out, name.as_bytes());
            varint::push(out, *place);
        }
        // Most have none: then the bytes are those of the time before there were any.
        if !self.meanwhile.refused.is_empty() {
            let (first, bits) = self.meanwhile.refused.parts();
            varint::push(out, first);
            push_bytes(out, bits);
        }
    }

    /// Decodes it, if there were as many topics as it says.
    pub(super) fn read(topics: u64, fields: &mut Fields<'_>) -> Result<Tail, Flaw> {
        if fields.integer()? != topics {
            return Err(Flaw::Value("the number of topics"));
        }
        let complete_at = fields.up_to(COUNT_MAX, "the number of commands")?;
        let ended: Vec<(Box<str>, u64)> = fields.list(COUNT_MAX, 3, "the number of names", |fields| {
            Ok((fields.topic_name()?.into(), fields.up_to(COUNT_MAX, "the place of an end")?))
        })?;
        if !ended.is_sorted_by(|(name, _), (next, _)| name < next) {
            return Err(Flaw::Value("the order of the names"));
        }
        let refused = if fields.is_empty() { Places::default() } else { fields.places()? };
        Ok(Tail { meanwhile: Meanwhile { ended, refused }, complete_at })
    }
}

fn push_settings(out: &mut Vec<u8>, settings: &Settings) {
    let Settings { image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources, rules } = settings;
    for value in [image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources] {
        varint::push(out, *value);
    }
    varint::push(out, rules.len() as u64);
    for Rule { pattern, kind } in rules {
        push_bytes(out, pattern.as_str().as_bytes());
        out.push(kind_code(*kind));
    }
}

fn read_settings(fields: &mut Fields<'_>) -> Result<Settings, Flaw> {
    Ok(Settings {
        image_bytes: fields.integer()?,
        message_bytes: fields.integer()?,
        topics_max: fields.integer()?,
        images_bytes_max: fields.integer()?,
        topic_sources: fields.integer()?,
        rules: fields.list(RULES_MAX as u64, 3, "the number of rules", |fields| {
            let pattern = Pattern::parse(fields.text(usize::MAX, "a pattern")?).map_err(Flaw::Pattern)?;
            Ok(Rule { pattern, kind: fields.kind()? })
        })?,
    })
}
