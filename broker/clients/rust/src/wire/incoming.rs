//! Messages from the broker, parsed from untrusted text.

mod rows;

use std::sync::Arc;

use super::raw::{HelloRow, Message, Op, PatternRow, RareRow, Seq, Text};
use crate::ErrorCode;
use crate::authenticated::Authenticated;
use crate::event::{EntryError, GapReason, TopicStart};
use crate::hello::Hello;
use crate::subscribe_options::Listed;
use rows::{code, entry_error, kind, listed, position_id, rejected, rows, start, starts, unknown};

/// One message from the broker. Strings and `data` of the frequent ones point into the message.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming<'a> {
    Hello(Hello),
    Subscribed {
        id: u64,
        topics: Vec<TopicStart>,
        /// Each with the number of topics that it matched.
        patterns: Vec<(String, u64)>,
        errors: Vec<EntryError>,
    },
    /// Everything that a `subscribe` asked for has begun.
    Ready {
        id: u64,
    },
    /// The client has everything of what it is subscribed to, up to here.
    Position {
        id: u64,
    },
    Topic(TopicStart),
    Image {
        topic: &'a str,
        epoch: &'a str,
        seq: u64,
        ts: u64,
        source_ts: Option<u64>,
        data: &'a str,
    },
    Update {
        patch: bool,
        topic: &'a str,
        seq: u64,
        from: Option<u64>,
        ts: u64,
        source_ts: Option<u64>,
        data: &'a str,
    },
    Gap {
        topic: &'a str,
        from: u64,
        to: u64,
        reason: GapReason,
    },
    Closed {
        topic: &'a str,
    },
    Unsubscribed {
        id: u64,
    },
    Published {
        id: u64,
        topic: Arc<str>,
        epoch: Arc<str>,
        seq: u64,
        duplicate: bool,
    },
    PublishedBatch {
        id: u64,
        accepted: u64,
        duplicates: u64,
        rejected: Vec<Rejected>,
        /// The wait that the broker asks for.
        retry_ms: Option<u64>,
    },
    Subscriptions {
        id: u64,
        rows: Vec<Listed>,
    },
    Pong {
        id: u64,
        ts: u64,
    },
    Heartbeat,
    Error {
        id: Option<u64>,
        code: ErrorCode,
        message: String,
        retry: bool,
        /// The wait that the broker asks for.
        retry_ms: Option<u64>,
        /// The topic or pattern that it is about, if it answers no request.
        entry: Option<String>,
    },
    /// The broker accepted a token (with the number of that request), or what this connection may has changed.
    Authenticated {
        id: Option<u64>,
        who: Authenticated,
    },
    /// The token ends soon.
    Reauth,
    /// The broker is cut off from its journal since then: what it sends may be old.
    Stale {
        since: u64,
    },
    /// It is not any more.
    Fresh,
    GoAway {
        reason: String,
        after_ms: u64,
    },
    /// A message of a later version of the protocol, which is ignored.
    Unknown,
}

/// A refused update of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) index: usize,
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

/// A message that does not follow the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a message that is not JSON, or not in the protocol's form")]
    Json(#[from] serde_json::Error),
    #[error("a message \"{op}\" without \"{field}\"")]
    Missing { op: &'static str, field: &'static str },
    #[error("a message \"{op}\" with an unknown {field} \"{value}\"")]
    Unknown { op: &'static str, field: &'static str, value: String },
}

/// Parses a message and calls `take` with it. A message may contain unescaped strings, which live only during the call.
pub(crate) fn read<R>(text: &str, take: impl FnOnce(Incoming<'_>) -> R) -> Result<R, Malformed> {
    let message: Message<'_> = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => {
            // A message of an unknown kind may use the known fields for other things.
            return match serde_json::from_str::<Op<'_>>(text) {
                Ok(op) if !KNOWN.contains(&&*op.op) => Ok(take(Incoming::Unknown)),
                _ => Err(error.into()),
            };
        }
    };
    Ok(take(interpret(&message, text)?))
}

const KNOWN: [&str; 21] = [
    "hello",
    "subscribed",
    "ready",
    "position",
    "topic",
    "image",
    "update",
    "patch",
    "gap",
    "closed",
    "unsubscribed",
    "published",
    "subscriptions",
    "pong",
    "heartbeat",
    "error",
    "goaway",
    "authenticated",
    "reauth",
    "stale",
    "fresh",
];

fn interpret<'m>(message: &'m Message<'_>, text: &str) -> Result<Incoming<'m>, Malformed> {
    let id = message.id.and_then(|id| id.get().parse::<u64>().ok());
    // Every request of this client has a number, from 1 on: an answer without one answers none of them.
    let answered = id.unwrap_or(0);
    Ok(match &*message.op {
        "update" | "patch" => {
            let (op, patch) = if &*message.op == "patch" { ("patch", true) } else { ("update", false) };
            Incoming::Update {
                patch,
                topic: text_of(op, "topic", &message.topic)?,
                seq: number_of(op, "seq", message.seq)?,
                from: message.from.map(|from| from.0),
                ts: given(op, "ts", message.ts)?,
                source_ts: message.source_ts,
                data: given(op, "data", message.data)?.get(),
            }
        }
        "image" => Incoming::Image {
            topic: text_of("image", "topic", &message.topic)?,
            epoch: text_of("image", "epoch", &message.epoch)?,
            seq: number_of("image", "seq", message.seq)?,
            ts: given("image", "ts", message.ts)?,
            source_ts: message.source_ts,
            data: given("image", "data", message.data)?.get(),
        },
        "gap" => Incoming::Gap {
            topic: text_of("gap", "topic", &message.topic)?,
            from: number_of("gap", "from", message.from)?,
            to: number_of("gap", "to", message.to)?,
            reason: match message.reason.as_deref() {
                Some("slow") => GapReason::Slow,
                Some("expired") => GapReason::Expired,
                _ => GapReason::Other,
            },
        },
        "closed" => Incoming::Closed { topic: text_of("closed", "topic", &message.topic)? },
        "topic" => Incoming::Topic(TopicStart {
            topic: Arc::from(text_of("topic", "topic", &message.topic)?),
            kind: kind("topic", message.kind.as_ref())?,
            epoch: message.epoch.as_deref().map(Arc::from),
            seq: number_of("topic", "seq", message.seq)?,
            oldest: number_of("topic", "oldest", message.oldest)?,
            start: start("topic", text_of("topic", "start", &message.start)?)?,
            conflate_ms: message.conflate_ms.unwrap_or(0),
        }),
        "subscribed" => Incoming::Subscribed {
            id: answered,
            topics: starts(message)?,
            patterns: rows::<PatternRow<'_>>(message.patterns)?
                .iter()
                .map(|row| (row.pattern.to_string(), row.matched))
                .collect(),
            errors: rows(message.errors)?.into_iter().map(entry_error).collect(),
        },
        "ready" => Incoming::Ready { id: answered },
        "position" => Incoming::Position { id: position_id(given("position", "id", message.id)?)? },
        "unsubscribed" => Incoming::Unsubscribed { id: answered },
        "published" => match message.accepted {
            Some(accepted) => Incoming::PublishedBatch {
                id: answered,
                accepted,
                duplicates: message.duplicates.unwrap_or(0),
                rejected: rows(message.rejected)?.into_iter().map(rejected).collect(),
                retry_ms: rare(text)?.retry_ms,
            },
            None => Incoming::Published {
                id: answered,
                topic: Arc::from(text_of("published", "topic", &message.topic)?),
                epoch: Arc::from(text_of("published", "epoch", &message.epoch)?),
                seq: number_of("published", "seq", message.seq)?,
                duplicate: message.duplicate.unwrap_or(false),
            },
        },
        "subscriptions" => Incoming::Subscriptions { id: answered, rows: listed(message)? },
        "pong" => Incoming::Pong { id: answered, ts: given("pong", "ts", message.ts)? },
        "heartbeat" => Incoming::Heartbeat,
        "error" => {
            let (code, message_text) = code(text_of("error", "code", &message.code)?, message.message.as_deref());
            let retry = message.retry.unwrap_or(code.retry());
            let RareRow { retry_ms, pattern, .. } = rare(text)?;
            let entry = message.topic.as_deref().or(pattern.as_deref()).map(str::to_owned);
            Incoming::Error { id, code, message: message_text, retry, retry_ms, entry }
        }
        "authenticated" => Incoming::Authenticated { id, who: serde_json::from_str(text)? },
        "reauth" => Incoming::Reauth,
        "stale" => Incoming::Stale { since: given("stale", "since", rare(text)?.since)? },
        "fresh" => Incoming::Fresh,
        "goaway" => Incoming::GoAway {
            reason: message.reason.as_deref().unwrap_or("").to_owned(),
            after_ms: message.after_ms.unwrap_or(0),
        },
        "hello" => Incoming::Hello(hello(text)?),
        _ => Incoming::Unknown,
    })
}

fn given<T>(op: &'static str, field: &'static str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or(Malformed::Missing { op, field })
}

fn text_of<'m>(op: &'static str, field: &'static str, value: &'m Option<Text<'_>>) -> Result<&'m str, Malformed> {
    value.as_deref().ok_or(Malformed::Missing { op, field })
}

fn number_of(op: &'static str, field: &'static str, value: Option<Seq>) -> Result<u64, Malformed> {
    value.map(|seq| seq.0).ok_or(Malformed::Missing { op, field })
}

/// The fields that only rare messages have. A second pass for these costs the frequent ones nothing.
fn rare(text: &str) -> Result<RareRow<'_>, Malformed> {
    Ok(serde_json::from_str(text)?)
}

fn hello(text: &str) -> Result<Hello, Malformed> {
    let row: HelloRow = serde_json::from_str(text)?;
    if row.protocol != PROTOCOL {
        return Err(unknown("hello", "protocol", &row.protocol));
    }
    Ok(Hello {
        server: row.server,
        session: row.session,
        heartbeat_ms: row.heartbeat_ms,
        features: row.features,
        auth: row.auth,
        limits: row.limits,
    })
}

/// The version of the protocol that this client speaks, as `hello` names it.
const PROTOCOL: &str = "tickcast.v1";

#[cfg(test)]
mod tests;
