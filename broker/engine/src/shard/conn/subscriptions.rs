//! What one connection is subscribed to: a sorted list while it is short, as it is for most, and a map when it is long,
//! so that subscribing to n names costs n log n for any n.

use std::collections::BTreeMap;

use broker_protocol::request::{From, OnSlow};

use super::step::Step;
use crate::shard::id::{GroupId, NameId};

/// The target of a subscription: a topic by its name, or all topics that a pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Topic(NameId),
    Pattern(GroupId),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) step: Step,
    pub(crate) on_slow: OnSlow,
    pub(crate) asked: Asked,
    /// Rises with each subscription of the connection: the later of two has the higher order.
    pub(crate) order: u32,
    /// The connection's index among the target's members.
    pub(crate) member: u32,
}

/// How a subscription was asked to begin, in 2 bytes: these were padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked(u16);

impl Asked {
    const IMAGE: Asked = Asked(0);
    const LIVE: Asked = Asked(1);
    const RESUME: Asked = Asked(2);
    /// From here on it is a number of updates.
    const LAST: u16 = 3;

    /// What a request says.
    pub(crate) fn of(from: From) -> Self {
        match from {
            From::Image => Self::IMAGE,
            From::Live => Self::LIVE,
            From::After(_) => Self::RESUME,
            From::Last(updates) => Self(Self::LAST + updates.min((u16::MAX - Self::LAST).into()) as u16),
        }
    }

    /// An entry that names an epoch and a `seq`.
    pub(crate) fn resumes() -> Self {
        Self::RESUME
    }
}

impl std::convert::From<Asked> for Beginning {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::IMAGE => Beginning::Image,
            Asked::LIVE => Beginning::Live,
            Asked::RESUME => Beginning::Resume,
            Asked(more) => Beginning::Last((more - Asked::LAST).into()),
        }
    }
}

/// How a subscription was asked to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With the image.
    Image,
    /// With what was published next.
    Live,
    /// With this many retained updates; 65,532 stands for more, too.
    Last(u64),
    /// Where the client had been.
    Resume,
}

/// A target in 4 bytes instead of 8, with the same order. Most connections have one subscription, on the heap, which
/// fits into 16 bytes this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed(u32);

const PATTERN: u32 = 1 << 31;

impl Packed {
    fn of(target: Target) -> Self {
        match target {
            Target::Topic(name_id) => Self(name_id),
            Target::Pattern(group) => Self(group | PATTERN),
        }
    }

    fn target(self) -> Target {
        if self.0 < PATTERN { Target::Topic(self.0) } else { Target::Pattern(self.0 & !PATTERN) }
    }
}

/// Maximum number of subscriptions that are kept as a list.
const LIST_MAX: usize = 64;

/// The subscriptions of a connection, by their target.
#[derive(Debug)]
pub(crate) enum Subscriptions {
    List(Vec<(Packed, Subscription)>),
    #[allow(clippy::box_collection, reason = "most connections have none: it takes no more than the list's 24 bytes")]
    Map(Box<BTreeMap<Target, Subscription>>),
}

impl Default for Subscriptions {
    fn default() -> Self {
        Subscriptions::List(Vec::new())
    }
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        match self {
            Subscriptions::List(list) => list.len(),
            Subscriptions::Map(map) => map.len(),
        }
    }

    pub(crate) fn get(&self, target: Target) -> Option<&Subscription> {
        match self {
            Subscriptions::List(list) => find(list, target).ok().map(|at| &list[at].1),
            Subscriptions::Map(map) => map.get(&target),
        }
    }

    pub(crate) fn get_mut(&mut self, target: Target) -> Option<&mut Subscription> {
        match self {
            Subscriptions::List(list) => find(list, target).ok().map(|at| &mut list[at].1),
            Subscriptions::Map(map) => map.get_mut(&target),
        }
    }

    /// Inserts a subscription, replacing the one with this target.
    pub(crate) fn insert(&mut self, target: Target, subscription: Subscription) -> Option<Subscription> {
        if let Subscriptions::List(list) = self {
            match find(list, target) {
                Ok(at) => return Some(std::mem::replace(&mut list[at].1, subscription)),
                Err(at) if list.len() < LIST_MAX => {
                    if list.capacity() == list.len() {
                        // Most connections have one subscription: reserve room for exactly that, then double.
                        list.reserve_exact(list.len().max(1));
                    }
                    list.insert(at, (Packed::of(target), subscription));
                    return None;
                }
                Err(_) => {
                    let all = std::mem::take(list).into_iter();
                    let map = all.map(|(packed, subscription)| (packed.target(), subscription)).collect();
                    *self = Subscriptions::Map(Box::new(map));
                }
            }
        }
        match self {
            Subscriptions::Map(map) => map.insert(target, subscription),
            Subscriptions::List(_) => None,
        }
    }

    pub(crate) fn remove(&mut self, target: Target) -> Option<Subscription> {
        match self {
            Subscriptions::List(list) => find(list, target).ok().map(|at| list.remove(at).1),
            Subscriptions::Map(map) => {
                let removed = map.remove(&target);
                // Far below the bound, so that it does not switch back and forth.
                if map.len() < LIST_MAX / 2 {
                    let all = std::mem::take(&mut **map).into_iter();
                    let list = all.map(|(target, subscription)| (Packed::of(target), subscription)).collect();
                    *self = Subscriptions::List(list);
                }
                removed
            }
        }
    }

    /// Removes any one of them.
    pub(crate) fn pop(&mut self) -> Option<(Target, Subscription)> {
        match self {
            Subscriptions::List(list) => list.pop().map(|(packed, subscription)| (packed.target(), subscription)),
            Subscriptions::Map(map) => map.pop_last(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Target, &Subscription)> {
        let (list, map) = match self {
            Subscriptions::List(list) => (Some(list), None),
            Subscriptions::Map(map) => (None, Some(map)),
        };
        let list = list.into_iter().flatten().map(|(packed, subscription)| (packed.target(), subscription));
        list.chain(map.into_iter().flat_map(|map| map.iter()).map(|(target, subscription)| (*target, subscription)))
    }

    /// The subscriptions to patterns.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = (GroupId, &Subscription)> {
        // Patterns sort after all topics.
        let (list, map) = match self {
            Subscriptions::List(list) => {
                let first = list.partition_point(|(packed, _)| packed.0 < PATTERN);
                (Some(&list[first..]), None)
            }
            Subscriptions::Map(map) => (None, Some(map.range(Target::Pattern(0)..))),
        };
        let list = list.into_iter().flatten().map(|(packed, subscription)| (packed.target(), subscription));
        let map = map.into_iter().flatten().map(|(target, subscription)| (*target, subscription));
        list.chain(map).filter_map(|(target, subscription)| match target {
            Target::Pattern(group) => Some((group, subscription)),
            Target::Topic(_) => None,
        })
    }
}

fn find(list: &[(Packed, Subscription)], target: Target) -> Result<usize, usize> {
    list.binary_search_by_key(&Packed::of(target), |(held, _)| *held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    #[test]
    fn how_it_was_asked_to_begin_fits_into_the_padding() {
        assert_eq!(std::mem::size_of::<(Packed, Subscription)>(), 16);
        for (from, beginning) in [
            (From::Image, Beginning::Image),
            (From::Live, Beginning::Live),
            (From::After(7), Beginning::Resume),
            (From::Last(0), Beginning::Last(0)),
            (From::Last(1000), Beginning::Last(1000)),
            (From::Last(65_532), Beginning::Last(65_532)),
            (From::Last(u64::MAX), Beginning::Last(65_532)),
        ] {
            assert_eq!(Beginning::from(Asked::of(from)), beginning, "{from:?}");
        }
    }

    #[test]
    fn against_a_map() {
        for (seed, names) in [(1, 10), (2, 90), (3, 400)] {
            let mut random = StdRng::seed_from_u64(seed);
            let (mut held, mut model) = (Subscriptions::default(), BTreeMap::new());
            for order in 0..5_000 {
                let number = random.random_range(0..names);
                let target = if random.random_bool(0.5) { Target::Topic(number) } else { Target::Pattern(number) };
                if random.random_bool(0.55) {
                    let subscription =
                        Subscription { step: 0, on_slow: OnSlow::default(), asked: Asked::IMAGE, order, member: 0 };
                    let old = held.insert(target, subscription).map(|old| old.order);
                    assert_eq!(old, model.insert(target, order));
                } else {
                    assert_eq!(held.remove(target).map(|old| old.order), model.remove(&target));
                }
                assert_eq!(held.len(), model.len());
                assert_eq!(held.get(target).map(|held| held.order), model.get(&target).copied());
                if order % 50 == 0 {
                    let all: Vec<_> = held.iter().map(|(target, held)| (target, held.order)).collect();
                    assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                    let patterns = model.iter().filter(|(target, _)| matches!(target, Target::Pattern(_)));
                    let patterns: Vec<u32> = patterns.map(|(_, order)| *order).collect();
                    assert_eq!(held.patterns().map(|(_, held)| held.order).collect::<Vec<_>>(), patterns);
                }
            }
        }
    }
}
