//! An update as published: by `publish`, in its `batch`, or in an NDJSON line.

use std::borrow::Cow;

use super::fields::{Field, Fields, Set, text_of, wrong};
use super::{ID_BYTES_MAX, Publication, Refusal};
use crate::data::Data;
use crate::json::{Scanner, SyntaxError};
use crate::kind::Kind;
use crate::quote::quote;

/// The fields of an update.
pub(super) const UPDATE: Set =
    Set::of(&[Field::Topic, Field::Kind, Field::Data, Field::Source, Field::SourceSeq, Field::SourceTs]);

/// Builds an update from its fields. The caller checks that there are no others.
pub(super) fn publication<'a>(fields: &Fields<'a>) -> Result<Publication<'a>, Refusal> {
    let topic = fields.need_text(Field::Topic)?;
    let kind = kind(fields)?;
    let source = source(fields)?;
    let source_ts = fields.exact(Field::SourceTs)?;
    let data = Data::of(fields.need(Field::Data)?)?;
    if kind == Some(Kind::Patch) {
        data.patch()?;
    }
    Ok(Publication { topic, kind, data, source, source_ts })
}

/// Reads one element of a batch, leaving the scanner after it. Only a syntax error affects the whole message.
pub(super) fn batch_element<'a>(scanner: &mut Scanner<'a>) -> Result<Result<Publication<'a>, Refusal>, SyntaxError> {
    if scanner.peek() != Some(b'{') {
        let value = scanner.value()?;
        return Ok(Err(Refusal::bad_request(format!("an update is an object, not {}", quote(value.raw)))));
    }
    let mut fields = Fields::default();
    fields.read(scanner)?;
    Ok(fields.only(UPDATE, "an update").and_then(|()| publication(&fields)))
}

fn kind(fields: &Fields<'_>) -> Result<Option<Kind>, Refusal> {
    let Some(value) = fields.get(Field::Kind) else { return Ok(None) };
    let kind = text_of(value.raw).and_then(|text| Kind::parse(&text));
    kind.map(Some).ok_or_else(|| wrong(Field::Kind, "\"event\", \"state\" or \"patch\""))
}

fn source<'a>(fields: &Fields<'a>) -> Result<Option<(Cow<'a, str>, u64)>, Refusal> {
    match (fields.text(Field::Source)?, fields.exact(Field::SourceSeq)?) {
        (None, None) => Ok(None),
        (Some(source), Some(_)) if source.len() > ID_BYTES_MAX => Err(wrong(Field::Source, "at most 64 bytes long")),
        (Some(source), Some(seq)) => Ok(Some((source, seq))),
        (Some(_), None) => Err(Refusal::bad_request("\"source\" needs a \"source_seq\"")),
        (None, Some(_)) => Err(Refusal::bad_request("\"source_seq\" needs a \"source\"")),
    }
}
