//! Answers to requests; each echoes the request's `id` if it had one.

use super::object::Object;
use super::stream::topic_start;
use super::{EntryError, PatternStart, SubscriptionRow, TopicStart};
use crate::codes::ErrorCode;
use crate::pattern::Pattern;
use crate::permissions::Permissions;
use crate::topic::is_pattern;
use crate::write::push_string;

/// The answer to every well-formed `subscribe`; its three lists are always present.
pub fn subscribed(
    out: &mut Vec<u8>,
    id: Option<&[u8]>,
    topics: &[TopicStart<'_>],
    patterns: &[PatternStart<'_>],
    errors: &[EntryError<'_>],
) {
    Object::message(out, "subscribed")
        .id(id)
        .list("topics", topics, |out, start| topic_start(Object::open(out), start))
        .list("patterns", patterns, |out, start| {
            Object::open(out)
                .text("pattern", start.pattern)
                .number("matched", start.matched)
                .number("conflate_ms", start.conflate_ms.into())
                .close();
        })
        .list("errors", errors, |out, error| {
            code_and_message(Object::open(out).text("topic", error.topic), error.code, error.message)
                .flag("retry", error.code.retry())
                .close();
        })
        .close();
}

/// The message that everything a `subscribe` with `ready` asked for has begun.
pub fn ready(out: &mut Vec<u8>, id: Option<&[u8]>) {
    Object::message(out, "ready").id(id).close();
}

/// The answer to `unsubscribe`.
pub fn unsubscribed(out: &mut Vec<u8>, id: Option<&[u8]>, entries: &[&str]) {
    Object::message(out, "unsubscribed").id(id).list("topics", entries, |out, entry| push_string(out, entry)).close();
}

/// The answer to `publish`.
pub fn published(out: &mut Vec<u8>, id: Option<&[u8]>, topic: &str, epoch: &str, seq: u64, duplicate: bool) {
    accepted(Object::message(out, "published").id(id), topic, epoch, seq, duplicate);
}

/// The answer to `publish` with a batch. Rejected updates are identified by their index; `retry_ms` says when those that a
/// quota refused will fit.
pub fn published_batch(
    out: &mut Vec<u8>,
    id: Option<&[u8]>,
    accepted: u64,
    duplicates: u64,
    rejected: &[(usize, ErrorCode, impl AsRef<str>)],
    retry_ms: Option<u64>,
) {
    how_many(Object::message(out, "published").id(id), accepted, duplicates)
        .list("rejected", rejected, |out, (index, code, message)| {
            code_and_message(Object::open(out).number("index", *index as u64), *code, message.as_ref()).close();
        })
        .number_if("retry_ms", retry_ms)
        .close();
}

/// The answer to `list`.
pub fn subscriptions(
    out: &mut Vec<u8>,
    id: Option<&[u8]>,
    topics: &[SubscriptionRow<'_>],
    patterns: &[SubscriptionRow<'_>],
) {
    let row = |out: &mut Vec<u8>, name: &str, row: &SubscriptionRow<'_>| {
        Object::open(out)
            .text(name, row.name)
            .number("conflate_ms", row.conflate_ms.into())
            .text("on_slow", row.on_slow.as_str())
            .close();
    };
    Object::message(out, "subscriptions")
        .id(id)
        .list("topics", topics, |out, topic| row(out, "topic", topic))
        .list("patterns", patterns, |out, pattern| row(out, "pattern", pattern))
        .close();
}

/// The answer to `auth`, and the message that says what a client may do. `expires_ts` is absent for an identity that
/// does not end.
pub fn authenticated(
    out: &mut Vec<u8>,
    id: Option<&[u8]>,
    sub: &str,
    expires_ts: Option<u64>,
    permissions: &Permissions,
) {
    let mut message = Object::message(out, "authenticated");
    message.id(id).text("sub", sub).number_or_null("expires_ts", expires_ts);
    let list = |out: &mut Vec<u8>, pattern: &Pattern| push_string(out, pattern.as_str());
    Object::open(message.key("allow"))
        .list("sub", permissions.sub(), list)
        .list("pub", permissions.publish(), list)
        .list("deny", permissions.deny(), list)
        .close();
    message.close();
}

/// What the client subscribed to, a topic or a pattern, is no longer allowed to it.
pub fn subscription_error(out: &mut Vec<u8>, entry: &str, code: ErrorCode, message: &str) {
    let key = if is_pattern(entry) { "pattern" } else { "topic" };
    code_and_message(Object::message(out, "error").text(key, entry), code, message).flag("retry", code.retry()).close();
}

/// The answer to `ping`.
pub fn pong(out: &mut Vec<u8>, id: Option<&[u8]>, ts: u64) {
    Object::message(out, "pong").id(id).number("ts", ts).close();
}

/// The answer to a request that is refused.
pub fn error(out: &mut Vec<u8>, id: Option<&[u8]>, code: ErrorCode, message: &str) {
    code_and_message(Object::message(out, "error").id(id), code, message).flag("retry", code.retry()).close();
}

/// The answer to a request that exceeds a quota, and fits after `retry_ms`.
pub fn rate_limited(out: &mut Vec<u8>, id: Option<&[u8]>, message: &str, retry_ms: u64) {
    code_and_message(Object::message(out, "error").id(id), ErrorCode::RateLimited, message)
        .flag("retry", true)
        .number("retry_ms", retry_ms)
        .close();
}

/// The fields for an accepted update, over WebSocket and HTTP.
pub(super) fn accepted(object: &mut Object<'_>, topic: &str, epoch: &str, seq: u64, duplicate: bool) {
    object.text("topic", topic).text("epoch", epoch).number("seq", seq);
    if duplicate {
        object.flag("duplicate", true);
    }
    object.close();
}

/// How many of several updates were accepted, over WebSocket and HTTP.
pub(super) fn how_many<'m, 'o>(object: &'m mut Object<'o>, accepted: u64, duplicates: u64) -> &'m mut Object<'o> {
    object.number("accepted", accepted).number_if("duplicates", (duplicates > 0).then_some(duplicates))
}

pub(super) fn code_and_message<'m, 'o>(
    object: &'m mut Object<'o>,
    code: ErrorCode,
    message: &str,
) -> &'m mut Object<'o> {
    object.text("code", code.as_str()).text("message", message)
}
