//! The state of a topic, merged from the updates that were published.

use broker_protocol::write::push_string;
use serde_json::{Map, Value};

/// A larger state goes out in pieces: by default a broker takes messages up to 64 KiB, and the rest of the message
/// needs room too.
pub const PIECE_BYTES_MAX: usize = 60_000;
/// The most bytes of patches that wait to be merged. Many books publish a whole state before they reach this, and then
/// none of the patches had to be parsed.
const WAITING_BYTES_MAX: usize = 32 << 10;

/// A state, and the patches that came since.
pub struct Image {
    base: Base,
    /// The patches, a line each: what is published has no line break.
    waiting: String,
}

enum Base {
    /// The text as it was published: most states are replaced before their content is needed.
    Text(String),
    /// The state with patches merged into it, and about how many bytes it has as text.
    Tree(Value, usize),
}

impl Image {
    /// An empty state, for patches to change.
    pub fn nothing() -> Image {
        Image { base: Base::Tree(Value::Null, 0), waiting: String::new() }
    }

    /// Replaces everything by a whole state, reusing the memory of the one before.
    pub fn set(&mut self, text: &str) {
        self.waiting.clear();
        match &mut self.base {
            Base::Text(before) => {
                before.clear();
                before.push_str(text);
            }
            Base::Tree(..) => self.base = Base::Text(text.to_owned()),
        }
    }

    /// Applies a merge patch.
    pub fn patch(&mut self, text: &str) {
        self.waiting.push_str(text);
        self.waiting.push('\n');
        if self.waiting.len() > WAITING_BYTES_MAX {
            self.settle();
        }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let base = match &self.base {
            Base::Text(text) => text.len(),
            Base::Tree(_, bytes) => *bytes,
        };
        base + self.waiting.len()
    }

    /// The state as texts of at most about `bytes_max`: a state, and patches that complete it.
    pub fn pieces(&mut self, bytes_max: usize) -> Vec<String> {
        self.settle();
        match &self.base {
            Base::Text(text) => vec![text.clone()],
            Base::Tree(tree, _) => pieces(tree, bytes_max),
        }
    }

    /// Merges the waiting patches.
    fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut tree = match &mut self.base {
            Base::Text(text) => value(text),
            Base::Tree(tree, _) => std::mem::take(tree),
        };
        for patch in self.waiting.lines() {
            merge(&mut tree, value(patch));
        }
        self.waiting.clear();
        let bytes = tree.to_string().len();
        self.base = Base::Tree(tree, bytes);
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

/// A value as texts of at most about `bytes_max`, which make the value when they are merged one after the other. A
/// value that is not an object stays whole, and so does a member that is too large by itself; all null members are in
/// the first text.
fn pieces(value: &Value, bytes_max: usize) -> Vec<String> {
    let text = value.to_string();
    if text.len() <= bytes_max || !value.is_object() {
        return vec![text];
    }
    let mut leaves = Vec::new();
    collect(value, &mut Vec::new(), &mut leaves);
    // In a patch null removes its member; in the state, which comes first, it is a value.
    leaves.sort_by_key(|(_, leaf)| !leaf.is_null());

    let mut texts = Vec::new();
    let (mut piece, mut bytes) = (Value::Object(Map::new()), 0);
    for (path, leaf) in leaves {
        // At most `"name":{` and `},` for each step of the path.
        let leaf_bytes = leaf.to_string().len() + path.iter().map(|name| quoted_bytes(name) + 4).sum::<usize>();
        if bytes + leaf_bytes > bytes_max && bytes > 0 && !leaf.is_null() {
            texts.push(std::mem::take(&mut piece).to_string());
            bytes = 0;
        }
        bytes += leaf_bytes;
        let mut target = &mut piece;
        for name in path {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Value::Object(members) = target else { break };
            target = members.entry(name).or_insert(Value::Null);
        }
        *target = leaf.clone();
    }
    texts.push(piece.to_string());
    texts
}

fn quoted_bytes(name: &str) -> usize {
    let mut text = String::new();
    push_string(&mut text, name);
    text.len()
}

/// Collects the members that have no members of their own, with the path to each.
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
            let texts = pieces(&value, bytes_max);
            let mut whole: Value = serde_json::from_str(&texts[0]).unwrap();
            for text in &texts[1..] {
                merge(&mut whole, serde_json::from_str(text).unwrap());
            }
            prop_assert_eq!(whole, value);
        }
    }

    #[test]
    fn a_large_state_goes_out_in_pieces_that_a_broker_takes() {
        let side = |from: u32| (from..from + 5_000).map(|px| (format!("{px}.25"), json!("10"))).collect::<Map<_, _>>();
        let mut image = Image::nothing();
        image.set(&json!({"bids": {"1": "1"}, "halted": null}).to_string());
        image.patch(&json!({"bids": side(10_000), "asks": side(20_000)}).to_string());
        let texts = image.pieces(PIECE_BYTES_MAX);
        assert!(texts.len() > 3);
        assert!(texts.iter().all(|text| text.len() <= PIECE_BYTES_MAX));
        let mut whole = value(&texts[0]);
        texts[1..].iter().for_each(|text| merge(&mut whole, value(text)));
        assert_eq!(whole["bids"].as_object().expect("a side").len(), 5_001);
        assert_eq!(whole.as_object().expect("an object").get("halted"), Some(&Value::Null));
    }

    #[test]
    fn patches_wait_until_the_state_is_needed() {
        let mut image = Image::nothing();
        image.set(r#"{"a":1.50}"#);
        assert_eq!(image.pieces(PIECE_BYTES_MAX), [r#"{"a":1.50}"#]);
        image.patch(r#"{"b":{"c":null,"d":2}}"#);
        image.patch(r#"{"a":null}"#);
        assert_eq!(image.pieces(PIECE_BYTES_MAX), [r#"{"b":{"d":2}}"#]);
        // More than may wait, and then a whole state that replaces all of it.
        let text = "x".repeat(1_000);
        for number in 0..200 {
            image.patch(&format!(r#"{{"t{number}":"{text}"}}"#));
            assert!(image.waiting.len() <= WAITING_BYTES_MAX);
        }
        assert!(image.bytes() > 150_000, "{}", image.bytes());
        image.set("[1]");
        assert_eq!((image.pieces(PIECE_BYTES_MAX), image.bytes()), (vec!["[1]".to_owned()], 3));
        // As in RFC 7396, a value that is not an object is replaced by one.
        image.patch(r#"{"a":1}"#);
        assert_eq!(image.pieces(PIECE_BYTES_MAX), [r#"{"a":1}"#]);
    }
}
