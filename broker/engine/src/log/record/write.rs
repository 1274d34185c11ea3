//! Writing a record: commands are appended as they come, while the records before it are on their way.

use broker_protocol::{Data, Kind, Publication};

use super::entry::{Entry, Settings, flag, kind_code, tag};
use super::error::Flaw;
use super::{COMMANDS_MAX, COUNT_AT, HEAD_BYTES, VERSION, check};
use crate::log::varint;

/// A record under construction. A command that is refused leaves it as it was.
#[derive(Debug)]
pub struct RecordWriter {
    bytes: Vec<u8>,
    session: u64,
    number: u64,
    commands: u32,
    has_control: bool,
}

impl RecordWriter {
    /// Begins record `number` of a session.
    pub fn new(session: u64, number: u64) -> RecordWriter {
        let mut bytes = Vec::with_capacity(1_024);
        bytes.push(VERSION);
        bytes.extend_from_slice(&session.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        RecordWriter { bytes, session, number, commands: 0, has_control: false }
    }

    /// Appends an update. Nothing is allocated unless the buffer has to grow.
    pub fn push(&mut self, update: &Publication<'_>) -> Result<(), Flaw> {
        let source = update.source.as_ref().map(|(source, source_seq)| (&**source, *source_seq));
        self.room()?;
        check::publish(&update.topic, source, update.source_ts)?;
        put_publish(&mut self.bytes, &update.topic, update.kind, source, update.source_ts, &update.data);
        self.commands += 1;
        Ok(())
    }

    /// Appends any command.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Flaw> {
        self.room()?;
        check::entry(entry, self.session, self.number)?;
        if let Entry::Publish { kind: Some(Kind::Patch), data, .. } = entry {
            data.patch().map_err(Flaw::Data)?;
        }
        if entry.is_control() && std::mem::replace(&mut self.has_control, true) {
            return Err(Flaw::SecondControl);
        }
        put_entry(&mut self.bytes, entry);
        self.commands += 1;
        Ok(())
    }

    /// Returns the bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no command yet.
    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// Whether the next command belongs into another record. The last one may have exceeded `bytes_max`.
    pub fn is_full(&self, bytes_max: usize) -> bool {
        self.len() >= bytes_max || self.room().is_err()
    }

    /// Returns the record's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[COUNT_AT..HEAD_BYTES].copy_from_slice(&self.commands.to_le_bytes());
        self.bytes
    }

    fn room(&self) -> Result<(), Flaw> {
        check::exact("the record's number", self.number)?;
        if self.commands as usize >= COMMANDS_MAX { Err(Flaw::Full) } else { Ok(()) }
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    match entry {
        Entry::Publish { topic, kind, source, source_ts, data } => {
            put_publish(out, topic, *kind, *source, *source_ts, data);
        }
        Entry::End { topic, only } => {
            out.push(tag::END);
            put_text(out, topic);
            out.push(u8::from(only.is_some()));
            if let Some((epoch, seq)) = only {
                put_text(out, epoch);
                varint::push(out, *seq);
            }
        }
        Entry::Open { node, session } => {
            out.push(tag::OPEN);
            put_text(out, node);
            varint::push(out, *session);
        }
        Entry::Beat { node, position, digest } => {
            out.push(tag::BEAT);
            put_text(out, node);
            varint::push(out, *position);
            out.push(u8::from(digest.is_some()));
            if let Some(digest) = digest {
                varint::push(out, digest.block);
                out.extend_from_slice(&digest.value.to_le_bytes());
            }
        }
        Entry::CheckpointBegins { node } => {
            out.push(tag::CHECKPOINT_BEGINS);
            put_text(out, node);
        }
        Entry::Checkpoint { position, object } => {
            out.push(tag::CHECKPOINT);
            varint::push(out, *position);
            put_text(out, object);
        }
        Entry::Generation { nonce, rules } => {
            out.push(tag::GENERATION);
            out.extend_from_slice(&nonce.to_le_bytes());
            varint::push(out, *rules);
        }
        Entry::Settings(settings) => put_settings(out, settings),
        Entry::Barrier => out.push(tag::BARRIER),
    }
}

fn put_publish(
    out: &mut Vec<u8>,
    topic: &str,
    kind: Option<Kind>,
    source: Option<(&str, u64)>,
    source_ts: Option<u64>,
    data: &Data<'_>,
) {
    let of_source = if source.is_some() { flag::SOURCE } else { 0 };
    let of_source_ts = if source_ts.is_some() { flag::SOURCE_TS } else { 0 };
    out.extend_from_slice(&[tag::PUBLISH, kind_code(kind) | of_source | of_source_ts]);
    put_text(out, topic);
    if let Some((source, source_seq)) = source {
        put_text(out, source);
        varint::push(out, source_seq);
    }
    if let Some(source_ts) = source_ts {
        varint::push(out, source_ts);
    }
    put_data(out, data);
}

/// Appends `data` without its white space. Its length is known only afterwards, so room is left for that of the text
/// as received; if the length then takes fewer bytes, the text moves.
fn put_data(out: &mut Vec<u8>, data: &Data<'_>) {
    let length_at = out.len();
    varint::push(out, data.raw().len() as u64);
    let text_at = out.len();
    data.append_compact(out);
    let compact_bytes = out.len() - text_at;
    if compact_bytes != data.raw().len() {
        let (length, width) = varint::encode(compact_bytes as u64);
        out[length_at..length_at + width].copy_from_slice(&length[..width]);
        out.drain(length_at + width..text_at);
    }
}

fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    let Settings { image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources, rules } = settings;
    out.push(tag::SETTINGS);
    for value in [image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources] {
        varint::push(out, *value);
    }
    varint::push(out, rules.len() as u64);
    for rule in rules {
        put_text(out, rule.pattern.as_str());
        out.push(kind_code(rule.kind));
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint::push(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}
