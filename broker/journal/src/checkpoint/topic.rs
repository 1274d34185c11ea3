//! A topic in a checkpoint. What is decoded can be restored: the engine trusts it.

use broker_engine::log::record::{EPOCH_BYTES_MAX, EXACT_MAX};
use broker_engine::log::varint;
use broker_engine::{SavedTopic, SavedUpdate};
use broker_protocol::json::Scanner;
use broker_protocol::request::ID_BYTES_MAX;
use broker_protocol::topic::is_reserved;
use broker_protocol::{Data, Kind};

use super::COUNT_MAX;
use super::error::Flaw;
use super::fields::{Fields, kind_code, push_bytes, push_option};

/// Maximum number of sources that a topic may have; the engine keeps fewer.
const SOURCES_MAX: u64 = 1_024;
/// The shortest update: its ordinal, its age and a length.
const UPDATE_BYTES_MIN: usize = 3;

pub(super) fn push(out: &mut Vec<u8>, topic: &SavedTopic) {
    let SavedTopic {
        name,
        epoch,
        kind,
        seq,
        place,
        last_ts,
        age_us,
        last_source_ts,
        has_patches,
        image,
        sources,
        dropped_ordinal,
        updates,
    } = topic;
    push_bytes(out, name.as_bytes());
    push_bytes(out, epoch.as_bytes());
    out.push(kind_code(Some(*kind)));
    out.push(u8::from(*has_patches));
    for value in [seq, place, last_ts, age_us, dropped_ordinal] {
        varint::push(out, *value);
    }
    push_option(out, *last_source_ts, varint::push);
    push_option(out, image.as_deref(), push_bytes);
    varint::push(out, sources.len() as u64);
    for (source, source_seq) in sources {
        push_bytes(out, source.as_bytes());
        varint::push(out, *source_seq);
    }
    varint::push(out, updates.len() as u64);
    for SavedUpdate { ordinal, age_us, message } in updates {
        varint::push(out, *ordinal);
        varint::push(out, *age_us);
        push_bytes(out, message);
    }
}

pub(super) fn read(fields: &mut Fields<'_>) -> Result<SavedTopic, Flaw> {
    let name = fields.topic_name()?;
    if is_reserved(name) {
        return Err(Flaw::Value("the name of a topic"));
    }
    let epoch = fields.text(EPOCH_BYTES_MAX, "the epoch")?;
    if epoch.is_empty() || !epoch.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(Flaw::Value("the epoch"));
    }
    let kind = fields.kind()?.filter(|kind| *kind != Kind::Patch).ok_or(Flaw::Value("the topic's kind"))?;
    let has_patches = fields.flag("whether there were patches")?;
    let seq = fields.up_to(EXACT_MAX, "seq")?;
    let place = fields.up_to(COUNT_MAX, "the place")?;
    let last_ts = fields.up_to(COUNT_MAX, "the time of the last update")?;
    let age_us = fields.integer()?;
    let dropped_ordinal = fields.up_to(COUNT_MAX, "the ordinal of the last update that was dropped")?;
    let last_source_ts = fields.option("an option", |fields| fields.up_to(EXACT_MAX, "source_ts"))?;
    let image = fields.option("an option", image)?;
    let sources = fields.list(SOURCES_MAX, 2, "the number of sources", |fields| {
        Ok((fields.text(ID_BYTES_MAX, "a source")?.into(), fields.up_to(EXACT_MAX, "source_seq")?))
    })?;
    // The first update that is retained has `seq` less than the number of those behind it.
    let mut ordinal_before = dropped_ordinal;
    let updates = fields.list(seq, UPDATE_BYTES_MIN, "the number of updates", |fields| {
        let update = update(fields)?;
        if update.ordinal <= std::mem::replace(&mut ordinal_before, update.ordinal) {
            return Err(Flaw::Value("the order of the updates"));
        }
        Ok(update)
    })?;
    Ok(SavedTopic {
        name: name.into(),
        epoch: epoch.into(),
        kind,
        seq,
        place,
        last_ts,
        age_us,
        last_source_ts,
        has_patches,
        image,
        sources,
        dropped_ordinal,
        updates,
    })
}

fn update(fields: &mut Fields<'_>) -> Result<SavedUpdate, Flaw> {
    let ordinal = fields.up_to(COUNT_MAX, "the ordinal of an update")?;
    let age_us = fields.integer()?;
    let message = fields.text(usize::MAX, "a message")?;
    // A line break would end an event of server-sent events. Compact JSON has no other control characters either.
    if message.bytes().any(|byte| byte < b' ') {
        return Err(Flaw::Value("a message"));
    }
    Ok(SavedUpdate { ordinal, age_us, message: message.into() })
}

/// Reads an image. Merging patches into it relies on it being JSON without white space.
fn image(fields: &mut Fields<'_>) -> Result<Vec<u8>, Flaw> {
    let text = fields.text(usize::MAX, "the image")?;
    Data::check(text).map_err(Flaw::Image)?;
    let has_space = text.bytes().any(|byte| byte <= b' ');
    let is_compact = || Scanner::new(text).value().is_ok_and(|value| !value.spaced && value.raw == text);
    if has_space && !is_compact() { Err(Flaw::Value("the image")) } else { Ok(text.into()) }
}
