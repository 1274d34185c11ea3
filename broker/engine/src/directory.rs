//! All live topics by name, in byte order.
//!
//! A pattern's topics are found by leaping: the ordered map serves as the trie, and a seek descends it. After a name
//! that does not match, the segment at which it failed determines the next candidate, so that `*.quote` over a million
//! topics visits each first segment once and not each topic.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use broker_protocol::pattern::{Pattern, Segment};

use crate::names::ByName;
use crate::sync::unpoisoned;
use crate::topic::{Topic, TopicId};

/// The names, guarded by the directory's lock.
#[derive(Default)]
pub(crate) struct Names {
    by_name: ByName<Arc<Topic>>,
    in_order: BTreeMap<Arc<str>, Arc<Topic>>,
    /// Topics that ended, until every shard has read their end in the feed: a walk that is under way still reports
    /// them. Keyed by name and number, because several incarnations of one name may be here.
    ended: BTreeMap<(Arc<str>, TopicId), Arc<Topic>>,
}

/// One portion of a count.
pub(crate) struct PartialCount {
    pub(crate) matched: u64,
    pub(crate) looked_at: usize,
    /// The name to continue from; `None` if the count is complete.
    pub(crate) up_to: Option<Arc<str>>,
}

/// How far a walk over the names got in one step.
#[derive(Clone, Copy)]
pub(crate) enum Reached<'a> {
    /// Up to this name and no further.
    UpTo(&'a str),
    /// To the end.
    Rest,
}

/// All live topics.
#[derive(Default)]
pub(crate) struct Directory {
    names: RwLock<Names>,
}

impl Directory {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Names> {
        unpoisoned(self.names.read())
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Names> {
        unpoisoned(self.names.write())
    }
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(crate) fn insert(&mut self, topic: Arc<Topic>) {
        self.in_order.insert(topic.name().clone(), topic.clone());
        self.by_name.insert(topic.name().clone(), topic);
    }

    /// Removes this incarnation, but not another of the same name.
    pub(crate) fn remove(&mut self, topic: &Arc<Topic>) {
        if self.by_name.get(topic.name()).is_some_and(|held| Arc::ptr_eq(held, topic)) {
            self.by_name.remove(topic.name());
            self.in_order.remove(topic.name());
        }
    }

    /// Moves a topic to those that ended. Some shard has not read its end yet.
    pub(crate) fn end(&mut self, topic: &Arc<Topic>) {
        self.remove(topic);
        self.ended.insert((topic.name().clone(), topic.id()), topic.clone());
    }

    /// Forgets a topic whose end every shard has read.
    pub(crate) fn forget_ended(&mut self, topic: &Arc<Topic>) {
        self.ended.remove(&(topic.name().clone(), topic.id()));
    }

    /// Returns the topics that ended between `after` and the name reached by the walk, and that `pattern` matches.
    pub(crate) fn ended(&self, pattern: &Pattern, after: Option<&str>, reached: Reached<'_>) -> Vec<Arc<Topic>> {
        if self.ended.is_empty() {
            return Vec::new();
        }
        let from = match after {
            Some(after) => Bound::Excluded((after.into(), TopicId::MAX)),
            None => Bound::Unbounded,
        };
        let to = match reached {
            Reached::UpTo(name) => Bound::Included((name.into(), TopicId::MAX)),
            Reached::Rest => Bound::Unbounded,
        };
        let range = self.ended.range::<(Arc<str>, TopicId), _>((from, to));
        range.filter(|(_, topic)| pattern.matches(topic.name())).map(|(_, topic)| topic.clone()).collect()
    }

    /// Returns all topics that ended, whatever their names.
    pub(crate) fn all_ended(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.ended.values()
    }

    /// Returns the first topic after `after` (the very first if `None`), whatever its name.
    pub(crate) fn next(&self, after: Option<&str>) -> Option<&Arc<Topic>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.in_order.range::<str, _>((from, Bound::Unbounded)).next().map(|(_, topic)| topic)
    }

    /// Counts the topics after `after` that `pattern` matches and that are not denied, looking at no more than `names`
    /// names.
    pub(crate) fn count(
        &self,
        pattern: &Pattern,
        is_denied: impl Fn(&str) -> bool,
        after: Option<&str>,
        names: usize,
    ) -> PartialCount {
        let mut counted = PartialCount { matched: 0, looked_at: 0, up_to: None };
        let mut at: Option<Arc<str>> = after.map(Into::into);
        while counted.looked_at < names {
            let mut steps = names - counted.looked_at;
            let before = steps;
            let first = match self.next_match(pattern, at.as_deref(), &mut steps) {
                Ok(Some(first)) => first.name().clone(),
                Ok(None) => {
                    counted.looked_at += before - steps + 1;
                    return counted;
                }
                Err(name) => {
                    counted.looked_at = names;
                    counted.up_to = Some(name);
                    return counted;
                }
            };
            counted.looked_at += before - steps + 1;
            counted.matched += u64::from(!is_denied(&first));
            // Consecutive names that match are read from one range without a new seek.
            let row = self.in_order.range::<str, _>((Bound::Excluded(&*first), Bound::Unbounded));
            let row = row.take(names.saturating_sub(counted.looked_at)).take_while(|(name, _)| pattern.matches(name));
            let mut last = first;
            for (name, _) in row {
                counted.looked_at += 1;
                counted.matched += u64::from(!is_denied(name));
                last = name.clone();
            }
            at = Some(last);
        }
        counted.up_to = at;
        counted
    }

    /// Returns the first topic after `after` that `pattern` matches, trying at most `*steps` candidates; `Err` with the
    /// name to continue from if they were not enough.
    pub(crate) fn next_match(
        &self,
        pattern: &Pattern,
        after: Option<&str>,
        steps: &mut usize,
    ) -> Result<Option<&Arc<Topic>>, Arc<str>> {
        let prefix = pattern.literal_prefix();
        let mut seek: String;
        let mut from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        loop {
            let mut range = self.in_order.range::<str, _>((from, Bound::Unbounded));
            // Names in a row that match, or nearly, are taken from one range without a new seek.
            let (name, topic) = match range.next() {
                Some((name, topic)) if name.starts_with(prefix) => (name, topic),
                _ => return Ok(None),
            };
            if pattern.matches(name) {
                return Ok(Some(topic));
            }
            if *steps == 0 {
                return Err(name.clone());
            }
            *steps -= 1;
            match leap(pattern, name) {
                Some(next) => {
                    seek = next;
                    from = Bound::Included(&seek);
                }
                None => from = Bound::Excluded(name),
            }
        }
    }
}

/// Returns a name no greater than the next one after `name` that could match, given that `name` itself does not; `None`
/// if all that is known is that it comes after `name`.
fn leap(pattern: &Pattern, name: &str) -> Option<String> {
    let mut at = 0; // where the current segment begins in `name`
    let mut segments = name.split('.');
    for wanted in pattern.segments() {
        // A name that ends too early is a prefix of what is wanted, which sorts right behind it.
        let segment = segments.next()?;
        match wanted {
            Segment::Rest => return None,
            Segment::One => {}
            Segment::Literal(text) if text == segment => {}
            Segment::Literal(_) if at == 0 => return None,
            Segment::Literal(text) => {
                let wanted = format!("{}{text}", &name[..at]);
                return if wanted.as_str() > name { Some(wanted) } else { past(&wanted, name, at) };
            }
        }
        at += segment.len() + 1;
    }
    // The name continues where the pattern ends: so does every name with this prefix.
    (at <= name.len()).then(|| beyond(&name[..at - 1]))
}

/// The first string after every name that continues `beginning` after a separator: '/' is the byte after '.'.
fn beyond(beginning: &str) -> String {
    format!("{beginning}/")
}

/// Where to continue once the literal `wanted` sorts before `name`, both under `name[..at]`: past that whole prefix,
/// but not while names that continue `wanted` may still come.
fn past(wanted: &str, name: &str, at: usize) -> Option<String> {
    (name >= beyond(wanted).as_str()).then(|| beyond(&name[..at - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feed;
    use crate::ids::Ids;
    use crate::limits::Retain;
    use crate::topic::NewTopic;
    use broker_protocol::kind::Kind;
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    #[test]
    fn leaping_finds_what_trying_each_finds() {
        let ids = Ids::new(Arc::new(Feed::new(1, Vec::new())));
        let retain = Retain { updates: 0, bytes: 0, ms: 0 };
        for seed in 0..300 {
            let mut random = StdRng::seed_from_u64(seed);
            let segment =
                |random: &mut StdRng| ["a", "b", "a-", "a0", "-", "b$", "aa", "$S"][random.random_range(0..8)];
            let mut names = Names::default();
            for _ in 0..random.random_range(0..60) {
                let name: Vec<_> = (0..random.random_range(1..5)).map(|_| segment(&mut random)).collect();
                names.insert(Arc::new(Topic::new(NewTopic {
                    id: ids.take(),
                    name: &name.join("."),
                    epoch: "e".into(),
                    kind: Kind::State,
                    retain,
                    interest: 0,
                    budget: Arc::default(),
                })));
            }
            for _ in 0..20 {
                let mut parts: Vec<_> = (0..random.random_range(1..5))
                    .map(|_| if random.random_bool(0.5) { "*" } else { segment(&mut random) })
                    .collect();
                if random.random_bool(0.3) {
                    parts.push(">");
                }
                let Ok(pattern) = Pattern::parse(&parts.join(".")) else { continue };
                let expected: Vec<_> = names.in_order.keys().filter(|name| pattern.matches(name)).cloned().collect();
                let (mut found, mut after) = (Vec::new(), None::<Arc<str>>);
                loop {
                    let mut steps = random.random_range(0..4);
                    match names.next_match(&pattern, after.as_deref(), &mut steps) {
                        Ok(Some(topic)) => {
                            found.push(topic.name().clone());
                            after = Some(topic.name().clone());
                        }
                        Ok(None) => break,
                        Err(name) => after = Some(name),
                    }
                }
                assert_eq!(found, expected, "seed {seed}, pattern {}", pattern.as_str());
                let (mut matched, mut up_to) = (0, None::<Arc<str>>);
                loop {
                    let part = names.count(&pattern, |_| false, up_to.as_deref(), random.random_range(1..6));
                    matched += part.matched;
                    up_to = part.up_to;
                    if up_to.is_none() {
                        break;
                    }
                }
                assert_eq!(matched, expected.len() as u64, "seed {seed}, pattern {}", pattern.as_str());
            }
        }
    }
}
