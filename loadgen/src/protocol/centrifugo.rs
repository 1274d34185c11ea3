//! Centrifugo's client protocol in JSON (centrifugal.dev, "Client protocol"): commands one way, replies and pushes the
//! other, several of them in one text message, a line each.

use std::io::Write as _;

use serde::Deserialize;

use super::{Entry, Received};

/// The id of the command whose answer means that every subscription is in effect. The server answers commands in order.
const LAST: u64 = 1;
/// The id of all publishing commands: only a refusal is of interest.
const PUBLISH: u64 = 2;
/// The first id of the others.
const FIRST: u64 = 3;

pub(super) fn connect(out: &mut Vec<u8>) {
    write!(out, r#"{{"id":{FIRST},"connect":{{}}}}"#).expect("memory takes everything");
}

pub(super) fn subscribe(out: &mut Vec<u8>, entries: &[Entry<'_>]) {
    connect(out);
    for (index, entry) in entries.iter().enumerate() {
        let id = if index + 1 == entries.len() { LAST } else { FIRST + 1 + index as u64 };
        let channel = entry.name;
        write!(out, "\n{{\"id\":{id},\"subscribe\":{{\"channel\":\"{channel}\"}}}}").expect("memory takes everything");
    }
}

pub(super) fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    write!(out, r#"{{"id":{PUBLISH},"publish":{{"channel":"{topic}","data":"#).expect("memory takes everything");
    out.extend(payload);
    out.extend(b"}}");
}

/// Decodes one line of a message.
pub(super) fn decode(line: &[u8], each: &mut impl FnMut(Received<'_>)) {
    if line == b"{}" {
        return each(Received::Reply(b"{}"));
    }
    match quick(line) {
        Some((topic, data)) => each(Received::Update { topic, seq: None, from: None, ts_us: 0, data }),
        None => slow(line, each),
    }
}

/// Reads a publication by the server's order of its fields. Fields behind its data (`offset`, `info`) stay in the data:
/// the payload itself shows where it ends.
fn quick(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(br#"{"push":{"channel":""#)?;
    let (topic, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    Some((topic, rest.strip_prefix(br#"","pub":{"data":"#)?))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: u64,
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    push: Option<Push>,
}

#[derive(Deserialize)]
struct Failure {
    code: u32,
    message: String,
}

#[derive(Deserialize)]
struct Push {
    #[serde(default)]
    channel: String,
    #[serde(default, rename = "pub")]
    publication: Option<Publication>,
    #[serde(default)]
    unsubscribe: Option<Unsubscribe>,
}

#[derive(Deserialize)]
struct Publication {
    data: Box<serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Unsubscribe {
    #[serde(default)]
    reason: String,
}

fn slow(line: &[u8], each: &mut impl FnMut(Received<'_>)) {
    let reply: Reply = match serde_json::from_slice(line) {
        Ok(reply) => reply,
        Err(error) => {
            let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
            return each(Received::Refused(format!("not a reply of the protocol ({error}): {text}")));
        }
    };
    let is_last = reply.id == LAST;
    match (reply.error, reply.push) {
        (Some(Failure { code, message }), _) => {
            each(Received::Refused(format!("error {code}: {message}")));
            // The other subscriptions may be in effect.
            if is_last {
                each(Received::Subscribed);
            }
        }
        (None, Some(Push { channel, publication: Some(publication), .. })) => {
            let (topic, data) = (channel.as_bytes(), publication.data.get().as_bytes());
            each(Received::Update { topic, seq: None, from: None, ts_us: 0, data });
        }
        (None, Some(Push { channel, unsubscribe: Some(unsubscribe), .. })) => {
            each(Received::Refused(format!("unsubscribed from {channel}: {}", unsubscribe.reason)));
        }
        (None, Some(_)) => {}
        (None, None) if is_last => each(Received::Subscribed),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(line: &str) -> Vec<String> {
        let mut all = Vec::new();
        decode(line.as_bytes(), &mut |received| all.push(format!("{received:?}")));
        all
    }

    #[test]
    fn a_publication_is_found_whatever_the_order_of_its_fields() {
        let quick = received(r#"{"push":{"channel":"a.b","pub":{"data":{"t":1},"offset":7}}}"#);
        let slow = received(r#"{"push":{"pub":{"offset":7,"data":{"t":1}},"channel":"a.b"}}"#);
        assert!(quick[0].starts_with("Update { topic: [97, 46, 98]"), "{quick:?}");
        assert!(slow[0].starts_with("Update { topic: [97, 46, 98]"), "{slow:?}");
    }

    #[test]
    fn the_answer_to_the_last_subscription_counts_and_refusals_are_reported() {
        let mut out = Vec::new();
        let entries = ["a", "b"].map(|name| Entry { name, has: None });
        subscribe(&mut out, &entries);
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[2], r#"{"id":1,"subscribe":{"channel":"b"}}"#);
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(received(r#"{"id":4,"subscribe":{}}"#), [""; 0]);
        assert_eq!(received(r#"{"id":1,"subscribe":{}}"#), ["Subscribed"]);
        assert_eq!(
            received(r#"{"id":1,"error":{"code":103,"message":"permission denied"}}"#),
            [r#"Refused("error 103: permission denied")"#, "Subscribed"]
        );
        assert_eq!(received("{}").len(), 1, "a ping is answered");
        assert!(received("nonsense")[0].starts_with("Refused"), "invalid JSON is reported");
    }
}
