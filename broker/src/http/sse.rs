//! `/v1/sse`: what a client of Server-Sent Events follows, and from where on.

use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, OnSlow, Refusal, conflate_step_ms};
use broker_protocol::topic::{TOPIC_BYTES_MAX, check_topic, is_pattern};
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request};

use super::Peer;
use super::body::{check_type, read};
use super::client::Context;
use super::query::{Query, bad_request};
use crate::shard::SseRequest;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest that one topic makes a form: `&topic=`, and each byte of the name as `%XX`.
const TOPIC_FIELD_BYTES_MAX: u64 = 7 + 3 * TOPIC_BYTES_MAX as u64;

/// Bytes of parameters that are read in one turn.
const TURN_BYTES: usize = 32 << 10;

const PARAMETERS: &[&str] = &["topic", "conflate_ms", "on_slow", "ready", "resume", LAST_EVENT_ID_PARAMETER];
/// What some clients send in place of the header, which would make a browser ask first whether it may.
const LAST_EVENT_ID_PARAMETER: &str = "lastEventId";

/// Reads a request: the parameters are in the address, or for more topics than fit there in the form that is posted. An
/// `EventSource` cannot see the answer's text, but does not come back after it either: unlike in a `subscribe`, one wrong
/// entry refuses all.
pub(super) async fn request<B>(request: Request<B>, peer: &Peer, context: &Context) -> Result<SseRequest, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let form;
    let parameters = if head.method == Method::POST {
        Query::parse(head.uri.query(), &[])?;
        check_type(&head.headers, &["application/x-www-form-urlencoded"])?;
        // The other parameters are shorter than a topic each.
        let bytes_max = (context.subscriptions + PARAMETERS.len() as u64) * TOPIC_FIELD_BYTES_MAX;
        form = read(body, context.bounds(bytes_max, "subscriptions", peer)).await?.into_bytes();
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
    if topics.len() as u64 > context.subscriptions {
        let message = format!("{} topics, and {} are allowed (subscriptions)", topics.len(), context.subscriptions);
        return Err(Refusal { code: ErrorCode::Limit, message });
    }
    for topic in &topics {
        let checked = match is_pattern(topic) {
            true => Pattern::parse(topic).map(drop).map_err(|error| (ErrorCode::BadPattern, error.to_string())),
            false => check_topic(topic).map_err(|error| (ErrorCode::BadTopic, error.to_string())),
        };
        checked.map_err(|(code, message)| Refusal { code, message })?;
        context.check_visible(topic, peer)?;
        read += topic.len();
        pause_after(&mut read, context).await;
    }
    let conflate_ms = conflate_step_ms(query.number("conflate_ms")?.unwrap_or(0));
    let on_slow = query.word("on_slow", OnSlow::parse, "conflate, retain or disconnect")?.unwrap_or_default();
    let ready = query.word("ready", |text| text.parse().ok(), "true or false")?.unwrap_or(false);
    let from = last_id(&head.headers, &query)?.map_or(From::Image, |id| From::After(context.engine.ordinal_of(id)));
    Ok(SseRequest { topics, from, conflate_ms, on_slow, ready })
}

/// Lets others go first once so much was read that it was a turn's work.
async fn pause_after(read: &mut usize, context: &Context) {
    if *read >= TURN_BYTES {
        *read = 0;
        context.reads.turn().await;
    }
}

/// The id to go on from. What a client sends by itself when it comes back is newer than what its address says.
fn last_id(headers: &HeaderMap, query: &Query) -> Result<Option<u64>, Refusal> {
    let by_itself = match headers.get(LAST_EVENT_ID) {
        Some(id) => Some(id.to_str().unwrap_or_default()),
        // Without an event so far there is none.
        None => query.text(LAST_EVENT_ID_PARAMETER).filter(|id| !id.is_empty()),
    };
    let Some(id) = by_itself else { return query.number("resume") };
    let wrong = || bad_request("Last-Event-ID must be the id of an event of this broker: a whole number");
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let number = id.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    // Whatever it says, what is wrong with the other one is said, too.
    query.number("resume")?;
    Ok(Some(number))
}
