//! Topics over HTTP: listing them, the image of one, ending one.

use std::net::IpAddr;

use broker_engine::{Publisher, TopicRow};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::published_body;
use broker_protocol::pattern::{Pattern, Segment};
use broker_protocol::request::Refusal;
use broker_protocol::topic::check_topic;
use serde_json::json;

use super::client::Context;
use super::query::Query;
use super::reply::{self, Reply};

/// Topics listed where the request does not say how many, and at most.
const LISTED: (u64, u64) = (100, 1000);

/// `GET /v1/topics`
pub(super) fn list(query: Option<&str>, remote: IpAddr, context: &Context) -> Result<Reply, Refusal> {
    let query = Query::parse(query, &["match", "limit", "after"])?;
    let pattern = Pattern::parse(query.text("match").unwrap_or(">"))
        .map_err(|error| Refusal { code: ErrorCode::BadPattern, message: error.to_string() })?;
    // Only a pattern that names the first segment reaches the broker's own topics.
    if let Some(Segment::Literal(first)) = pattern.segments().next() {
        context.check_visible(first, remote)?;
    }
    let limit = query.count("limit", LISTED.0, LISTED.1)?;
    let after = query.text("after");
    if let Some(after) = after {
        check(after)?;
    }
    let (rows, next) = context.engine.topics(&pattern, after, limit);
    let rows: Vec<_> = rows.iter().map(row).collect();
    Ok(reply::json(json!({ "topics": rows, "next": next.as_deref() }).to_string().into_bytes()))
}

fn row(row: &TopicRow) -> serde_json::Value {
    json!({
        "topic": &*row.topic,
        "kind": row.kind.as_str(),
        "epoch": &*row.epoch,
        "seq": row.seq,
        "oldest": row.oldest,
        "subscribers": row.subscribers,
        "last_ts": row.last_ts,
    })
}

/// `GET /v1/topics/{topic}`
pub(super) fn image(query: Option<&str>, topic: &str, remote: IpAddr, context: &Context) -> Result<Reply, Refusal> {
    Query::parse(query, &[])?;
    check(topic)?;
    context.check_visible(topic, remote)?;
    match context.engine.image(topic) {
        Some(image) => Ok(reply::json(image.payload().to_vec())),
        None => Err(missing(format!("there is no image of {topic:?}: no such topic, or one of events"))),
    }
}

/// `DELETE /v1/topics/{topic}`
pub(super) fn delete(query: Option<&str>, topic: &str, context: &Context) -> Result<Reply, Refusal> {
    Query::parse(query, &[])?;
    let ended = context.engine.delete((context.now)(), topic, Publisher::Client)?;
    let mut out = Vec::new();
    published_body(&mut out, ended.topic.name(), ended.topic.epoch(), ended.seq, false);
    Ok(reply::json(out))
}

/// `bad_topic` for what is no topic's name.
pub(super) fn check(topic: &str) -> Result<(), Refusal> {
    check_topic(topic).map_err(|error| Refusal { code: ErrorCode::BadTopic, message: error.to_string() })
}

/// `not_found`
pub(super) fn missing(message: String) -> Refusal {
    Refusal { code: ErrorCode::NotFound, message }
}
