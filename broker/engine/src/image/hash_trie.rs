//! The members of a large object by the hash of their keys: a hash array mapped trie whose branches are shared.
//!
//! ```text
//! get(hash): at each branch, 4 bits of the hash choose one of 16 slots: empty, a member, or a further branch
//! put:       an empty slot takes the member; a slot with another member becomes a branch with both
//! remove:    a branch left with one member is replaced by it, so that the shape depends only on the keys
//! ```
//!
//! A change copies the shared branches on its path: about log₁₆ n of up to 16 slots. Two hashes can be equal in all 64
//! bits: below the last level a branch is a plain list.

use std::sync::Arc;

use super::member::{Key, Member};

const LEVEL_BITS: u32 = 4;

/// A branch; the default is the empty trie.
#[derive(Clone, Default)]
pub(super) struct Branch {
    /// One bit for each slot that is taken. Unused below the last level.
    taken: u16,
    /// The children of the taken slots, in slot order.
    children: Vec<Child>,
}

#[derive(Clone)]
enum Child {
    Branch(Arc<Branch>),
    /// The member's position is stored beside it: to get the members in order, positions are sorted without visiting
    /// members, which lie anywhere in memory; the members are then visited in about the order in which they were made.
    Member(u64, Arc<Member>),
}

impl Branch {
    pub(super) fn get(&self, hash: u64, key: &Key<'_>) -> Option<&Arc<Member>> {
        let mut branch = self;
        let mut level = 0;
        loop {
            match &branch.children[branch.find(level, hash, key)?] {
                Child::Branch(below) => branch = below,
                Child::Member(_, member) => return (member.hash() == hash && member.is(key)).then_some(member),
            }
            level += 1;
        }
    }

    /// Puts a member, replacing one with the same key.
    pub(super) fn put(&mut self, member: Arc<Member>) {
        self.put_at(0, member);
    }

    /// Removes and returns the member with this key.
    pub(super) fn remove(&mut self, hash: u64, key: &Key<'_>) -> Option<Arc<Member>> {
        // Look first, so that nothing is copied in vain.
        self.get(hash, key)?;
        self.remove_at(0, hash, key)
    }

    /// Calls `each` with every member and its position, in no meaningful order.
    pub(super) fn each<'a>(&'a self, each: &mut dyn FnMut(u64, &'a Arc<Member>)) {
        self.children.iter().for_each(|child| child.each(each));
    }

    /// Calls `only_one` and `only_other` with the members that only one of the two has, and both with members whose
    /// value may differ. What the two share is skipped.
    pub(super) fn each_unshared<'a>(
        one: &'a Branch,
        other: &'a Branch,
        only_one: &mut dyn FnMut(u64, &'a Arc<Member>),
        only_other: &mut dyn FnMut(u64, &'a Arc<Member>),
    ) {
        if one.taken == 0 || other.taken == 0 {
            // Below the last level, or empty: no slots to pair.
            one.each(only_one);
            other.each(only_other);
            return;
        }
        for slot in 0..u16::BITS {
            match (one.slot(slot), other.slot(slot)) {
                (Some(Child::Branch(one)), Some(Child::Branch(other))) => {
                    if !Arc::ptr_eq(one, other) {
                        Branch::each_unshared(one, other, only_one, only_other);
                    }
                }
                (Some(Child::Member(_, one)), Some(Child::Member(_, other))) if Arc::ptr_eq(one, other) => {}
                (one, other) => {
                    one.into_iter().for_each(|child| child.each(only_one));
                    other.into_iter().for_each(|child| child.each(only_other));
                }
            }
        }
    }

    fn put_at(&mut self, level: u32, member: Arc<Member>) {
        let Some(at) = self.find(level, member.hash(), &member.key()) else {
            let at = self.take_slot(level, member.hash());
            self.children.insert(at, Child::Member(member.position(), member));
            return;
        };
        match &mut self.children[at] {
            Child::Branch(below) => Arc::make_mut(below).put_at(level + 1, member),
            Child::Member(position, held) if held.hash() == member.hash() && held.is(&member.key()) => {
                (*position, *held) = (member.position(), member);
            }
            Child::Member(_, held) => {
                let mut both = Branch::default();
                both.put_at(level + 1, Arc::clone(held));
                both.put_at(level + 1, member);
                self.children[at] = Child::Branch(Arc::new(both));
            }
        }
    }

    fn remove_at(&mut self, level: u32, hash: u64, key: &Key<'_>) -> Option<Arc<Member>> {
        let at = self.find(level, hash, key)?;
        let Child::Branch(below) = &mut self.children[at] else {
            self.taken &= !slot_bit(level, hash).unwrap_or_default();
            return match self.children.remove(at) {
                Child::Member(_, member) => Some(member),
                Child::Branch(_) => None,
            };
        };
        let branch = Arc::make_mut(below);
        let removed = branch.remove_at(level + 1, hash, key);
        if let [last @ Child::Member(..)] = &branch.children[..] {
            self.children[at] = last.clone();
        }
        removed
    }

    /// Returns the index of the child that leads towards a key: below the last level, of the member itself.
    fn find(&self, level: u32, hash: u64, key: &Key<'_>) -> Option<usize> {
        match slot_bit(level, hash) {
            Some(bit) => (self.taken & bit != 0).then(|| self.children_before(bit)),
            None => self.children.iter().position(|child| matches!(child, Child::Member(_, member) if member.is(key))),
        }
    }

    /// Takes the free slot of a hash and returns the index at which its child belongs.
    fn take_slot(&mut self, level: u32, hash: u64) -> usize {
        let Some(bit) = slot_bit(level, hash) else { return self.children.len() };
        self.taken |= bit;
        self.children_before(bit)
    }

    fn children_before(&self, bit: u16) -> usize {
        (self.taken & (bit - 1)).count_ones() as usize
    }

    fn slot(&self, slot: u32) -> Option<&Child> {
        let bit = 1 << slot;
        (self.taken & bit != 0).then(|| &self.children[self.children_before(bit)])
    }
}

impl Child {
    fn each<'a>(&'a self, each: &mut dyn FnMut(u64, &'a Arc<Member>)) {
        match self {
            Child::Branch(branch) => branch.each(each),
            Child::Member(position, member) => each(*position, member),
        }
    }
}

/// The slot of a hash at a level; `None` below the last level, where the hash is used up.
fn slot_bit(level: u32, hash: u64) -> Option<u16> {
    let slot = hash.checked_shr(level * LEVEL_BITS)? & 0xF;
    Some(1 << slot)
}

#[cfg(test)]
mod tests {
    use super::super::member::New;
    use super::*;

    /// Hashes that agree in all bits, in all but the highest, in all but the lowest: every shape of a branch occurs.
    #[test]
    fn members_whose_hashes_agree_are_told_apart() {
        for mask in [0, 1, 1 << 63, 0b11 << 60, 0xFF, u64::MAX] {
            let hash = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask;
            let key = |number: u64| format!("\"{number}\"").into_bytes();
            let member =
                |number: u64, leaf: &str| Member::new(&key(number), New::Leaf(leaf.as_bytes()), 0).hashed(hash(number));
            let mut trie = Branch::default();
            for number in 0..200 {
                trie.put(Arc::new(member(number, "0")));
            }
            let before = trie.clone();
            for number in 0..200 {
                let (one, key) = (member(number, "1"), member(number, "1"));
                assert!(trie.get(hash(number), &key.key()).is_some());
                if number % 2 == 0 {
                    trie.put(Arc::new(one));
                } else {
                    assert!(trie.remove(hash(number), &key.key()).is_some());
                    assert!(trie.remove(hash(number), &key.key()).is_none());
                }
            }
            let leaves = |trie: &Branch| {
                let mut leaves = Vec::new();
                trie.each(&mut |_, member| leaves.push(member.leaf().map(<[u8]>::to_vec)));
                leaves
            };
            assert_eq!(leaves(&before), vec![Some(b"0".to_vec()); 200], "shared branches stay");
            assert_eq!(leaves(&trie), vec![Some(b"1".to_vec()); 100]);
            let (mut only_one, mut only_other) = (0, 0);
            Branch::each_unshared(&before, &trie, &mut |_, _| only_one += 1, &mut |_, _| only_other += 1);
            assert_eq!((only_one, only_other), (200, 100));
            for number in (0..200).step_by(2) {
                assert!(trie.remove(hash(number), &member(number, "").key()).is_some());
            }
            assert!(trie.children.is_empty() && trie.taken == 0);
        }
    }
}
