//! One topic over HTTP: its image, and its deletion.

use broker_engine::journal::unknown;
use broker_engine::{Now, Publisher};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::published_body;
use broker_protocol::request::Refusal;
use broker_protocol::topic::check_topic;

use super::Author;
use super::answer::{AnswerBody, Out, Payload};
use super::awaiting::{Answer, Awaiting};
use super::client::{Caller, Context};
use super::query::Query;
use super::reply::{self, Reply};
use crate::audit::Event;

/// An image that is larger than this is encoded in a turn.
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// `GET /v1/topics/{topic}`
pub(super) async fn image(
    query: Option<&str>,
    topic: &str,
    caller: Caller<'_>,
    context: &Context,
) -> Result<Reply, Refusal> {
    Query::parse(query, &[])?;
    check(topic)?;
    context.check_read(topic, caller)?;
    let Some(image) = context.engine.image(topic) else {
        return Err(missing(format!("there is no image of {topic:?}: no such topic, or its kind is event")));
    };
    if image.bytes() > AT_ONCE_BYTES_MAX {
        context.reads.turn().await;
    }
    let mut out = Out::default();
    out.push(Payload(image.encode()));
    AnswerBody::of(out, &context.reads, context.bodies.hold(caller.peer)).map(reply::json)
}

/// `DELETE /v1/topics/{topic}`
pub(super) async fn delete(
    query: Option<&str>,
    topic: &str,
    caller: Caller<'_>,
    context: &Context,
) -> Result<Reply, Refusal> {
    Query::parse(query, &[])?;
    let now = (context.now)();
    let Author { sub, address } = caller.author();
    let sub = sub.as_deref();
    let allowed = caller.who.check_delete(topic);
    let ended = match allowed {
        Ok(()) => end(topic, context, now).await,
        Err(refusal) => Err(refusal),
    };
    let ended = ended.inspect_err(|refusal| {
        let topic = if refusal.code == ErrorCode::BadTopic { "" } else { topic };
        context.audit.record(now, &Event::DeleteRefused { sub, address, topic, code: refusal.code });
    })?;
    context.audit.record(now, &Event::Deleted { sub, address, topic });
    let mut out = Vec::new();
    published_body(&mut out, ended.topic.name(), ended.topic.epoch(), ended.seq, false);
    Ok(reply::json(out.into()))
}

/// Ends a topic; with a journal, when that stands in its log.
async fn end(topic: &str, context: &Context, now: Now) -> Answer {
    let Some(journal) = context.engine.journal() else {
        return context.engine.delete(now, topic, Publisher::Client);
    };
    let mut awaiting = Awaiting::new(journal);
    context.engine.submit_end(journal, topic, awaiting.reply_to(0))?;
    awaiting.submitted(0, Ok(()));
    awaiting.next().await.map_or_else(|| Err(unknown()), |(_, answer)| answer)
}

/// Refuses with `bad_topic` what is not a topic's name.
pub(super) fn check(topic: &str) -> Result<(), Refusal> {
    check_topic(topic).map_err(|error| Refusal { code: ErrorCode::BadTopic, message: error.to_string() })
}

/// A refusal with the code `not_found`.
pub(super) fn missing(message: String) -> Refusal {
    Refusal { code: ErrorCode::NotFound, message }
}
