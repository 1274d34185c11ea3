//! Reading a record's bytes from left to right. Nothing is allocated but the settings' rules.

use broker_protocol::json::Scanner;
use broker_protocol::{Data, Kind, Pattern};

use crate::log::digest::Digest;
use crate::log::varint::{self, VarintError};

use super::entry::{Entry, Rule, Settings, flag, kind_of, tag};
use super::error::Flaw;
use super::{COMMANDS_MAX, RULES_MAX, check};

/// The shortest rule: its pattern's length, one byte of it, and its kind.
const RULE_BYTES_MIN: usize = 3;

/// What is left of a record's bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Returns how many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        self.fixed().map(|[byte]| byte)
    }

    /// Reads the session, the record's number and the number of commands.
    pub(super) fn head(&mut self) -> Result<(u64, u64, usize), Flaw> {
        let session = u64::from_le_bytes(self.fixed()?);
        let number = u64::from_le_bytes(self.fixed()?);
        check::exact("the record's number", number)?;
        let count = u32::from_le_bytes(self.fixed()?);
        match usize::try_from(count) {
            Ok(commands) if commands <= COMMANDS_MAX => Ok((session, number, commands)),
            _ => Err(Flaw::TooMany { what: "commands", count: count.into(), max: COMMANDS_MAX }),
        }
    }

    /// Reads the fields of a command; `None` if its kind is unknown.
    pub(super) fn entry(&mut self, kind: u8) -> Result<Option<Entry<'a>>, Flaw> {
        let entry = match kind {
            tag::PUBLISH => self.publish()?,
            tag::END => {
                let topic = self.text("the topic")?;
                let only = if self.option()? { Some((self.text("the epoch")?, self.varint()?)) } else { None };
                Entry::End { topic, only }
            }
            tag::OPEN => Entry::Open { node: self.text("the broker's name")?, session: self.varint()? },
            tag::BEAT => {
                let (node, position) = (self.text("the broker's name")?, self.varint()?);
                let digest = if self.option()? {
                    Some(Digest { block: self.varint()?, value: u64::from_le_bytes(self.fixed()?) })
                } else {
                    None
                };
                Entry::Beat { node, position, digest }
            }
            tag::CHECKPOINT_BEGINS => Entry::CheckpointBegins { node: self.text("the broker's name")? },
            tag::CHECKPOINT => {
                Entry::Checkpoint { position: self.varint()?, object: self.text("the checkpoint's object")? }
            }
            tag::GENERATION => Entry::Generation { nonce: u64::from_le_bytes(self.fixed()?), rules: self.varint()? },
            tag::SETTINGS => Entry::Settings(self.settings()?),
            tag::BARRIER => Entry::Barrier,
            _ => return Ok(None),
        };
        Ok(Some(entry))
    }

    fn publish(&mut self) -> Result<Entry<'a>, Flaw> {
        let flags = self.byte()?;
        if flags & !(flag::KIND | flag::SOURCE | flag::SOURCE_TS) != 0 {
            return Err(Flaw::Flags(flags));
        }
        let kind = kind_of(flags & flag::KIND);
        let topic = self.text("the topic")?;
        let has_source = flags & flag::SOURCE != 0;
        let source = if has_source { Some((self.text("the source")?, self.varint()?)) } else { None };
        let source_ts = if flags & flag::SOURCE_TS != 0 { Some(self.varint()?) } else { None };
        let data = compact(self.text("`data`")?, kind)?;
        Ok(Entry::Publish { topic, kind, source, source_ts, data })
    }

    fn settings(&mut self) -> Result<Settings, Flaw> {
        let mut settings = Settings {
            image_bytes: self.varint()?,
            message_bytes: self.varint()?,
            topics_max: self.varint()?,
            images_bytes_max: self.varint()?,
            topic_sources: self.varint()?,
            rules: Vec::new(),
        };
        let count = self.varint()?;
        let rules = usize::try_from(count).ok().filter(|rules| *rules <= RULES_MAX);
        let rules = rules.ok_or_else(|| check::too_many_rules(count))?;
        settings.rules.reserve_exact(rules.min(self.left() / RULE_BYTES_MIN));
        for _ in 0..rules {
            let pattern = Pattern::parse(self.text("the pattern")?).map_err(Flaw::Pattern)?;
            let code = self.byte()?;
            if code & !flag::KIND != 0 {
                return Err(Flaw::Flags(code));
            }
            settings.rules.push(Rule { pattern, kind: kind_of(code) });
        }
        Ok(settings)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Flaw::TooShort)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn option(&mut self) -> Result<bool, Flaw> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Flaw::Flags(other)),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<&'a str, Flaw> {
        let bytes = usize::try_from(self.varint()?).map_err(|_| Flaw::TooShort)?;
        let (text, rest) = self.rest.split_at_checked(bytes).ok_or(Flaw::TooShort)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| Flaw::NotText(field))
    }

    fn varint(&mut self) -> Result<u64, Flaw> {
        varint::take(&mut self.rest).map_err(|error| match error {
            VarintError::TooShort => Flaw::TooShort,
            VarintError::NotShortest => Flaw::Integer,
        })
    }
}

/// Checks the `data` of an update of this kind.
fn compact(text: &str, kind: Option<Kind>) -> Result<Data<'_>, Flaw> {
    let data = Data::check(text).map_err(Flaw::Data)?;
    if kind == Some(Kind::Patch) {
        data.patch().map_err(Flaw::Data)?;
    }
    // Most texts have no white space at all, not even in strings. JSON has no other characters below it; all bytes are
    // counted, because that takes a fraction of the time of a search that may end early.
    let has_space = text.bytes().filter(|byte| *byte <= b' ').count() > 0;
    let is_compact = || Scanner::new(text).value().is_ok_and(|value| !value.spaced && value.raw == text);
    if has_space && !is_compact() { Err(Flaw::Spaced) } else { Ok(data) }
}
