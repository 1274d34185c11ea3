//! The entries of `subscribe` and `unsubscribe`, and the options of `subscribe`.

use std::borrow::Cow;

use super::fields::{EXACT_MAX, Field, Fields, Set, text_of, whole_of, wrong};
use super::{From, OnSlow, Refusal, SubscribeEntry, conflate_step_ms};
use crate::json::Scanner;
use crate::quote::{bounded, quote};

/// Reads the entries of `topics`. An error in one entry affects only that entry.
pub(super) fn entries<'a>(fields: &Fields<'a>) -> Result<Vec<SubscribeEntry<'a>>, Refusal> {
    let mut entries = Vec::new();
    elements(fields, |raw| entries.push(entry(raw)))?;
    Ok(entries)
}

/// Reads the entries of `topics` as names: an entry that resumed may be given as it was subscribed to.
pub(super) fn names<'a>(fields: &Fields<'a>) -> Result<Vec<Cow<'a, str>>, Refusal> {
    let mut names = Vec::new();
    let mut refused = None;
    elements(fields, |raw| match entry(raw) {
        SubscribeEntry::Plain(name) | SubscribeEntry::Resume { topic: name, .. } => names.push(name),
        SubscribeEntry::Bad { refusal, .. } => refused = refused.take().or(Some(refusal)),
    })?;
    refused.map_or(Ok(names), Err)
}

/// `from`: `"image"`, `"live"` or `{"last":N}`.
pub(super) fn from(fields: &Fields<'_>) -> Result<From, Refusal> {
    let Some(value) = fields.get(Field::From) else { return Ok(From::default()) };
    match text_of(value.raw).as_deref() {
        Some("image") => return Ok(From::Image),
        Some("live") => return Ok(From::Live),
        _ => {}
    }
    if !value.raw.starts_with('{') {
        return Err(wrong(Field::From, "\"image\", \"live\" or {\"last\":N}"));
    }
    let mut inner = Fields::default();
    inner.read(&mut Scanner::new(value.raw))?;
    inner.only(const { Set::of(&[Field::Last]) }, "\"from\"")?;
    inner.need(Field::Last)?;
    Ok(From::Last(inner.whole(Field::Last)?.unwrap_or_default()))
}

/// `conflate_ms`, rounded up.
pub(super) fn conflate_ms(fields: &Fields<'_>) -> Result<u32, Refusal> {
    Ok(conflate_step_ms(fields.whole(Field::ConflateMs)?.unwrap_or_default()))
}

/// `on_slow`.
pub(super) fn on_slow(fields: &Fields<'_>) -> Result<OnSlow, Refusal> {
    let Some(value) = fields.get(Field::OnSlow) else { return Ok(OnSlow::default()) };
    let on_slow = text_of(value.raw).and_then(|text| OnSlow::parse(&text));
    on_slow.ok_or_else(|| wrong(Field::OnSlow, "\"conflate\", \"retain\" or \"disconnect\""))
}

/// `resume`: the id of a position, or of a Server-Sent Event. It defines how entries begin, and so does `from`.
pub(super) fn resume(fields: &Fields<'_>) -> Result<Option<u64>, Refusal> {
    let Some(text) = fields.text(Field::Resume)? else { return Ok(None) };
    if fields.get(Field::From).is_some() {
        return Err(Refusal::bad_request(
            "\"from\" and \"resume\" both define how entries begin: give only one of them",
        ));
    }
    match whole_of(&text) {
        Some(id) if id <= EXACT_MAX && !text.is_empty() => Ok(Some(id)),
        _ => Err(wrong(Field::Resume, "a whole number below 2^53, in a string")),
    }
}

/// Calls `each` with every element of `topics`, which must be present and an array.
fn elements<'a>(fields: &Fields<'a>, mut each: impl FnMut(&'a str)) -> Result<(), Refusal> {
    let value = fields.need(Field::Topics)?;
    if !value.raw.starts_with('[') {
        return Err(wrong(Field::Topics, "an array"));
    }
    let mut scanner = Scanner::new(value.raw);
    scanner.open(b'[')?;
    let mut first = true;
    while scanner.next_element(first)? {
        first = false;
        each(scanner.value()?.raw);
    }
    Ok(())
}

fn entry(raw: &str) -> SubscribeEntry<'_> {
    if let Some(name) = text_of(raw) {
        return SubscribeEntry::Plain(name);
    }
    let mut fields = Fields::default();
    match object(&mut fields, raw) {
        Ok(entry) => entry,
        Err(refusal) => {
            let topic = fields.text(Field::Topic).ok().flatten();
            let entry = bounded(topic.as_deref().unwrap_or(raw)).to_owned();
            SubscribeEntry::Bad { entry, refusal }
        }
    }
}

fn object<'a>(fields: &mut Fields<'a>, raw: &'a str) -> Result<SubscribeEntry<'a>, Refusal> {
    if !raw.starts_with('{') {
        return Err(Refusal::bad_request(format!("an entry is a string or an object, not {}", quote(raw))));
    }
    fields.read(&mut Scanner::new(raw))?;
    fields.only(const { Set::of(&[Field::Topic, Field::Epoch, Field::Seq]) }, "an entry")?;
    let topic = fields.need_text(Field::Topic)?;
    let seq = fields.exact(Field::Seq)?;
    match fields.get(Field::Epoch) {
        // The answer's fields for a topic that was not published yet can be sent back as they are: `epoch` null, `seq`
        // 0.
        Some(epoch) if epoch.raw == "null" => Ok(SubscribeEntry::Plain(topic)),
        None if seq.is_none() => Ok(SubscribeEntry::Plain(topic)),
        _ => {
            fields.need(Field::Seq)?;
            let epoch = fields.need_text(Field::Epoch)?;
            Ok(SubscribeEntry::Resume { topic, epoch, seq: seq.unwrap_or_default() })
        }
    }
}
