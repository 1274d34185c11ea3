//! The oracles of the fuzz targets: the same rules, implemented naively on serde_json.

use serde_json::Value;
use serde_json::value::RawValue;

/// Whether a text is JSON, at any depth.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Valid JSON text without the white space outside strings.
pub fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let kept = text.chars().filter(|&character| {
        let keep = in_string || !matches!(character, ' ' | '\n' | '\r' | '\t');
        if character == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && character == '\\' && !escaped;
        keep
    });
    kept.collect()
}

/// MergePatch of RFC 7396 §2. Keys keep their order, and new keys follow.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(members) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            members.shift_remove(key);
        } else {
            merge(members.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Whether two values are equal, their keys in the same order.
pub fn same_order(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, value), (other_key, other))| key == other_key && same_order(value, other))
        }
        (one, other) => one == other,
    }
}

/// Whether a member of an object at any level, except within arrays, is `null`.
pub fn has_null_member(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.values().any(|value| value.is_null() || has_null_member(value)))
}

/// Whether a pattern's segments match a topic's.
pub fn matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, topic @ ..]) => matches(pattern, topic),
        ([literal, pattern @ ..], [name, topic @ ..]) => literal == name && matches(pattern, topic),
        _ => false,
    }
}
