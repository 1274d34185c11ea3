//! `/v1/sse`: what a client of Server-Sent Events follows, and from where on.

use std::net::IpAddr;

use broker_protocol::codes::ErrorCode;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{From, Refusal, conflate_step_ms};
use broker_protocol::topic::{TOPIC_BYTES_MAX, check_topic, is_pattern};
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::HeaderName;
use hyper::{Method, Request};

use super::body::{check_type, read};
use super::client::Context;
use super::query::{Query, bad_request};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest that one topic makes a form: `&topic=`, and each byte of the name as `%XX`.
const TOPIC_FIELD_BYTES_MAX: u64 = 7 + 3 * TOPIC_BYTES_MAX as u64;

/// What a stream of events is to have in it, all checked.
#[derive(Debug)]
pub struct EventsRequest {
    /// Topics and patterns.
    pub topics: Vec<String>,
    /// How they begin.
    pub from: From,
    /// A step of the ladder of intervals, or 0 for every update.
    pub conflate_ms: u32,
}

/// Reads a request: the parameters are in the address, or for more topics than fit there in the form that is posted. An
/// `EventSource` cannot see the answer's text, but does not come back after it either: unlike in a `subscribe`, one wrong
/// entry refuses all.
pub(super) async fn request<B>(request: Request<B>, remote: IpAddr, context: &Context) -> Result<EventsRequest, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let form;
    let parameters = if head.method == Method::POST {
        Query::parse(head.uri.query(), &[])?;
        check_type(&head.headers, &["application/x-www-form-urlencoded"])?;
        // The other parameters are shorter than a topic each.
        let bytes_max = (context.subscriptions + 2) * TOPIC_FIELD_BYTES_MAX;
        form = read(body, context.bounds(bytes_max, "subscriptions")).await?;
        Some(std::str::from_utf8(&form.bytes).map_err(|_| bad_request("the form is not UTF-8"))?)
    } else {
        head.uri.query()
    };
    let query = Query::parse_repeating(parameters, &["topic", "conflate_ms", "resume"], "topic")?;
    let topics: Vec<String> = query.texts("topic").map(str::to_owned).collect();
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
        context.check_visible(topic, remote)?;
    }
    // A browser's own comes back in the header after a reconnect: it is newer than what the address says.
    let from =
        match head.headers.get(LAST_EVENT_ID) {
            Some(id) => Some(id.to_str().ok().and_then(number).ok_or_else(|| {
                bad_request("Last-Event-ID must be the id of an event of this broker: a whole number")
            })?),
            None => query.number("resume")?,
        };
    let conflate_ms = conflate_step_ms(query.number("conflate_ms")?.unwrap_or(0));
    Ok(EventsRequest {
        topics,
        from: from.map_or(From::Image, |id| From::After(context.engine.place_of(id))),
        conflate_ms,
    })
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
