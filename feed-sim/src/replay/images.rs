//! What topics are before the window of a replay opens, so that whoever subscribes then has it whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::publication::{Kind, Publication};

/// A state that is larger goes out in pieces: a broker takes messages up to 64 KiB unless it is told otherwise, and the
/// rest of the message needs its place too.
const PIECE_BYTES_MAX: usize = 60_000;

/// The states of topics. Events have none.
#[derive(Default)]
pub(super) struct Images {
    topics: BTreeMap<String, Image>,
}

enum Image {
    /// As it was published: most states are replaced before anybody looks into them.
    Text(String),
    /// With patches merged into it.
    Tree(Value),
}

impl Images {
    /// Takes in an update that goes out to nobody.
    pub(super) fn take_in(&mut self, publication: Publication) {
        let Publication { topic, kind, data, .. } = publication;
        match kind {
            Kind::Event => {}
            Kind::State => _ = self.topics.insert(topic, Image::Text(data)),
            Kind::Patch => {
                let image = self.topics.entry(topic).or_insert(Image::Tree(Value::Null));
                if let Image::Text(text) = image {
                    *image = Image::Tree(value(text));
                }
                if let Image::Tree(tree) = image {
                    merge(tree, value(&data));
                }
            }
        }
    }

    /// Lets go of the first topic by name: its state, and where that is too large the rest of it as patches.
    pub(super) fn pop(&mut self) -> Option<Vec<Publication>> {
        let (topic, image) = self.topics.pop_first()?;
        let texts = match image {
            Image::Text(text) => vec![text],
            Image::Tree(tree) => pieces(tree, PIECE_BYTES_MAX),
        };
        let kinds = std::iter::once(Kind::State).chain(std::iter::repeat(Kind::Patch));
        Some(texts.into_iter().zip(kinds).map(|(data, kind)| Publication::new(&topic, kind, data)).collect())
    }
}

/// Feeds publish nothing but JSON.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A value as texts of at most about `bytes_max`: merged one after the other they make it. What is no object stays whole,
/// and so does a member that is larger by itself; all that are null stay together in the first.
fn pieces(value: Value, bytes_max: usize) -> Vec<String> {
    let text = value.to_string();
    if text.len() <= bytes_max || !value.is_object() {
        return vec![text];
    }
    let mut leaves = Vec::new();
    collect(&value, &mut Vec::new(), &mut leaves);
    // In a patch null would remove its member: in the state, which comes first, it is a value.
    leaves.sort_by_key(|(_, leaf)| !leaf.is_null());

    let mut texts = Vec::new();
    let (mut piece, mut bytes) = (Value::Object(Map::new()), 0);
    for (path, leaf) in leaves {
        // `"name":{` and `},` for each step of the way, at most.
        let leaf_bytes = leaf.to_string().len() + path.iter().map(|name| quoted_bytes(name) + 4).sum::<usize>();
        if bytes + leaf_bytes > bytes_max && bytes > 0 && !leaf.is_null() {
            texts.push(std::mem::take(&mut piece).to_string());
            bytes = 0;
        }
        bytes += leaf_bytes;
        let mut place = &mut piece;
        for name in path {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else { break };
            place = members.entry(name).or_insert(Value::Null);
        }
        *place = leaf.clone();
    }
    texts.push(piece.to_string());
    texts
}

fn quoted_bytes(name: &str) -> usize {
    Value::from(name).to_string().len()
}

/// The members that have no members of their own, and the way to each.
fn collect<'a>(value: &'a Value, path: &mut Vec<&'a str>, leaves: &mut Vec<(Vec<&'a str>, &'a Value)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                path.push(name);
                collect(member, path, leaves);
                path.pop();
            }
        }
        leaf => leaves.push((path.clone(), leaf)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            "[a-c\"\\n]{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-d\"]{1,3}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn pieces_make_the_whole(value in json_value(), bytes_max in 10..200_usize) {
            let texts = pieces(value.clone(), bytes_max);
            let mut whole: Value = serde_json::from_str(&texts[0]).unwrap();
            for text in &texts[1..] {
                merge(&mut whole, serde_json::from_str(text).unwrap());
            }
            prop_assert_eq!(whole, value);
        }
    }

    #[test]
    fn a_large_state_goes_out_in_pieces_that_a_broker_takes() {
        let mut images = Images::default();
        let side = |from: u32| (from..from + 5_000).map(|px| (format!("{px}.25"), json!("10"))).collect::<Map<_, _>>();
        images.take_in(Publication::new("x", Kind::State, json!({"bids": {"1": "1"}, "halted": null}).to_string()));
        let patch = json!({"bids": side(10_000), "asks": side(20_000)});
        images.take_in(Publication::new("x", Kind::Patch, patch.to_string()));
        let publications = images.pop().expect("a topic");
        assert!(images.pop().is_none());
        assert!(publications.len() > 3);
        let mut whole = Value::Null;
        for (nth, publication) in publications.iter().enumerate() {
            assert_eq!(publication.kind == Kind::State, nth == 0);
            assert!(publication.data.len() <= PIECE_BYTES_MAX);
            let piece = value(&publication.data);
            if nth == 0 { whole = piece } else { merge(&mut whole, piece) }
        }
        assert_eq!(whole["bids"].as_object().expect("a side").len(), 5_001);
        assert_eq!(whole.as_object().expect("an object").get("halted"), Some(&Value::Null));
    }
}
