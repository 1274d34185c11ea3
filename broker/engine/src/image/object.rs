//! An object of an image: its members in order, its length known.

use std::sync::Arc;

use broker_protocol::walk::Cursor;

use super::hash_trie::Branch;
use super::member::{Key, Member, New};

/// Up to this many members are a list that is searched linearly.
const FEW_MEMBERS_MAX: usize = 16;

/// An object. A clone shares everything until one of the two is changed.
#[derive(Clone, Default)]
pub(super) struct Object(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    members: Members,
    count: usize,
    /// The encoded length of all members, without the commas between them.
    members_bytes: usize,
    /// Roughly what all members hold in memory.
    members_held: usize,
    /// The position of the next new member. Positions only grow, and define the order.
    next_position: u64,
}

#[derive(Clone)]
pub(super) enum Members {
    /// In their order.
    Few(Vec<Arc<Member>>),
    Many(Branch),
}

/// How a text is merged into an object.
#[derive(Clone, Copy, PartialEq)]
enum Merge {
    /// As a merge patch: `null` removes, objects merge.
    Patch,
    /// As a value that replaces what was there: `null` is a value; of duplicate keys the last one wins, at the position
    /// of the first.
    Replace,
}

impl Object {
    /// Parses compact, checked text; `None` if it is not an object.
    pub(super) fn parse(text: &[u8]) -> Option<Object> {
        let mut cursor = Cursor::new(text);
        cursor.at_object().then(|| {
            let mut object = Object::default();
            object.apply(&mut cursor, Merge::Replace);
            object
        })
    }

    /// Applies a merge patch to this object: compact, checked, without duplicate keys.
    pub(super) fn merge(&mut self, patch: &[u8]) {
        self.apply(&mut Cursor::new(patch), Merge::Patch);
    }

    pub(super) fn bytes(&self) -> usize {
        2 + self.0.members_bytes + self.0.count.saturating_sub(1)
    }

    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Inner>() + self.0.members_held
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        self.0.members.each_in_order(|member| {
            if !first {
                out.push(b',');
            }
            first = false;
            member.encode(out);
        });
        out.push(b'}');
    }

    pub(super) fn members(&self) -> &Members {
        &self.0.members
    }

    pub(super) fn is_same(&self, other: &Object) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn get(&self, key: &Key<'_>) -> Option<&Arc<Member>> {
        match &self.0.members {
            Members::Few(few) => few.iter().find(|member| member.is(key)),
            Members::Many(trie) => trie.get(key.hash(), key),
        }
    }

    /// Applies the text in one pass, entering its objects. Returns whether anything changed: if not, nothing was
    /// copied.
    fn apply(&mut self, cursor: &mut Cursor<'_>, mode: Merge) -> bool {
        let mut changed = false;
        cursor.enter();
        while let Some(raw) = cursor.next_key() {
            let key = Key::new(raw);
            let held = self.get(&key);
            if cursor.at_object() {
                let base = held.and_then(|member| member.object().cloned()).filter(|_| mode == Merge::Patch);
                let is_new = base.is_none();
                let mut object = base.unwrap_or_default();
                if object.apply(cursor, mode) || is_new {
                    self.put(&key, New::Object(object));
                    changed = true;
                }
                continue;
            }
            let leaf = cursor.take();
            if mode == Merge::Patch && leaf == b"null" {
                if held.is_some() {
                    self.remove(&key);
                    changed = true;
                }
            } else if held.is_none_or(|member| member.leaf() != Some(leaf)) {
                self.put(&key, New::Leaf(leaf));
                changed = true;
            }
        }
        changed
    }

    /// Puts a value: over an existing one, whose key keeps its text and position, or at the end.
    fn put(&mut self, key: &Key<'_>, value: New<'_>) {
        let held = self.get(key).cloned();
        let inner = Arc::make_mut(&mut self.0);
        let (raw, position) = match &held {
            Some(member) => (member.raw_key(), member.position()),
            None => (key.raw(), inner.next_position),
        };
        let member = Member::new(raw, value, position);
        inner.members_bytes += member.bytes();
        inner.members_held += member.held_bytes();
        match &held {
            Some(held) => {
                inner.members_bytes -= held.bytes();
                inner.members_held -= held.held_bytes();
            }
            None => {
                inner.next_position += 1;
                inner.count += 1;
            }
        }
        match &mut inner.members {
            Members::Few(few) => match few.iter_mut().find(|member| member.position() == position) {
                Some(slot) => *slot = Arc::new(member),
                None => {
                    few.push(Arc::new(member));
                    if few.len() > FEW_MEMBERS_MAX {
                        inner.members = many(few);
                    }
                }
            },
            Members::Many(trie) => trie.put(Arc::new(member.hashed(key.hash()))),
        }
    }

    /// Removes an existing member.
    fn remove(&mut self, key: &Key<'_>) {
        let inner = Arc::make_mut(&mut self.0);
        let removed = match &mut inner.members {
            Members::Few(few) => few.iter().position(|member| member.is(key)).map(|at| few.remove(at)),
            Members::Many(trie) => trie.remove(key.hash(), key),
        };
        if let Some(removed) = removed {
            inner.members_bytes -= removed.bytes();
            inner.members_held -= removed.held_bytes();
            inner.count -= 1;
        }
    }
}

impl Default for Members {
    fn default() -> Members {
        Members::Few(Vec::new())
    }
}

impl Members {
    pub(super) fn each_in_order<'a>(&'a self, mut each: impl FnMut(&'a Arc<Member>)) {
        match self {
            Members::Few(few) => few.iter().for_each(each),
            Members::Many(trie) => {
                let mut members = Vec::new();
                trie.each(&mut |position, member| members.push((position, member)));
                members.sort_unstable_by_key(|&(position, _)| position);
                members.into_iter().for_each(|(_, member)| each(member));
            }
        }
    }
}

/// Turns a list that has become too long to search into a trie.
fn many(few: &[Arc<Member>]) -> Members {
    let mut trie = Branch::default();
    for member in few {
        let hash = member.key().hash();
        trie.put(Arc::new(Member::clone(member).hashed(hash)));
    }
    Members::Many(trie)
}
