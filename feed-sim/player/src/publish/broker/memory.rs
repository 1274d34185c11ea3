//! The states that the broker took from us, to be sent again when it has lost them.

use std::collections::HashMap;

use crate::image::Image;
use crate::publication::Kind;

/// The most bytes that one connection remembers. Beyond that the half of the topics that were published longest ago is
/// forgotten: a broker that lost them gets them with their next state.
const BYTES_MAX: usize = 256 << 20;

/// The states of one connection's topics, made of the updates that the broker took.
#[derive(Default)]
pub(super) struct Memory {
    topics: HashMap<String, Known, foldhash::fast::RandomState>,
    bytes: usize,
    /// Counts the updates.
    now: u64,
    has_forgotten: bool,
}

struct Known {
    image: Image,
    /// The number of the topic's last update; `None` if updates carry none.
    source_seq: Option<u64>,
    /// When that was, on the memory's count of updates.
    updated: u64,
}

impl Memory {
    /// Takes in an update that the broker took, or that is sent again with the whole state. Events leave no state.
    pub(super) fn take_in(&mut self, topic: &str, kind: Kind, data: &str, source_seq: Option<u64>) {
        if kind == Kind::Event {
            return;
        }
        self.now += 1;
        let known = match self.topics.get_mut(topic) {
            Some(known) => known,
            None => {
                self.bytes += topic.len();
                let known = Known { image: Image::nothing(), source_seq, updated: self.now };
                self.topics.entry(topic.to_owned()).or_insert(known)
            }
        };
        let before = known.image.bytes();
        match kind {
            Kind::Patch => known.image.patch(data),
            _ => known.image.set(data),
        }
        (known.source_seq, known.updated) = (source_seq, self.now);
        self.bytes = (self.bytes + known.image.bytes()).saturating_sub(before);
        if self.bytes > BYTES_MAX {
            self.forget();
        }
    }

    /// Whether the topic has a state here.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether no topic has a state here.
    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The topics, each once, in the order of their names.
    pub(super) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.topics.keys().cloned().collect();
        topics.sort_unstable();
        topics
    }

    /// The whole state of a topic, in pieces of at most about `bytes_max`, and the number of its last update.
    pub(super) fn whole(&mut self, topic: &str, bytes_max: usize) -> Option<(Vec<String>, Option<u64>)> {
        let known = self.topics.get_mut(topic)?;
        let before = known.image.bytes();
        let pieces = known.image.pieces(bytes_max);
        self.bytes = (self.bytes + known.image.bytes()).saturating_sub(before);
        Some((pieces, known.source_seq))
    }

    fn forget(&mut self) {
        let mut updated: Vec<u64> = self.topics.values().map(|known| known.updated).collect();
        let middle = updated.len() / 2;
        let (_, oldest_kept, _) = updated.select_nth_unstable(middle);
        let oldest_kept = *oldest_kept;
        let before = self.topics.len();
        self.topics.retain(|_, known| known.updated > oldest_kept);
        self.bytes = self.topics.iter().map(|(topic, known)| topic.len() + known.image.bytes()).sum();
        if !std::mem::replace(&mut self.has_forgotten, true) {
            tracing::warn!(
                topics = before - self.topics.len(),
                "states take more than {} MiB and the oldest are forgotten: a broker that loses them gets them back only \
                 with their next state",
                BYTES_MAX >> 20
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_longest_ago_is_forgotten_first() {
        let mut memory = Memory::default();
        let megabyte = "x".repeat(1 << 20);
        for number in 0..300 {
            memory.take_in(&format!("t.{number}"), Kind::State, &megabyte, Some(number));
            memory.take_in("always", Kind::Patch, &format!(r#"{{"n":{number}}}"#), Some(number));
            assert!(memory.bytes <= BYTES_MAX);
        }
        assert!(memory.knows("always") && memory.knows("t.299") && !memory.knows("t.0"));
        assert_eq!(memory.whole("always", 1_000), Some((vec![r#"{"n":299}"#.to_owned()], Some(299))));
        let bytes: usize = memory.topics.iter().map(|(topic, known)| topic.len() + known.image.bytes()).sum();
        assert_eq!(memory.bytes, bytes);
    }

    #[test]
    fn events_leave_no_state() {
        let mut memory = Memory::default();
        memory.take_in("trade", Kind::Event, "1", None);
        assert_eq!((memory.knows("trade"), memory.bytes), (false, 0));
    }
}
