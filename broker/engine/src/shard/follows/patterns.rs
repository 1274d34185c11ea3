//! The patterns that a shard's connections are subscribed to, and which of them match a name.
//!
//! If thousands of patterns match the same names, finding them again for each name would cost a shard milliseconds. So
//! the result for one name is kept for others that differ only in their last segment, and names with the same patterns
//! share one list of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use broker_protocol::pattern::{Pattern, Specificity};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::fault;
use crate::shard::conn::Step;
use crate::shard::denied::Denied;
use crate::shard::id::{ConnId, GroupId};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::trie::Trie;

/// Maximum number of patterns that a name keeps in a list of its own.
pub(crate) const FEW: usize = fault::bound(8, 1);
/// Maximum number of beginnings of names for which the matching patterns are remembered.
const REMEMBERED_MAX: usize = 256;
/// Maximum number of last segments that patterns name below one beginning; with more, the beginning is not remembered.
const LITERALS_MAX: usize = 64;

/// Patterns that match a name, the most specific first; if there are many, all names with the same ones share them.
#[derive(Clone, Debug)]
pub(crate) enum Linked {
    Few(SmallVec<[GroupId; 2]>),
    Many(Arc<GroupSet>),
}

impl Default for Linked {
    fn default() -> Self {
        Linked::Few(SmallVec::new())
    }
}

impl Deref for Linked {
    type Target = [GroupId];

    fn deref(&self) -> &[GroupId] {
        match self {
            Linked::Few(groups) => groups,
            Linked::Many(set) => &set.groups,
        }
    }
}

/// Many patterns that match the same names.
#[derive(Debug)]
pub(crate) struct GroupSet {
    pub(crate) groups: Box<[GroupId]>,
    members: Mutex<SetMembers>,
}

/// The connections that have one of the patterns, each with the most specific of its own.
#[derive(Debug, Default)]
pub(crate) struct SetMembers {
    /// When they were looked up, as a count of changes to any pattern's members; 0 means never.
    pub(crate) as_of: u64,
    pub(crate) list: Vec<(ConnId, GroupId, Step)>,
}

impl GroupSet {
    /// Locks the members. Only the shard's own thread does so.
    pub(crate) fn members(&self) -> MutexGuard<'_, SetMembers> {
        lock(&self.members)
    }
}

struct Remembered {
    groups: Linked,
    /// Last segments for which other patterns match.
    literals: SmallVec<[Box<str>; 2]>,
}

/// A pattern in the trie.
#[derive(Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) group: GroupId,
    specificity: Specificity,
}

/// The patterns of a shard.
#[derive(Default)]
pub(crate) struct Patterns {
    /// Those whose subscribers are denied nothing of them.
    trie: Trie<Ranked>,
    /// The others: a pattern for each set of denied topics.
    denying: Trie<BTreeMap<Denied, Ranked>>,
    found: RefCell<Found>,
}

/// What was found for names; invalid once a pattern is added or removed.
#[derive(Default)]
struct Found {
    by_beginning: HashMap<Box<str>, Remembered, RandomState>,
    /// By the hash of the list. Sets that no name uses any more are forgotten when others are added.
    sets: HashMap<u64, Weak<GroupSet>, RandomState>,
    hasher: RandomState,
}

impl Patterns {
    pub(crate) fn get(&self, pattern: &Pattern, denied: &Denied) -> Option<GroupId> {
        let ranked = match denied.is_empty() {
            true => self.trie.get(pattern),
            false => self.denying.get(pattern).and_then(|sets| sets.get(denied)),
        };
        ranked.map(|ranked| ranked.group)
    }

    pub(crate) fn insert(&mut self, pattern: &Pattern, denied: &Denied, group: GroupId) {
        self.found.get_mut().by_beginning.clear();
        let ranked = Ranked { group, specificity: pattern.specificity() };
        if denied.is_empty() {
            self.trie.entry(pattern, || ranked);
        } else {
            self.denying.entry(pattern, BTreeMap::new).insert(denied.clone(), ranked);
        }
    }

    pub(crate) fn remove(&mut self, pattern: &Pattern, denied: &Denied) {
        self.found.get_mut().by_beginning.clear();
        if denied.is_empty() {
            self.trie.remove(pattern);
            return;
        }
        let sets = self.denying.entry(pattern, BTreeMap::new);
        sets.remove(denied);
        if sets.is_empty() {
            self.denying.remove(pattern);
        }
    }

    /// The patterns that match a name, and how many had to be looked up.
    pub(crate) fn matching(&self, name: &str) -> (Linked, usize) {
        let (beginning, last) = name.rsplit_once('.').unwrap_or(("", name));
        let mut found = self.found.borrow_mut();
        if let Some(held) = found.by_beginning.get(beginning).filter(|held| !held.literals.iter().any(|l| **l == *last))
        {
            return (held.groups.clone(), 0);
        }
        let mut ranked: SmallVec<[Ranked; FEW]> = SmallVec::new();
        self.trie.matching(name, |one| ranked.push(*one));
        let (mut denying, mut denied_steps) = (0, 0);
        self.denying.matching(name, |sets| {
            for (denied, one) in sets {
                denying += 1;
                denied_steps += denied.patterns().len();
                if !denied.matches(name) {
                    ranked.push(*one);
                }
            }
        });
        let looked_for = ranked.len() + denying + denied_steps;
        ranked.sort_unstable_by(|one, other| other.specificity.cmp(&one.specificity).then(one.group.cmp(&other.group)));
        let groups = ranked.iter().map(|ranked| ranked.group);
        if ranked.len() <= FEW {
            // Finding these again is as fast as a lookup.
            return (Linked::Few(groups.collect()), looked_for);
        }
        let linked = Linked::Many(found.share(groups.collect()));
        let mut literals = SmallVec::new();
        // What is denied may differ from one last segment to the next.
        let is_same = denying == 0
            && self.trie.literals_below(beginning, LITERALS_MAX, &mut literals)
            && self.denying.literals_below(beginning, LITERALS_MAX, &mut literals);
        if is_same && !literals.iter().any(|l| **l == *last) {
            if found.by_beginning.len() >= REMEMBERED_MAX {
                found.by_beginning.clear();
            }
            found.by_beginning.insert(beginning.into(), Remembered { groups: linked.clone(), literals });
        }
        (linked, looked_for)
    }
}

impl Found {
    /// Returns the shared list of these patterns.
    fn share(&mut self, groups: Box<[GroupId]>) -> Arc<GroupSet> {
        let hash = self.hasher.hash_one(&groups);
        if let Some(set) = self.sets.get(&hash).and_then(Weak::upgrade).filter(|set| set.groups == groups) {
            return set;
        }
        if self.sets.len() >= REMEMBERED_MAX {
            self.sets.retain(|_, set| set.strong_count() > 0);
        }
        let set = Arc::new(GroupSet { groups, members: Mutex::default() });
        self.sets.insert(hash, Arc::downgrade(&set));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_protocol::permissions::Permissions;
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    #[test]
    fn what_is_remembered_is_what_would_be_found() {
        for seed in 0..60 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut patterns = Patterns::default();
            let mut model: Vec<(Pattern, Denied, GroupId)> = Vec::new();
            // In every other history, nothing is denied.
            let denies = seed % 2 == 0;
            for round in 0..400 {
                let segment = |random: &mut StdRng| ["a", "b", "c", "$S"][random.random_range(0..4)];
                if random.random_bool(0.2) || model.len() < 30 {
                    let mut parts: Vec<_> = (0..random.random_range(1..6))
                        .map(|_| if random.random_bool(0.6) { "*" } else { segment(&mut random) })
                        .collect();
                    if random.random_bool(0.3) {
                        parts.push(">");
                    }
                    let Ok(pattern) = Pattern::parse(&parts.join(".")) else { continue };
                    let deny = ["*.a", "*.b.>", "a.*.c", "b.>"].iter().filter(|_| denies && random.random_bool(0.2));
                    let deny = deny.map(|text| Pattern::parse(text).unwrap()).collect();
                    let denied = Denied::of(&Permissions::new(Vec::new(), Vec::new(), deny), &pattern);
                    match model.iter().position(|(held, with, _)| *held == pattern && *with == denied) {
                        Some(at) => {
                            model.swap_remove(at);
                            patterns.remove(&pattern, &denied);
                        }
                        None => {
                            patterns.insert(&pattern, &denied, round);
                            model.push((pattern, denied, round));
                        }
                    }
                }
                let name: Vec<_> = (0..random.random_range(1..6)).map(|_| segment(&mut random)).collect();
                let name = name.join(".");
                let (found, _) = patterns.matching(&name);
                let covers = |pattern: &Pattern, denied: &Denied| {
                    pattern.matches(&name) && !denied.patterns().iter().any(|one| one.matches(&name))
                };
                let mut expected: Vec<_> =
                    model.iter().filter(|(pattern, denied, _)| covers(pattern, denied)).collect();
                expected.sort_by_key(|(pattern, _, group)| (std::cmp::Reverse(pattern.specificity()), *group));
                let expected: Vec<GroupId> = expected.into_iter().map(|(.., group)| *group).collect();
                assert_eq!(found.to_vec(), expected, "seed {seed}, {name}");
            }
        }
    }
}
