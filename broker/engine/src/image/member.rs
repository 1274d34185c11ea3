//! A member of an object: its key and its value in one piece of text, unless the value is an object itself.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use broker_protocol::walk::unescaped;

use super::object::Object;

/// Clients choose the keys: SipHash with a secret of this process, so that nobody can aim at one branch. Nothing that
/// leaves the engine depends on it.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A key and its value.
#[derive(Clone)]
pub(super) struct Member {
    /// `"key":leaf`, or `"key":` where the value is an object.
    text: Box<[u8]>,
    /// The length of the key in `text`, with its quotes.
    key_bytes: u32,
    /// 0 while the object has few members.
    hash: u64,
    position: u64,
    object: Option<Object>,
}

/// A key to look for.
pub(super) struct Key<'a> {
    raw: &'a [u8],
    unescaped_key: Cow<'a, [u8]>,
}

/// A value to put.
pub(super) enum New<'a> {
    Leaf(&'a [u8]),
    Object(Object),
}

impl Member {
    pub(super) fn new(raw_key: &[u8], value: New<'_>, position: u64) -> Member {
        let (leaf, object) = match value {
            New::Leaf(leaf) => (leaf, None),
            New::Object(object) => (&b""[..], Some(object)),
        };
        let text = [raw_key, b":", leaf].concat().into_boxed_slice();
        Member { text, key_bytes: raw_key.len() as u32, hash: 0, position, object }
    }

    /// The same member for an object with many members.
    pub(super) fn hashed(self, hash: u64) -> Member {
        Member { hash, ..self }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The key as it is written, with its quotes.
    pub(super) fn raw_key(&self) -> &[u8] {
        &self.text[..self.key_bytes as usize]
    }

    pub(super) fn key(&self) -> Key<'_> {
        Key::new(self.raw_key())
    }

    pub(super) fn is(&self, key: &Key<'_>) -> bool {
        self.raw_key() == key.raw || unescaped(unquoted(self.raw_key())) == key.unescaped_key
    }

    /// The value's text, unless it is an object.
    pub(super) fn leaf(&self) -> Option<&[u8]> {
        if self.object.is_some() { None } else { self.text.get(self.key_bytes as usize + 1..) }
    }

    /// The value, if it is an object.
    pub(super) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text);
        if let Some(object) = &self.object {
            object.encode(out);
        }
    }

    /// Roughly the memory it holds: itself and its text, each with an allocation's overhead, and its entry in a list or
    /// trie.
    pub(super) fn held_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 64;
        size_of::<Member>() + OVERHEAD_BYTES + self.text.len() + self.object.as_ref().map_or(0, Object::held_bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.object.as_ref().map_or(0, Object::bytes)
    }
}

impl<'a> Key<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Key<'a> {
        Key { raw, unescaped_key: unescaped(unquoted(raw)) }
    }

    pub(super) fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub(super) fn hash(&self) -> u64 {
        SECRET.hash_one(&*self.unescaped_key)
    }
}

fn unquoted(raw: &[u8]) -> &[u8] {
    raw.get(1..raw.len() - 1).unwrap_or_default()
}
