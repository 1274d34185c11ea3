//! A topic's state: the last `data`, and what merge patches (RFC 7396) make of it.
//!
//! Every leaf keeps its text byte for byte, a key keeps its text and its place, new keys follow in the patch's order;
//! keys compare by what they say (`"a"` is `"\u0061"`). Arrays are leaves: a merge patch replaces them whole.
//!
//! A [`Tree`] is persistent. Its nodes are shared, a clone is a reference count, and a merge copies only the nodes on
//! the way to what it changes: the image that somebody is encoding stays what it was while the next one is made.
//!
//! - A `state` that was never patched is kept as its text, and parsed (once, whole) when a patch or a diff needs it.
//! - An object of up to 16 members is a list; a greater one a hash trie ([`hash_trie`]), so that one level of a book
//!   with 10,000 costs some hundred bytes of copying, not 10,000 members.
//! - Depth needs no bound of its own: `data` has at most 128 levels, and a merge puts an object's members beside
//!   those that are there, so that the deeper of the two is as deep as the image gets. Recursion here is bounded by it.

mod diff;
mod hash_trie;
mod member;
mod object;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use object::Object;

/// A JSON value that merge patches can be laid on. Cheap to clone.
#[derive(Clone)]
pub struct Tree(Value);

#[derive(Clone)]
enum Value {
    /// As it was published: any value, duplicate keys and all.
    Text(Arc<[u8]>),
    /// Once it was patched.
    Object(Object),
}

impl Tree {
    /// A state as it was published. The text must have been checked, and have no white space outside strings.
    pub fn from_json(compact_checked: &[u8]) -> Tree {
        Tree(Value::Text(compact_checked.into()))
    }

    /// The state with a merge patch laid on it. The patch must have been checked: an object, compact, without
    /// duplicate keys. What is no object becomes one. Of duplicate keys in the state, the last one is what is patched.
    pub fn merge_patch(&self, patch_compact_checked_object: &[u8]) -> Tree {
        let mut merged = self.object().unwrap_or_default();
        merged.merge(patch_compact_checked_object);
        Tree(Value::Object(merged))
    }

    /// How long the encoded state is. Known, not counted.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Value::Text(text) => text.len(),
            Value::Object(object) => object.bytes(),
        }
    }

    /// Roughly what the state holds in memory: its text, or once it was patched its members, several times as much. What
    /// it shares with other trees counts in each.
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Value::Text(text) => text.len(),
            Value::Object(object) => object.held_bytes(),
        }
    }

    /// Appends the state as compact JSON.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes());
        match &self.0 {
            Value::Text(text) => out.extend_from_slice(text),
            Value::Object(object) => object.encode(out),
        }
    }

    /// Appends the merge patch that turns `old` into `new` (but for the order of its keys). Where no merge patch can
    /// say it (`new` is no object, or a member that differs is or holds `null`), appends nothing and returns false.
    ///
    /// The cost follows what is different: nodes that the two share are not looked at.
    pub fn diff(old: &Tree, new: &Tree, out: &mut Vec<u8>) -> bool {
        // A patch on what is no object begins with an empty one.
        let Some(new) = new.object() else { return false };
        let old = old.object().unwrap_or_default();
        let start = out.len();
        let said = diff::push_patch(&old, &new, out);
        if !said {
            out.truncate(start);
        }
        said
    }

    /// The object that the state is, parsed where it was not yet; `None` where it is something else.
    fn object(&self) -> Option<Object> {
        match &self.0 {
            Value::Text(text) => Object::parse(text),
            Value::Object(object) => Some(object.clone()),
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.encode(&mut text);
        write!(formatter, "Tree({})", String::from_utf8_lossy(&text))
    }
}
