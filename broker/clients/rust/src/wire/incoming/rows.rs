//! The parts of messages: rows of lists, and words from fixed sets.

use std::sync::Arc;

use serde::Deserialize;

use super::{Malformed, Rejected};
use crate::event::{EntryError, Start, TopicStart};
use crate::subscribe_options::Listed;
use crate::wire::raw::{ErrorRow, Message, PatternRow, RejectedRow, SEQ_MAX, StartRow, Text, TopicRow};
use crate::{ErrorCode, Kind};

pub(super) fn unknown(op: &'static str, field: &'static str, value: &str) -> Malformed {
    Malformed::Unknown { op, field, value: value.chars().take(64).collect() }
}

pub(super) fn kind(op: &'static str, text: Option<&Text<'_>>) -> Result<Option<Kind>, Malformed> {
    text.map(|text| Kind::parse(text).ok_or_else(|| unknown(op, "kind", text))).transpose()
}

pub(super) fn start(op: &'static str, text: &str) -> Result<Start, Malformed> {
    Ok(match text {
        "live" => Start::Live,
        "image" => Start::Image,
        "history" => Start::History,
        "resumed" => Start::Resumed,
        "reset" => Start::Reset,
        other => return Err(unknown(op, "start", other)),
    })
}

/// The id of a position: a number in a string, like the ids of Server-Sent Events.
pub(super) fn position_id(raw: &serde_json::value::RawValue) -> Result<u64, Malformed> {
    let id = serde_json::from_str::<&str>(raw.get()).ok().and_then(|text| text.parse().ok());
    id.filter(|id| *id <= SEQ_MAX).ok_or_else(|| unknown("position", "id", raw.get()))
}

pub(super) fn rows<'a, T: Deserialize<'a>>(raw: Option<&'a serde_json::value::RawValue>) -> Result<Vec<T>, Malformed> {
    raw.map_or_else(|| Ok(Vec::new()), |raw| Ok(serde_json::from_str(raw.get())?))
}

pub(super) fn starts(message: &Message<'_>) -> Result<Vec<TopicStart>, Malformed> {
    rows::<StartRow<'_>>(message.topics)?
        .into_iter()
        .map(|row| {
            Ok(TopicStart {
                topic: Arc::from(&*row.topic),
                kind: kind("subscribed", row.kind.as_ref())?,
                epoch: row.epoch.as_deref().map(Arc::from),
                seq: row.seq.0,
                oldest: row.oldest.0,
                start: start("subscribed", &row.start)?,
                conflate_ms: row.conflate_ms,
            })
        })
        .collect()
}

pub(super) fn listed(message: &Message<'_>) -> Result<Vec<Listed>, Malformed> {
    let on_slow = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
    let topics = rows::<TopicRow<'_>>(message.topics)?.into_iter().map(|row| Listed {
        entry: row.topic.to_string(),
        conflate_ms: row.conflate_ms,
        on_slow: on_slow(row.on_slow),
    });
    let patterns = rows::<PatternRow<'_>>(message.patterns)?.into_iter().map(|row| Listed {
        entry: row.pattern.to_string(),
        conflate_ms: row.conflate_ms,
        on_slow: on_slow(row.on_slow),
    });
    Ok(topics.chain(patterns).collect())
}

pub(super) fn entry_error(row: ErrorRow<'_>) -> EntryError {
    let (code, message) = code(&row.code, row.message.as_deref());
    EntryError { entry: row.topic.to_string(), code, message, retry: row.retry }
}

pub(super) fn rejected(row: RejectedRow<'_>) -> Rejected {
    let (code, message) = code(&row.code, row.message.as_deref());
    Rejected { index: row.index, code, message }
}

/// A code of the catalogue, and the broker's message. A code that this version does not know is added to the message.
pub(super) fn code(text: &str, message: Option<&str>) -> (ErrorCode, String) {
    let message = message.unwrap_or("");
    match ErrorCode::ALL.iter().find(|code| code.as_str() == text) {
        Some(code) => (*code, message.to_owned()),
        None => (ErrorCode::BadRequest, format!("{message} (code \"{text}\")")),
    }
}
