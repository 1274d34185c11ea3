//! The topics of a run, as one thread knows them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Topics by number: the plan's topics first, then those that appeared during the run.
#[derive(Default)]
pub(super) struct Topics {
    /// The names, as the server writes them.
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32, RandomState>,
    /// The current epoch; empty if none was announced.
    epochs: Vec<Box<str>>,
    /// The server's number minus the publisher's own, in this epoch; `None` before the first update.
    shifts: Vec<Option<u64>>,
}

impl Topics {
    pub(super) fn add(&mut self, name: &str) -> u32 {
        let number = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        self.epochs.push(Box::default());
        self.shifts.push(None);
        number
    }

    pub(super) fn number(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(std::str::from_utf8(name).ok()?).copied()
    }

    /// The name of a topic; `None` for an unknown number, which a corrupted payload may contain.
    pub(super) fn name(&self, topic: u32) -> Option<&str> {
        self.names.get(topic as usize).map(|name| &**name)
    }

    /// The current epoch of a topic; empty if none was announced.
    pub(super) fn epoch(&self, topic: u32) -> &str {
        self.epochs.get(topic as usize).map_or("", |epoch| epoch)
    }

    /// Takes in the announcement of an epoch. Returns whether the topic's updates are numbered anew.
    pub(super) fn enter(&mut self, topic: u32, epoch: &str) -> bool {
        let held = &mut self.epochs[topic as usize];
        if epoch.is_empty() || **held == *epoch {
            return false;
        }
        // A topic without updates has no epoch yet: its first epoch numbers nothing anew.
        let anew = !held.is_empty();
        *held = epoch.into();
        if anew {
            self.shifts[topic as usize] = None;
        }
        anew
    }

    /// Whether the server's number of an update differs from the publisher's `n` by the same amount as before in this
    /// epoch.
    pub(super) fn agrees(&mut self, topic: u32, seq: u64, n: u64) -> bool {
        let shift = seq.wrapping_sub(n);
        *self.shifts[topic as usize].get_or_insert(shift) == shift
    }

    /// The server's number of the update that the publisher calls `n`.
    pub(super) fn seq_of(&self, topic: u32, n: u64) -> u64 {
        n.wrapping_add(self.shifts.get(topic as usize).copied().flatten().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_within_an_epoch() {
        let mut topics = Topics::default();
        let topic = topics.add("a.b");
        assert_eq!((topics.number(b"a.b"), topics.number(b"a"), topics.name(topic)), (Some(topic), None, Some("a.b")));
        assert!(!topics.enter(topic, "k1"), "the first epoch numbers nothing anew");
        assert!(topics.agrees(topic, 11, 1) && topics.agrees(topic, 12, 2));
        assert!(!topics.agrees(topic, 14, 3), "another difference");
        assert_eq!(topics.seq_of(topic, 7), 17);
        assert!(!topics.enter(topic, ""), "nothing was announced");
        assert!(!topics.enter(topic, "k1"));
        assert!(topics.enter(topic, "k2"));
        assert_eq!(topics.epoch(topic), "k2");
        assert!(topics.agrees(topic, 4, 4), "a new epoch may differ by something else");
    }
}
