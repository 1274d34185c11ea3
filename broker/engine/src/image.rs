//! A topic's state: the last `data`, and what merge patches (RFC 7396) make of it.
//!
//! Every leaf keeps its text byte for byte, a key keeps its text and its position, new keys follow in the patch's
//! order. Keys are compared unescaped (`"a"` equals `"\u0061"`). Arrays are leaves: a merge patch replaces them whole.
//!
//! A [`Tree`] is persistent. Its nodes are shared, a clone is a reference count, and a merge copies only the nodes on
//! the path to what it changes: an image that a reader is encoding stays what it was while the next one is made.
//!
//! - A `state` that was never patched is kept as its text, and parsed (once, whole) when a patch or a diff needs it.
//! - An object of up to 16 members is a list; a larger one is a hash trie ([`hash_trie`]), so that changing one level
//!   of a book with 10,000 copies some hundred bytes, not 10,000 members.
//! - Depth needs no bound of its own: `data` has at most 128 levels, and a merge adds members next to existing ones, so
//!   that the image is as deep as the deeper of the two. This also bounds the recursion here.

mod diff;
mod hash_trie;
mod member;
mod object;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use object::Object;

/// A JSON value that merge patches can be applied to. Cheap to clone.
#[derive(Clone)]
pub struct Tree(Value);

#[derive(Clone)]
enum Value {
    /// As it was published: any value, including duplicate keys.
    Text(Arc<[u8]>),
    /// After it was patched.
    Object(Object),
}

impl Tree {
    /// A state as it was published. The text must have been checked, and have no white space outside strings.
    pub fn from_json(compact_checked: &[u8]) -> Tree {
        Tree(Value::Text(compact_checked.into()))
    }

    /// Returns the state with a merge patch applied. The patch must have been checked: an object, compact, without
    /// duplicate keys. A state that is not an object becomes one. Of duplicate keys in the state, the last one is
    /// patched.
    pub fn merge_patch(&self, patch_compact_checked_object: &[u8]) -> Tree {
        let mut merged = self.object().unwrap_or_default();
        merged.merge(patch_compact_checked_object);
        Tree(Value::Object(merged))
    }

    /// The length of the encoded state in bytes. Stored, not computed.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Value::Text(text) => text.len(),
            Value::Object(object) => object.bytes(),
        }
    }

    /// Roughly the memory that the state holds: its text, or after it was patched its members, which take several times
    /// as much. What it shares with other trees counts in each of them.
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

    /// Appends the merge patch that turns `old` into `new` (except for the order of its keys). If no merge patch can
    /// express it (`new` is not an object, or a member that differs is or contains `null`), appends nothing and returns
    /// false.
    ///
    /// The cost follows what differs: nodes that the two share are not visited.
    pub fn diff(old: &Tree, new: &Tree, out: &mut Vec<u8>) -> bool {
        // A patch to a value that is not an object starts from an empty one.
        let Some(new) = new.object() else { return false };
        let old = old.object().unwrap_or_default();
        let start = out.len();
        let expressible = diff::push_patch(&old, &new, out);
        if !expressible {
            out.truncate(start);
        }
        expressible
    }

    /// The object that the state is, parsed if necessary; `None` if it is something else.
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
