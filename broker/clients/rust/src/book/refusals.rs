//! Entries that the broker has refused for now. They stay part of their subscriptions, and all that wait are asked for
//! again together.

use std::collections::{HashMap, HashSet};

use crate::ErrorCode;

/// The longest wait of the broker's that is respected.
const ASKED_MS_MAX: u64 = 60_000;

/// Entries by their texts.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The last reason for which each was refused on this connection, and how often in a row it was refused.
    refused: HashMap<String, (ErrorCode, u32)>,
    /// Those that have not been asked for again yet.
    waiting: HashSet<String>,
    /// The longest wait that the broker has asked for and that nobody has taken yet, in milliseconds.
    asked_ms: u64,
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

    /// The broker asks for a wait.
    pub(super) fn asked(&mut self, retry_ms: Option<u64>) {
        self.asked_ms = self.asked_ms.max(retry_ms.unwrap_or(0).min(ASKED_MS_MAX));
    }

    pub(super) fn takes_asked_ms(&mut self) -> u64 {
        std::mem::take(&mut self.asked_ms)
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
