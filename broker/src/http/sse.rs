//! `/v1/sse`: reads what a client of Server-Sent Events subscribes to, and from which position.

use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, OnSlow, Refusal, conflate_step_ms};
use broker_protocol::topic::{TOPIC_BYTES_MAX, check_topic, is_pattern};
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request};

use super::body::{check_type, read};
use super::client::{Caller, Context};
use super::query::{Query, bad_request};
use crate::shard::SseRequest;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The most bytes of one topic in a form: `&topic=`, and each byte of the name as `%XX`.
const TOPIC_FIELD_BYTES_MAX: u64 = 7 + 3 * TOPIC_BYTES_MAX as u64;

/// The bytes of parameters that are read in one turn.
const TURN_BYTES: usize = 32 << 10;

const PARAMETERS: &[&str] = &["topic", "conflate_ms", "on_slow", "ready", "resume", LAST_EVENT_ID_PARAMETER];
/// A parameter that some clients send instead of the header, because browsers send a preflight request for the header.
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// Reads a request. The parameters are in the URL or, for more topics than fit there, in a posted form. Unlike in a
/// `subscribe`, one wrong entry refuses all: an `EventSource` cannot read the text of an error, but it does not
/// reconnect after one either.
pub(super) async fn request<B>(
    request: Request<B>,
    caller: Caller<'_>,
    context: &Context,
) -> Result<SseRequest, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let form;
    let parameters = if head.method == Method::POST {
        Query::parse(head.uri.query(), &[])?;
        check_type(&head.headers, &["application/x-www-form-urlencoded"])?;
        // Each of the other parameters is shorter than a topic.
        let bytes_max = (context.engine.limits().subscriptions() + PARAMETERS.len() as u64) * TOPIC_FIELD_BYTES_MAX;
        form = read(body, context.bounds(bytes_max, "subscriptions", caller.peer)).await?.into_bytes();
        Some(std::str::from_utf8(&form.0).map_err(|_| bad_request("the form is not UTF-8"))?)
    } else {
        head.uri.query()
    };
    let mut query = Query::of(PARAMETERS, "topic");
    let mut read = 0;
    for part in parameters.unwrap_or_default().split('&') {
        query.add(part)?;
        read += part.len() + 1;
        pause_after(&mut read, context).await;
    }
    let topics = query.take_repeated();
    if topics.is_empty() {
        return Err(bad_request("the parameter topic is missing: /v1/sse?topic=stocks.AAPL.quote&topic=sports.%3E"));
    }
    let max = context.engine.limits().subscriptions();
    if topics.len() as u64 > max {
        let message = format!("{} topics; at most {max} are allowed (subscriptions)", topics.len());
        return Err(Refusal { code: ErrorCode::Limit, message });
    }
    for topic in &topics {
        let checked = match is_pattern(topic) {
            true => Pattern::parse(topic).map(drop).map_err(|error| (ErrorCode::BadPattern, error.to_string())),
            false => check_topic(topic).map_err(|error| (ErrorCode::BadTopic, error.to_string())),
        };
        checked.map_err(|(code, message)| Refusal { code, message })?;
        context.check_subscribe(topic, caller)?;
        read += topic.len() + caller.permit_bytes();
        pause_after(&mut read, context).await;
    }
    let conflate_ms = conflate_step_ms(query.number("conflate_ms")?.unwrap_or(0));
    let on_slow = query.word("on_slow", OnSlow::parse, "conflate, retain or disconnect")?.unwrap_or_default();
    let ready = query.word("ready", |text| text.parse().ok(), "true or false")?.unwrap_or(false);
    let from = last_id(&head.headers, &query)?.map_or(From::Image, |id| From::After(context.engine.ordinal_of(id)));
    Ok(SseRequest { topics, from, conflate_ms, on_slow, ready })
}

/// Waits for the next turn once a turn's bytes have been read.
async fn pause_after(read: &mut usize, context: &Context) {
    if *read >= TURN_BYTES {
        *read = 0;
        context.reads.turn().await;
    }
}

/// Returns the id from which to continue. The id that a client sends by itself when it reconnects is newer than the one
/// in its URL.
fn last_id(headers: &HeaderMap, query: &Query) -> Result<Option<u64>, Refusal> {
    let by_itself = match headers.get(LAST_EVENT_ID) {
        Some(id) => Some(id.to_str().unwrap_or_default()),
        // A client without an event so far sends an empty id.
        None => query.text(LAST_EVENT_ID_PARAMETER).filter(|id| !id.is_empty()),
    };
    let Some(id) = by_itself else { return query.number("resume") };
    let wrong = || bad_request("Last-Event-ID must be the id of an event of this broker: a whole number");
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let number = id.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    // `resume` is not used, but a mistake in it is reported.
    query.number("resume")?;
    Ok(Some(number))
}
