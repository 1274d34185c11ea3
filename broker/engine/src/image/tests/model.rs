//! The naive model of an image: lists of members, searched linearly, copied whole.

use std::fmt;

use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Model {
    /// The text of anything but an object.
    Leaf(String),
    /// Keys (their text, with quotes) and values in order.
    Object(Vec<(String, Model)>),
}

impl Model {
    pub(super) fn merge(&mut self, patch: &Model) {
        let Model::Object(patch) = patch else {
            *self = patch.clone();
            return;
        };
        if let Model::Leaf(_) = self {
            *self = Model::Object(Vec::new());
        }
        let Model::Object(members) = self else { return };
        for (key, value) in patch {
            let at = members.iter().position(|(held, _)| unescaped(held) == unescaped(key));
            match (at, value) {
                (Some(at), Model::Leaf(leaf)) if leaf == "null" => {
                    members.remove(at);
                }
                (None, Model::Leaf(leaf)) if leaf == "null" => {}
                (Some(at), value) => members[at].1.merge(value),
                (None, value) => {
                    let mut fresh = Model::Leaf("null".into());
                    fresh.merge(value);
                    members.push((key.clone(), fresh));
                }
            }
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Model::Leaf(text) => formatter.write_str(text),
            Model::Object(members) => {
                formatter.write_str("{")?;
                for (number, (key, value)) in members.iter().enumerate() {
                    write!(formatter, "{}{key}:{value}", if number > 0 { "," } else { "" })?;
                }
                formatter.write_str("}")
            }
        }
    }
}

/// Sets a key in a list of members.
pub(super) fn set(members: &mut Vec<(String, Model)>, key: &str, value: Model) {
    match members.iter_mut().find(|(held, _)| unescaped(held) == unescaped(key)) {
        Some((_, held)) => *held = value,
        None => members.push((key.into(), value)),
    }
}

/// The unescaped key, by another library's parser.
fn unescaped(key: &str) -> String {
    serde_json::from_str(key).expect(key)
}

/// Any value; objects have no duplicate keys.
pub(super) fn any() -> impl Strategy<Value = Model> {
    leaf().prop_recursive(4, 60, 20, |inner| object(inner).boxed())
}

/// An object that serves as a patch.
pub(super) fn patch() -> impl Strategy<Value = Model> {
    object(any())
}

fn leaf() -> impl Strategy<Value = Model> {
    const TEXTS: &[&str] = &[
        "null",
        "null",
        "null",
        "true",
        "0",
        "1.50",
        "-1e+02",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\u00e9\\\\ \\\" {}[]:,\"",
        "[]",
        "[null,{\"a\":null,\"b\":[{}]}]",
        "\"null\"",
    ];
    prop::sample::select(TEXTS).prop_map(|text| Model::Leaf(text.into())).boxed()
}

fn object(inner: impl Strategy<Value = Model>) -> impl Strategy<Value = Model> {
    // More keys than a list may hold, so that both forms of an object and the change between them occur.
    let plain = (0..24_u8).prop_map(|number| format!("\"k{number}\""));
    let odd = prop::sample::select(&["\"a\"", "\"\\u0061\"", "\"\"", "\"\\u0061\\\"\"", "\"é}\""][..]);
    let odd = odd.prop_map(str::to_owned);
    prop::collection::vec((prop_oneof![3 => plain, 1 => odd], inner), 0..24).prop_map(|members| {
        let mut unique = Vec::new();
        for (key, value) in members {
            set(&mut unique, &key, value);
        }
        Model::Object(unique)
    })
}
