//! Who publishes what, for an operator who asks: the publishers of the last ten minutes, in bounded memory.
//!
//! A table has two generations. A publisher that publishes is in the young one, where each of its updates costs one look.
//! When the young generation is full, or ten minutes old, it becomes the old one, and what was in the old one and has not
//! published since is forgotten: the oldest leave.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::budget::Budget;
use crate::clock::Now;
use crate::topic::Topic;

/// How long a publisher is remembered after its last update, in microseconds.
const REMEMBERED_US: u64 = 600_000_000;
/// What a hash table takes for an entry besides it: a byte, and up to as much again for the room that is left.
const ROOM: usize = 2;

/// The life of a topic that was published to: where it begins in the feed, which no other one shares.
type Life = u64;

/// One publisher of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublisherRow<K, W> {
    /// What it is known by.
    pub key: K,
    /// Who it was when its entry began.
    pub who: W,
    /// When it last published, in microseconds since the UNIX epoch.
    pub last_ts: u64,
    /// Its updates that took a `seq` since its entry began.
    pub updates: u64,
}

struct Entry<W> {
    who: W,
    last_ts: u64,
    last_us: u64,
    updates: u64,
}

type Generation<K, W> = HashMap<(Life, K), Entry<W>, RandomState>;

/// The publishers of one thread. `K` tells them apart, `W` says who they are.
pub struct Publishers<K, W> {
    young: Generation<K, W>,
    old: Generation<K, W>,
    /// When the young generation began, on the monotonic clock.
    since_us: u64,
    budget: Arc<Budget>,
    /// What is counted in the budget.
    counted: u64,
}

impl<K: Hash + Eq + Clone, W: Clone> Publishers<K, W> {
    const ENTRY_BYTES: usize = (std::mem::size_of::<((Life, K), Entry<W>)>() + 1) * ROOM;

    /// Creates an empty table, which counts in this budget.
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), since_us: 0, budget, counted: 0 }
    }

    /// Notes an update of a publisher. The table holds at most `bytes_max`; `who` is asked for a new entry only.
    #[inline]
    pub(crate) fn note(&mut self, now: Now, topic: &Topic, key: K, bytes_max: u64, who: impl FnOnce() -> W) {
        let key = (topic.life(), key);
        if let Some(entry) = self.young.get_mut(&key) {
            entry.updates += 1;
            (entry.last_ts, entry.last_us) = (now.wall_us, now.mono_us);
            return;
        }
        self.insert(now, key, bytes_max, who);
    }

    fn insert(&mut self, now: Now, key: (Life, K), bytes_max: u64, who: impl FnOnce() -> W) {
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX) / Self::ENTRY_BYTES / 2;
        if self.young.len() >= most || now.mono_us.saturating_sub(self.since_us) >= REMEMBERED_US {
            self.old = std::mem::take(&mut self.young);
            self.since_us = now.mono_us;
            if most == 0 {
                self.old = HashMap::default();
                return self.count();
            }
        }
        let (last_ts, last_us) = (now.wall_us, now.mono_us);
        let mut entry = self.old.remove(&key).unwrap_or_else(|| Entry { who: who(), last_ts, last_us, updates: 0 });
        entry.updates += 1;
        (entry.last_ts, entry.last_us) = (last_ts, last_us);
        self.young.insert(key, entry);
        self.count();
    }

    fn count(&mut self) {
        let bytes = ((self.young.len() + self.old.len()) * Self::ENTRY_BYTES) as u64;
        self.budget.publishers.change(self.counted, bytes);
        self.counted = bytes;
    }

    /// Who published to this topic in the last ten minutes, the newest first, at most `count`. It looks at the whole
    /// table, which takes some 100 µs per MiB.
    pub fn of(&self, now: Now, topic: &Topic, count: usize) -> Vec<PublisherRow<K, W>> {
        let life = topic.life();
        let all = self.young.iter().chain(&self.old);
        let recent =
            all.filter(|((of, _), entry)| *of == life && now.mono_us.saturating_sub(entry.last_us) < REMEMBERED_US);
        let mut rows: Vec<_> = recent
            .map(|((_, key), Entry { who, last_ts, updates, .. })| PublisherRow {
                key: key.clone(),
                who: who.clone(),
                last_ts: *last_ts,
                updates: *updates,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.last_ts));
        rows.truncate(count);
        rows
    }
}

impl<K, W> Drop for Publishers<K, W> {
    fn drop(&mut self) {
        self.budget.publishers.sub(self.counted);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use broker_protocol::data::Data;
    use broker_protocol::request::Publication;

    use super::*;
    use crate::engine::{Engine, Publisher};
    use crate::limits::Limits;

    type Table = Publishers<u64, &'static str>;

    fn at(seconds: u64) -> Now {
        Now { mono_us: seconds * 1_000_000, wall_us: 7_000_000 + seconds * 1_000_000 }
    }

    fn topic(engine: &Engine, name: &str) -> Arc<Topic> {
        let (topic, data) = (Cow::Borrowed(name), Data::check("1").unwrap());
        let update = Publication { topic, kind: None, data, source: None, source_ts: None };
        engine.publish(at(0), &update, Publisher::Client).unwrap().topic
    }

    fn rows(table: &Table, seconds: u64, topic: &Topic) -> Vec<(u64, &'static str, u64)> {
        table.of(at(seconds), topic, 100).into_iter().map(|row| (row.key, row.who, row.updates)).collect()
    }

    #[test]
    fn the_publishers_of_ten_minutes_the_newest_first() {
        let engine = Engine::new(Limits::default(), 1, Vec::new());
        let (a, b) = (topic(&engine, "a"), topic(&engine, "b"));
        let mut table = Table::new(engine.budget.clone());
        for (seconds, topic, key) in [(1, &a, 1), (2, &a, 2), (3, &b, 3), (4, &a, 1), (500, &a, 2)] {
            table.note(at(seconds), topic, key, 1 << 20, || ["", "one", "two", "three"][key as usize]);
        }
        assert_eq!(rows(&table, 501, &a), [(2, "two", 2), (1, "one", 2)]);
        assert_eq!(rows(&table, 501, &b), [(3, "three", 1)]);
        assert_eq!(table.of(at(501), &a, 1).len(), 1);
        // Ten minutes after its last update a publisher is forgotten; another one keeps its count.
        assert_eq!(rows(&table, 604, &a), [(2, "two", 2)]);
        table.note(at(700), &a, 2, 1 << 20, || unreachable!());
        assert_eq!(rows(&table, 700, &a), [(2, "two", 3)]);
        // What begins under a name again is another topic.
        engine.delete(at(701), "a", Publisher::Client).unwrap();
        assert_eq!(rows(&table, 702, &topic(&engine, "a")), []);
        // Nothing is left once ten minutes have passed twice.
        table.note(at(1_400), &b, 9, 1 << 20, || "nine");
        table.note(at(2_100), &b, 8, 1 << 20, || "eight");
        assert_eq!((table.young.len(), table.old.len()), (1, 1));
        drop(table);
        assert_eq!(engine.budget.publishers(), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_leave() {
        let engine = Engine::new(Limits::default(), 1, Vec::new());
        let a = topic(&engine, "a");
        let mut table = Table::new(engine.budget.clone());
        let bytes_max = 64 << 10;
        for key in 0..100_000 {
            table.note(at(1), &a, key, bytes_max, || "");
            table.note(at(1), &a, 5, bytes_max, || "");
            assert!(engine.budget.publishers() <= bytes_max);
        }
        assert!(engine.budget.publishers() > bytes_max / 2);
        let found = table.of(at(2), &a, usize::MAX);
        // The one that publishes all the time has its whole count; of the others the newest are there.
        assert!(found.iter().any(|row| row.key == 5 && row.updates == 100_001), "{:?}", found.first());
        assert!((99_900..100_000).all(|key| found.iter().any(|row| row.key == key)));
        table.note(at(1), &a, 7, 0, || "");
        assert_eq!((table.young.len(), engine.budget.publishers()), (0, 0));
    }
}
