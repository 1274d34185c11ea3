//! Any server that forwards what is published: messages to it are made from templates, and of its own messages only the
//! payload is looked at, wherever it is.

use serde::{Deserialize, Serialize};

use super::{Entry, Received};
use crate::payload;

/// The messages to a server. In each text `{topic}` is the (first) topic, `{topics}` all topics of a subscriber, joined
/// by commas, `{topics_json}` the same as JSON strings, `{number}` the subscriber's number, `{payload}` the payload to
/// publish, `{payload_json}` the same as a JSON string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Templates {
    /// Sent once by every subscriber; nothing is sent if absent.
    pub(crate) subscribe: Option<String>,
    /// Whether `subscribe` is sent once for each topic.
    pub(crate) subscribe_each: bool,
    /// Sent by a publisher before anything else.
    pub(crate) publisher_hello: Option<String>,
    /// The message that publishes a payload; the payload itself if absent.
    pub(crate) publish: Option<String>,
    /// A publisher's path, if it differs from the target's.
    pub(crate) publish_path: Option<String>,
    /// `Sec-WebSocket-Protocol`.
    pub(crate) subprotocol: Option<String>,
    /// Whether messages go out as binary frames.
    pub(crate) binary: bool,
}

impl Templates {
    pub(super) fn path(&self, path: &str, entries: &[Entry<'_>]) -> String {
        fill(path, 0, entries)
    }

    pub(super) fn subscriptions(&self, number: u32, entries: &[Entry<'_>]) -> Vec<String> {
        let Some(subscribe) = &self.subscribe else { return Vec::new() };
        if self.subscribe_each {
            return entries.chunks(1).map(|entry| fill(subscribe, number, entry)).collect();
        }
        vec![fill(subscribe, number, entries)]
    }

    pub(super) fn publish(&self, out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
        let mut rest = self.publish.as_deref().unwrap_or("{payload}");
        while let Some(at) = rest.find('{') {
            out.extend(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{topic}") {
                out.extend(topic.as_bytes());
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{payload}") {
                out.extend(payload);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{payload_json}") {
                let text = String::from_utf8_lossy(payload);
                out.extend(serde_json::Value::from(text).to_string().as_bytes());
                rest = after;
            } else {
                out.push(b'{');
                rest = &rest[1..];
            }
        }
        out.extend(rest.as_bytes());
    }
}

fn fill(template: &str, number: u32, entries: &[Entry<'_>]) -> String {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    let json: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    template
        .replace("{number}", &number.to_string())
        .replace("{topics_json}", &json.join(","))
        .replace("{topics}", &names.join(","))
        .replace("{topic}", names.first().copied().unwrap_or_default())
}

pub(super) fn decode(message: &[u8], each: &mut impl FnMut(Received<'_>)) {
    // Welcomes, answers and heartbeats contain no payload.
    if let Some(data) = payload::find(message) {
        each(Received::Update { topic: b"", seq: None, from: None, ts_us: 0, data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let templates = Templates {
            subscribe: Some(r#"{"subscribe":{"channel":"{topic}"},"id":{number}}"#.to_owned()),
            subscribe_each: true,
            publish: Some(r#"{"publish":{"channel":"{topic}","data":{payload}}}"#.to_owned()),
            ..Templates::default()
        };
        let entries = ["a.1", "a.2"].map(|name| Entry { name, has: None });
        assert_eq!(
            templates.subscriptions(7, &entries),
            [r#"{"subscribe":{"channel":"a.1"},"id":7}"#, r#"{"subscribe":{"channel":"a.2"},"id":7}"#]
        );
        let mut out = Vec::new();
        templates.publish(&mut out, "a.1", b"{\"t\":1}");
        assert_eq!(out, br#"{"publish":{"channel":"a.1","data":{"t":1}}}"#);
    }
}
