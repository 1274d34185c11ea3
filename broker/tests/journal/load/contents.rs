//! What is published: every update follows from its topic, its producer and its number, so that whoever gets one knows
//! what it has to be.

use serde_json::{Map, Value, json};

/// How many updates of a topic with a state go from one whole state to the next; those between are patches.
const PATCHES: u64 = 16;
/// The bytes of an update of [`Kind::Big`], so that checkpoints are due often.
const BIG_BYTES: usize = 30_000;

/// Who publishes what, by index.
pub(super) const PRODUCERS: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events of one producer.
    Events,
    /// States and patches of one producer.
    Patches,
    /// Large states of one producer.
    Big,
    /// Events of all producers.
    Shared,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// All topics, by index.
pub(super) fn topics() -> Vec<Topic> {
    let mut all = Vec::new();
    for producer in 0..PRODUCERS {
        for (name, kind) in [("trade", Kind::Events), ("book", Kind::Patches)] {
            all.push(Topic { name: format!("k.{producer}.{name}"), kind });
        }
    }
    all.push(Topic { name: "k.1.big".into(), kind: Kind::Big });
    all.push(Topic { name: "k.all".into(), kind: Kind::Shared });
    all
}

/// The indices of the topics of a producer.
pub(super) fn topics_of(producer: usize) -> Vec<usize> {
    let own = format!("k.{producer}.");
    let is_own = |topic: &Topic| topic.name.starts_with(&own) || topic.kind == Kind::Shared;
    topics().iter().enumerate().filter(|(_, topic)| is_own(topic)).map(|(index, _)| index).collect()
}

/// An update.
pub(super) struct Update {
    /// The kind that it is published with.
    pub(super) kind: &'static str,
    /// The `op` that subscribers get it with.
    pub(super) op: &'static str,
    pub(super) data: String,
}

/// The update with this number of a topic and a producer. Numbers begin with 1.
pub(super) fn update(kind: Kind, producer: usize, n: u64) -> Update {
    match kind {
        Kind::Events | Kind::Shared => {
            // Mostly short, some of a few KB, few long ones.
            let bytes = match n % 97 {
                0 => 12_000,
                1..9 => 1_500,
                rest => rest as usize,
            };
            Update { kind: "event", op: "update", data: filled(producer, n, bytes) }
        }
        Kind::Big => Update { kind: "state", op: "update", data: filled(producer, n, BIG_BYTES) },
        Kind::Patches if n % PATCHES == 1 => Update { kind: "state", op: "update", data: filled(producer, n, 100) },
        Kind::Patches => {
            let key = format!("k{}", n % 5);
            let value = if n.is_multiple_of(7) { Value::Null } else { json!({ "v": n, "was": null }) };
            Update { kind: "patch", op: "patch", data: json!({ "n": n, key: value }).to_string() }
        }
    }
}

fn filled(producer: usize, n: u64, bytes: usize) -> String {
    let letter = char::from(b'a' + (n % 26) as u8);
    format!("{{\"p\":{producer},\"n\":{n},\"x\":\"{}\"}}", letter.to_string().repeat(bytes))
}

/// The image of a topic of one producer after this update.
pub(super) fn image(kind: Kind, producer: usize, n: u64) -> Value {
    let parsed = |n| -> Value { serde_json::from_str(&update(kind, producer, n).data).unwrap() };
    if kind != Kind::Patches {
        return parsed(n);
    }
    let whole = n - (n - 1) % PATCHES;
    (whole + 1..=n).fold(parsed(whole), |image, n| merged(image, &parsed(n)))
}

/// RFC 7396.
fn merged(image: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut image = if let Value::Object(image) = image { image } else { Map::new() };
    for (key, value) in patch {
        if value.is_null() {
            image.remove(key);
        } else {
            let old = image.remove(key).unwrap_or(Value::Null);
            image.insert(key.clone(), merged(old, value));
        }
    }
    Value::Object(image)
}
