//! Images against a naive model, and the examples of RFC 7396.

mod model;

use broker_protocol::Data;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use self::model::Model;
use super::Tree;

fn text(tree: &Tree) -> String {
    let mut out = Vec::new();
    tree.encode(&mut out);
    assert_eq!(out.len(), tree.bytes(), "the length is known");
    String::from_utf8(out).expect("an image is text")
}

fn diff(old: &Tree, new: &Tree) -> Option<String> {
    let mut out = b"before".to_vec();
    let expressible = Tree::diff(old, new, &mut out);
    let patch = String::from_utf8(out).expect("a patch is text").strip_prefix("before").expect("appended").to_owned();
    assert!(expressible || patch.is_empty(), "nothing is left of a patch that cannot be expressed: {patch}");
    expressible.then_some(patch)
}

/// The MergePatch of RFC 7396 §2 on the values of another JSON library.
fn merged(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let Value::Object(mut target) = (if target.is_object() { target } else { Value::Object(Default::default()) })
    else {
        unreachable!("it is an object now")
    };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(&key);
        } else {
            let old = target.get(&key).cloned().unwrap_or_default();
            target.insert(key, merged(old, value));
        }
    }
    Value::Object(target)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// A patch turns the old state into the new one; there is only none if `null` is in the way.
fn check_diff(old: &Tree, new: &Tree) {
    let (old_text, new_text) = (text(old), text(new));
    match diff(old, new) {
        Some(patch) => {
            assert!(Data::check_patch(&patch).is_ok(), "{patch}");
            let got = merged(parsed(&old_text), parsed(&patch));
            assert_eq!(got, parsed(&new_text), "{old_text} + {patch}");
        }
        None => assert!(!new_text.starts_with('{') || new_text.contains("null"), "{old_text} → {new_text}"),
    }
}

#[test]
fn the_examples_of_rfc_7396() {
    let table = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ];
    for (target, patch, result) in table {
        let merged = Tree::from_json(target.as_bytes()).merge_patch(patch.as_bytes());
        assert_eq!(text(&merged), result, "{target} + {patch}");
    }
}

#[test]
fn texts_and_positions_stay() {
    let table = [
        // Leaves keep every digit and escape; an existing key keeps its spelling.
        (r#"{"px":1.50,"s":"\u00e9"}"#, r#"{"qty":1e+02}"#, r#"{"px":1.50,"s":"\u00e9","qty":1e+02}"#),
        (r#"{"a":1,"b":2}"#, r#"{"\u0061":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"\ud83d\ude00":1}"#, r#"{"😀":null,"\ud83d":2}"#, r#"{"\ud83d":2}"#),
        // A key that was removed and added again is new.
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"b":5,"d":{"x":[null],"y":null}}"#, r#"{"a":1,"b":5,"c":3,"d":{"x":[null]}}"#),
        // Of duplicate keys the last one wins, at the position of the first.
        (r#"{"a":{"x":1},"b":2,"a":{"y":1}}"#, r#"{"c":3}"#, r#"{"a":{"y":1},"b":2,"c":3}"#),
        (r#"{"a":{"n":null}}"#, r#"{"a":{"m":1}}"#, r#"{"a":{"n":null,"m":1}}"#),
        (r#"{"":0}"#, r#"{"":null}"#, r#"{}"#),
    ];
    for (target, patch, result) in table {
        let merged = Tree::from_json(target.as_bytes()).merge_patch(patch.as_bytes());
        assert_eq!(text(&merged), result, "{target} + {patch}");
    }
    let untouched = r#"{"a":1,"a":2}"#;
    assert_eq!(text(&Tree::from_json(untouched.as_bytes())), untouched);
}

#[test]
fn what_a_merge_patch_can_express() {
    let table = [
        (r#"{"a":1}"#, r#"{"a":1}"#, Some("{}")),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, Some("{}")),
        (r#"{"a":1,"b":{"c":1,"d":2}}"#, r#"{"b":{"c":2}}"#, Some(r#"{"a":null,"b":{"d":null,"c":2}}"#)),
        (r#"{"a":1.0}"#, r#"{"a":1.00}"#, Some(r#"{"a":1.00}"#)),
        (r#"{"a":1}"#, r#"{"a":{}}"#, Some(r#"{"a":{}}"#)),
        (r#"{"a":{"b":1}}"#, r#"{"a":{}}"#, Some(r#"{"a":{"b":null}}"#)),
        (r#"5"#, r#"{"a":{"b":[null]}}"#, Some(r#"{"a":{"b":[null]}}"#)),
        (r#"{"a":null}"#, r#"{"a":null,"b":1}"#, Some(r#"{"b":1}"#)),
        (r#"{}"#, r#"{"a":null}"#, None),
        (r#"{}"#, r#"{"a":{"b":null}}"#, None),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":null}}"#, None),
        (r#"{}"#, r#"[]"#, None),
    ];
    for (old, new, patch) in table {
        let (old, new) = (Tree::from_json(old.as_bytes()), Tree::from_json(new.as_bytes()));
        assert_eq!(diff(&old, &new).as_deref(), patch, "{old:?} → {new:?}");
        check_diff(&old, &new);
    }
}

#[test]
fn as_deep_as_data_can_be() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(128), "}".repeat(128));
    assert!(Data::check_patch(&deep).is_ok());
    let other = deep.replace('1', "2");
    let tree = Tree::from_json(deep.as_bytes());
    let merged = tree.merge_patch(other.as_bytes());
    assert_eq!(text(&merged), other);
    assert_eq!(diff(&tree, &merged), Some(other));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_trees_match_the_model(base in model::any(), patches in prop::collection::vec(model::patch(), 1..6)) {
        let mut model = base;
        let mut tree = Tree::from_json(model.to_string().as_bytes());
        let first = tree.clone();
        let first_text = model.to_string();
        for patch in patches {
            let before = text(&tree);
            let next = tree.merge_patch(patch.to_string().as_bytes());
            model.merge(&patch);
            prop_assert_eq!(text(&next), model.to_string(), "{} + {}", before, patch);
            prop_assert_eq!(text(&tree), before, "the earlier tree is unchanged");
            check_diff(&tree, &next);
            check_diff(&next, &tree);
            check_diff(&first, &next);
            tree = next;
        }
        prop_assert_eq!(text(&first), first_text);
    }
}

/// Order books: thousands of keys in nested objects, each patch changing a few.
#[test]
fn large_objects_match_the_model() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut model = Model::Object(Vec::new());
        let mut tree = Tree::from_json(b"{}");
        let mut kept = tree.clone();
        for round in 0..150 {
            let growing = round % 60 < 40;
            let changes = random.random_range(1..60);
            let mut sides = [Vec::new(), Vec::new()];
            for _ in 0..changes {
                let level = random.random_range(0..2_000);
                let side = &mut sides[level % 2];
                let value = if random.random_bool(if growing { 0.2 } else { 0.8 }) {
                    "null".to_owned()
                } else {
                    format!("\"{}\"", random.random_range(0..9))
                };
                model::set(side, &format!("\"{}.{:02}\"", level / 100, level % 100), Model::Leaf(value));
            }
            let [bids, asks] = sides.map(Model::Object);
            let patch = Model::Object(vec![("\"bids\"".into(), bids), ("\"asks\"".into(), asks)]);
            let next = tree.merge_patch(patch.to_string().as_bytes());
            model.merge(&patch);
            assert_eq!(text(&next), model.to_string(), "seed {seed}, round {round}");
            check_diff(&tree, &next);
            check_diff(&kept, &next);
            check_diff(&next, &kept);
            tree = next;
            if round % 25 == 0 {
                kept = tree.clone();
            }
        }
    }
}

#[test]
fn held_bytes_follow_the_members() {
    let first = Tree::from_json(br#"{"a":1}"#).merge_patch(br#"{"b":{"c":[1,2]}}"#);
    let more = first.merge_patch(br#"{"b":{"d":"longer"},"e":0}"#);
    assert!(more.held_bytes() > first.held_bytes() && first.held_bytes() > first.bytes());
    let back = more.merge_patch(br#"{"b":{"d":null},"e":null}"#);
    assert_eq!((back.held_bytes(), back.bytes()), (first.held_bytes(), first.bytes()));
}
