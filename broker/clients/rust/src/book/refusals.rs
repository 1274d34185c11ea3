//! What the broker has refused for now. It stays part of its subscriptions, and all that waits is asked for again together.

use std::collections::{HashMap, HashSet};

use crate::ErrorCode;

/// Entries by their texts.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Why each was refused last on this connection, and how often in a row.
    refused: HashMap<String, (ErrorCode, u32)>,
    /// Those that were not asked for again yet.
    waiting: HashSet<String>,
}

impl Refusals {
    /// An entry was refused. Returns whether that is news.
    pub(super) fn refused(&mut self, entry: &str, code: ErrorCode) -> bool {
        self.waiting.insert(entry.to_owned());
        match self.refused.get_mut(entry) {
            Some((before, times)) => {
                *times = times.saturating_add(1);
                std::mem::replace(before, code) != code
            }
            None => {
                self.refused.insert(entry.to_owned(), (code, 1));
                true
            }
        }
    }

    /// It was taken, or refused for good, or nobody wants it any more.
    pub(super) fn over(&mut self, entry: &str) {
        self.refused.remove(entry);
        self.waiting.remove(entry);
    }

    /// The connection is gone: on the next one everything is asked for anyway.
    pub(super) fn lost(&mut self) {
        *self = Self::default();
    }

    /// Whether it was refused, and not taken since.
    pub(super) fn contains(&self, entry: &str) -> bool {
        self.refused.contains_key(entry)
    }

    pub(super) fn are_none(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How often what waits was asked for again already, at most.
    pub(super) fn attempt(&self) -> u32 {
        let times = self.waiting.iter().filter_map(|entry| self.refused.get(entry)).map(|(_, times)| *times);
        times.max().unwrap_or(1).saturating_sub(1)
    }

    /// Takes out what waits, to ask for it.
    pub(super) fn take(&mut self) -> HashSet<String> {
        std::mem::take(&mut self.waiting)
    }
}
