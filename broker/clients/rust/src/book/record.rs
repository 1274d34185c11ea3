//! One of the program's subscriptions.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::mpsc;

use crate::error::SubscribeError;
use crate::event::{EntryError, Event};
use crate::request::{Answer, NewSubscription};
use crate::wire::outgoing::{SubscribeEntry, SubscribeOptions};

#[derive(Debug)]
pub(super) struct Record {
    /// In the program's order. An entry that is given twice is kept once, with its last position.
    entries: BTreeMap<usize, RecordEntry>,
    /// The key of each entry among them.
    indices: HashMap<String, usize>,
    pub(super) options: SubscribeOptions,
    pub(super) events: mpsc::Sender<Event>,
    /// Set while the program waits for the broker's first answer.
    pub(super) progress: Option<Progress>,
    /// Set while the program waits for `ready`: how many of this connection's requests have not begun in full.
    pub(super) ready: Option<usize>,
}

#[derive(Debug)]
pub(super) struct RecordEntry {
    pub(super) entry: SubscribeEntry,
    /// The broker accepted it, on this connection or an earlier one.
    pub(super) established: bool,
}

/// A subscription of many entries is several messages.
#[derive(Debug)]
pub(super) struct Progress {
    /// Those that were not answered yet.
    pub(super) messages: usize,
    pub(super) refused: Vec<EntryError>,
    pub(super) answer: Answer<Vec<EntryError>, SubscribeError>,
}

impl Record {
    pub(super) fn new(new: NewSubscription) -> Record {
        let (mut entries, mut indices) = (BTreeMap::new(), HashMap::new());
        for entry in new.entries {
            let index = *indices.entry(entry.text.clone()).or_insert(entries.len());
            entries.insert(index, RecordEntry { entry, established: false });
        }
        let progress = Some(Progress { messages: 0, refused: Vec::new(), answer: new.answer });
        let ready = new.options.ready.then_some(0);
        Record { entries, indices, options: new.options, events: new.events, progress, ready }
    }

    /// The entries, in the program's order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &RecordEntry> {
        self.entries.values()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.indices.keys().map(String::as_str)
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.indices.contains_key(text)
    }

    /// Marks an entry as accepted by the broker. Returns whether it was not before.
    pub(super) fn establish(&mut self, text: &str) -> bool {
        let entry = self.indices.get(text).and_then(|index| self.entries.get_mut(index));
        entry.is_some_and(|entry| !std::mem::replace(&mut entry.established, true))
    }

    /// Takes out an entry. Returns whether there was one.
    pub(super) fn remove(&mut self, text: &str) -> bool {
        let index = self.indices.remove(text);
        index.is_some_and(|index| self.entries.remove(&index).is_some())
    }

    /// Adds a refusal to the answer that the program waits for. If it does not wait any more, returns where to send it.
    pub(super) fn refused(&mut self, refused: &EntryError) -> Option<mpsc::Sender<Event>> {
        match &mut self.progress {
            Some(progress) => {
                progress.refused.push(refused.clone());
                None
            }
            None => Some(self.events.clone()),
        }
    }
}
