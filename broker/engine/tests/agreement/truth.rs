//! What all brokers must have come to, and what clients may be told.

use std::collections::{BTreeMap, BTreeSet};

use broker_engine::log::{Entry, Inbound};
use broker_engine::{Outcome, Published};
use broker_protocol::Data;
use broker_protocol::request::Refusal;

use crate::commands::{Known, known, shown};

/// A topic, and one of its epochs.
pub type Life = (String, String);

fn life(done: &Published) -> Life {
    (done.topic.name().to_string(), done.topic.epoch().to_owned())
}

#[derive(Default)]
pub struct Truth {
    /// By generation and position: the topics, and how far sessions are.
    states: BTreeMap<(u64, usize), Vec<String>>,
    /// The data of each update, by its `seq`.
    updates: BTreeMap<Life, BTreeMap<u64, String>>,
    closed: BTreeSet<Life>,
    pub seen: Vec<Known>,
}

impl Truth {
    /// Takes in what a command came to on one of the brokers.
    pub fn take(&mut self, entry: &Entry<'_>, result: Option<&Result<Outcome, Refusal>>) {
        let Some(result) = result else { return };
        match (entry, result) {
            (Entry::Publish { data, .. }, result) => self.published(data, result),
            (_, Ok(Outcome::Ended(done))) => _ = self.closed.insert(life(done)),
            _ => {}
        }
        self.seen.extend(known(&shown(result)));
    }

    /// The same for what a program published to the log itself.
    pub fn take_inbound(&mut self, inbound: &Inbound<'_>, result: &Result<Outcome, Refusal>) {
        self.seen.extend(known(&shown(result)));
        if let Ok(update) = inbound.update() {
            self.published(&update.data, result);
        }
    }

    fn published(&mut self, data: &Data<'_>, result: &Result<Outcome, Refusal>) {
        let Ok(Outcome::Published(done)) = result else { return };
        if done.duplicate {
            return;
        }
        let mut text = Vec::new();
        data.append_compact(&mut text);
        let text = String::from_utf8(text).expect("text");
        let first = self.updates.entry(life(done)).or_default().entry(done.seq).or_insert_with(|| text.clone());
        assert_eq!(*first, text, "{done:?} is two updates");
    }

    /// Compares a broker at a position with those that were there before it.
    pub fn compare(&mut self, generation: u64, position: usize, node: &str, state: Vec<String>) {
        let known = self.states.entry((generation, position)).or_insert_with(|| state.clone());
        assert_eq!(*known, state, "{node} at {position} in generation {generation}");
    }

    /// The data of an update.
    pub fn data(&self, life: &Life, seq: u64) -> Option<&str> {
        self.updates.get(life)?.get(&seq).map(String::as_str)
    }

    /// Whether a topic's epoch has ended, and with this `seq`.
    pub fn is_over(&self, life: &Life) -> bool {
        self.closed.contains(life)
    }
}
