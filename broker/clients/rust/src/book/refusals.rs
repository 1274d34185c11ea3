//! Entries that the broker has refused for now. They stay part of their subscriptions, and all that wait are asked for
//! again together.

use std::collections::{HashMap, HashSet};

use crate::ErrorCode;

/// Entries by their texts.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The last reason for which each was refused on this connection, and how often in a row it was refused.
    refused: HashMap<String, (ErrorCode, u32)>,
    /// Those that have not been asked for again yet.
    waiting: HashSet<String>,
}

impl Refusals {
    /// Handles a refusal. Returns whether it is to be reported: the first one is, and one with another reason.
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

    /// Forgets an entry that was accepted, refused for good, or is not wanted any more.
    pub(super) fn over(&mut self, entry: &str) {
        self.refused.remove(entry);
        self.waiting.remove(entry);
    }

    /// Forgets all entries, because the next connection asks for everything.
    pub(super) fn lost(&mut self) {
        *self = Self::default();
    }

    /// Whether an entry was refused and has not been accepted since.
    pub(super) fn contains(&self, entry: &str) -> bool {
        self.refused.contains_key(entry)
    }

    pub(super) fn are_none(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How often the waiting entries have been asked for again already: the most of any.
    pub(super) fn attempt(&self) -> u32 {
        let times = self.waiting.iter().filter_map(|entry| self.refused.get(entry)).map(|(_, times)| *times);
        times.max().unwrap_or(1).saturating_sub(1)
    }

    /// Takes out the waiting entries, to ask for them.
    pub(super) fn take(&mut self) -> HashSet<String> {
        std::mem::take(&mut self.waiting)
    }
}
