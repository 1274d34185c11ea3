//! Messages that are not answers: `hello`, the stream of a topic, signs of life, announcements of the end.

use super::object::Object;
use super::{Auth, GapReason, Limits, Server, TopicStart};
use crate::kind::Kind;
use crate::write::push_number;

/// The first message on every connection. `features` names what this broker has beyond the protocol's first version.
pub fn hello(
    out: &mut Vec<u8>,
    server: Server<'_>,
    session: &str,
    heartbeat_ms: u64,
    auth: Option<Auth>,
    features: &[&str],
    limits: &Limits,
) {
    let mut hello = Object::message(out, "hello");
    hello.text("protocol", "tickcast.v1").text("server", server.version);
    if let Some(node) = server.node {
        hello.text("node", node);
    }
    hello.text("session", session);
    hello.number("heartbeat_ms", heartbeat_ms);
    hello.list("features", features, |out, feature| crate::write::push_string(out, feature));
    if let Some(auth) = auth {
        hello.text("auth", auth.as_str());
    }
    Object::open(hello.key("limits"))
        .number("subscriptions", limits.subscriptions)
        .number("message_bytes", limits.message_bytes)
        .number("image_bytes", limits.image_bytes)
        .number("behind_bytes", limits.behind_bytes)
        .number("retain_updates", limits.retain_updates)
        .number("stall_ms", limits.stall_ms)
        .close();
    hello.close();
}

/// The start of a topic that a pattern introduces, that was waited for, or that began again.
pub fn topic(out: &mut Vec<u8>, start: &TopicStart<'_>) {
    topic_start(Object::message(out, "topic"), start);
}

/// The fields of a topic's start, in `topic` and in `subscribed`.
pub(super) fn topic_start(mut object: Object<'_>, start: &TopicStart<'_>) {
    object
        .text("topic", start.topic)
        .text_or_null("kind", start.kind.map(Kind::as_str))
        .text_or_null("epoch", start.epoch)
        .number("seq", start.seq)
        .number("oldest", start.oldest)
        .text("start", start.start.as_str())
        .number("conflate_ms", start.conflate_ms.into())
        .close();
}

/// A topic's whole state at `seq`.
pub fn image(out: &mut Vec<u8>, topic: &str, epoch: &str, seq: u64, ts: u64, source_ts: Option<u64>, data: &[u8]) {
    Object::message(out, "image")
        .text("topic", topic)
        .text("epoch", epoch)
        .number("seq", seq)
        .number("ts", ts)
        .number_if("source_ts", source_ts)
        .raw("data", data)
        .close();
}

/// An update, called `patch` if it is one; with `from` it covers all updates since then. `data` appends the value.
#[allow(clippy::too_many_arguments, reason = "these are the fields of the message; a struct would repeat their names")]
pub fn update(
    out: &mut Vec<u8>,
    kind: Kind,
    topic: &str,
    seq: u64,
    from: Option<u64>,
    ts: u64,
    source_ts: Option<u64>,
    data: impl FnOnce(&mut Vec<u8>),
) {
    let op = if kind == Kind::Patch { "patch" } else { "update" };
    let mut update = Object::message(out, op);
    update.text("topic", topic).number("seq", seq).number_if("from", from);
    update.number("ts", ts).number_if("source_ts", source_ts);
    data(update.key("data"));
    update.close();
}

/// The exact range of updates that are lost.
pub fn gap(out: &mut Vec<u8>, topic: &str, from: u64, to: u64, reason: GapReason) {
    Object::message(out, "gap")
        .text("topic", topic)
        .number("from", from)
        .number("to", to)
        .text("reason", reason.as_str())
        .close();
}

/// The end of a topic.
pub fn closed(out: &mut Vec<u8>, topic: &str) {
    Object::message(out, "closed").text("topic", topic).close();
}

/// The connection has everything that it follows, up to this position. The id is a string, like the ids of Server-Sent
/// Events.
pub fn position(out: &mut Vec<u8>, id: u64) {
    let mut position = Object::message(out, "position");
    let value = position.key("id");
    value.push(b'"');
    push_number(value, id);
    value.push(b'"');
    position.close();
}

/// The connection is alive, and there was nothing to send.
pub fn heartbeat(out: &mut Vec<u8>, ts: u64) {
    Object::message(out, "heartbeat").number("ts", ts).close();
}

/// The client's token ends soon: it should authenticate again.
pub fn reauth(out: &mut Vec<u8>, expires_ts: u64) {
    Object::message(out, "reauth").number("expires_ts", expires_ts).close();
}

/// The broker is cut off from its journal since this time, in µs since the UNIX epoch: what it delivers may be old.
pub fn stale(out: &mut Vec<u8>, since: u64) {
    Object::message(out, "stale").number("since", since).close();
}

/// That is over.
pub fn fresh(out: &mut Vec<u8>) {
    Object::message(out, "fresh").close();
}

/// The broker is going away.
pub fn goaway(out: &mut Vec<u8>, reason: &str, after_ms: u64) {
    Object::message(out, "goaway").text("reason", reason).number("after_ms", after_ms).close();
}
