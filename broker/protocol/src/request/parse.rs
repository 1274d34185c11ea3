//! From a message to a request: one scan, then the rules of its operation.

use super::fields::{Field, Fields, Set, text_of, wrong};
use super::publication::{UPDATE, batch_element, publication};
use super::{Id, Publication, Refusal, Request, Subscribe, entry};
use crate::codes::ErrorCode;
use crate::json::{Scanner, SyntaxError};
use crate::quote::quote;

/// The fields that every operation accepts.
const COMMON: Set = Set::of(&[Field::Op, Field::Id]);

const SUBSCRIBE: Set = Set::of(&[
    Field::Topics,
    Field::From,
    Field::ConflateMs,
    Field::OnSlow,
    Field::Ready,
    Field::Positions,
    Field::Resume,
]);

type Batch<'a> = Vec<Result<Publication<'a>, Refusal>>;

/// Parses one message of a client. A refusal comes with the `id` if there was a valid one.
pub fn parse(message: &str) -> Result<Request<'_>, (Option<Id<'_>>, Refusal)> {
    let mut fields = Fields::default();
    let mut batch = None;
    let read = read_message(message, &mut fields, &mut batch);
    let id = fields.id();
    let refused_id = id.as_ref().ok().copied().flatten();
    read.and_then(|()| request(&fields, id?, batch)).map_err(|refusal| (refused_id, refusal))
}

/// Parses one line of an NDJSON body.
pub fn parse_line(line: &str) -> Result<Publication<'_>, Refusal> {
    let mut fields = Fields::default();
    read_object(line, "a line", |scanner| fields.read(scanner))?;
    fields.only(UPDATE, "a line")?;
    publication(&fields)
}

fn read_message<'a>(message: &'a str, fields: &mut Fields<'a>, batch: &mut Option<Batch<'a>>) -> Result<(), Refusal> {
    read_object(message, "a message", |scanner| {
        fields.read_with(scanner, |field, scanner| match (field, scanner.peek()) {
            // The hot path of a producer: the updates are read while the message is scanned, not in a second scan.
            (Some(Field::Batch), Some(b'[')) => {
                let updates = batch.get_or_insert_default();
                scanner.spanning(|scanner| read_batch(scanner, updates))
            }
            _ => scanner.value(),
        })
    })
}

fn read_batch<'a>(scanner: &mut Scanner<'a>, updates: &mut Batch<'a>) -> Result<(), SyntaxError> {
    scanner.open(b'[')?;
    let mut first = true;
    while scanner.next_element(first)? {
        first = false;
        updates.push(batch_element(scanner)?);
    }
    Ok(())
}

/// Reads a text that must be one object, using `read`. JSON that is not an object is a bad request, not bad JSON.
fn read_object<'a>(
    text: &'a str,
    what: &str,
    read: impl FnOnce(&mut Scanner<'a>) -> Result<(), SyntaxError>,
) -> Result<(), Refusal> {
    let mut scanner = Scanner::new(text);
    scanner.skip_space();
    if scanner.peek() == Some(b'{') {
        read(&mut scanner)?;
        return Ok(scanner.end()?);
    }
    scanner.value()?;
    scanner.end()?;
    Err(Refusal::bad_request(format!("{what} must be a JSON object")))
}

fn request<'a>(fields: &Fields<'a>, id: Option<Id<'a>>, batch: Option<Batch<'a>>) -> Result<Request<'a>, Refusal> {
    let op = fields.need(Field::Op)?;
    let op = text_of(op.raw).ok_or_else(|| wrong(Field::Op, "a string"))?;
    let only = |own: Set| fields.only(COMMON.and(own), &op);
    match &*op {
        "subscribe" => {
            only(SUBSCRIBE)?;
            Ok(Request::Subscribe(Subscribe {
                id,
                entries: entry::entries(fields)?,
                from: entry::from(fields)?,
                conflate_ms: entry::conflate_ms(fields)?,
                on_slow: entry::on_slow(fields)?,
                ready: fields.flag(Field::Ready)?,
                positions: fields.flag(Field::Positions)?,
                resume: entry::resume(fields)?,
            }))
        }
        "unsubscribe" => {
            only(const { Set::of(&[Field::Topics]) })?;
            Ok(Request::Unsubscribe { id, entries: entry::names(fields)? })
        }
        "publish" if fields.get(Field::Batch).is_some() => {
            fields.only(COMMON.and(const { Set::of(&[Field::Batch]) }), "publish with a batch")?;
            let updates = batch.ok_or_else(|| wrong(Field::Batch, "an array"))?;
            Ok(Request::Batch { id, updates })
        }
        "publish" => {
            only(UPDATE)?;
            Ok(Request::Publish { id, update: publication(fields)? })
        }
        "auth" => {
            only(const { Set::of(&[Field::Token]) })?;
            Ok(Request::Auth { id, token: fields.need_text(Field::Token)? })
        }
        "list" => only(COMMON).map(|()| Request::List { id }),
        "ping" => only(COMMON).map(|()| Request::Ping { id }),
        unknown => {
            let message = format!("there is no operation {}", quote(unknown));
            Err(Refusal { code: ErrorCode::UnknownOp, message })
        }
    }
}
