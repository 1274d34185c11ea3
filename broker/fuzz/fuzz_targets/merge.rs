//! The first line is a state, the others are patches. Merges and differences are compared with a naive merge of
//! serde_json's values.
#![no_main]

use broker_engine::Tree;
use broker_fuzz::{has_null_member, merge, same_order};
use broker_protocol::Data;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Some((base, mut model)) = lines.next().and_then(|line| Data::check(line).ok()).and_then(read) else { return };
    let first = Tree::from_json(&base);
    let mut tree = first.clone();
    for line in lines {
        let Some((patch, value)) = Data::check_patch(line).ok().and_then(read) else { continue };
        let before = text_of(&tree);
        let next = tree.merge_patch(&patch);
        merge(&mut model, &value);
        let merged = value_of(&text_of(&next));
        assert!(same_order(&merged, &model), "{before} + {line} = {next:?}, not {model}");
        assert_eq!(text_of(&tree), before, "the earlier tree does not change");
        check_diff(&tree, &next);
        check_diff(&next, &tree);
        check_diff(&first, &next);
        tree = next;
    }
    assert_eq!(text_of(&first).as_bytes(), base);
});

/// A difference makes the new state from the old one. There is none only if a member is `null`.
fn check_diff(old: &Tree, new: &Tree) {
    let (mut value, wanted) = (value_of(&text_of(old)), value_of(&text_of(new)));
    let mut out = Vec::new();
    if Tree::diff(old, new, &mut out) {
        let patch = String::from_utf8(out).expect("text");
        merge(&mut value, &value_of(&patch));
        assert_eq!(value, wanted, "{old:?} + {patch}");
    } else {
        assert!(out.is_empty());
        assert!(!wanted.is_object() || has_null_member(&wanted), "{old:?} → {new:?}");
    }
}

fn text_of(tree: &Tree) -> String {
    let mut out = Vec::new();
    tree.encode(&mut out);
    assert_eq!(out.len(), tree.bytes());
    String::from_utf8(out).expect("text")
}

fn value_of(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// Returns the compact text and serde_json's value of it. Skips what serde_json cannot represent (half a surrogate
/// pair, the last level of depth, its own key for numbers).
fn read(data: Data<'_>) -> Option<(Vec<u8>, Value)> {
    let value = serde_json::from_str(data.raw()).ok()?;
    if data.raw().contains("$serde_json") || data.raw().contains("\\u0024") {
        return None;
    }
    let mut compact = Vec::new();
    data.append_compact(&mut compact);
    Some((compact, value))
}
