//! Updates that were judged just now. All subscribers of a topic get the same bytes, mostly in the same order. Once
//! these have been judged, it is enough to compare them instead of decoding and checking them again, which would double
//! the cost of a delivery to this load.

use super::Known;

/// The number of updates that are remembered.
const SLOTS: usize = 512;
/// The longest message that is remembered: copying longer ones would cost too much.
const BYTES_MAX: usize = 512;
/// The length of the index, several entries for each update.
const INDEX_LEN: usize = 2048;
/// No slot.
const NONE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    known: Known,
    len: u16,
    /// The slot of the message that followed it the last time, for a subscriber of the same topics.
    next: u16,
}

pub(super) struct Recent {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    /// The slot of an update, by a hash of its topic and number; checked when it is used.
    index: Vec<u16>,
    /// The slot that is written next.
    free: usize,
    /// The slot of the subscriber's message before this one.
    before: u16,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(SLOTS),
            bytes: vec![0; SLOTS * BYTES_MAX],
            index: vec![NONE; INDEX_LEN],
            free: 0,
            before: NONE,
        }
    }

    /// Begins with another subscriber.
    pub(super) fn begin(&mut self) {
        self.before = NONE;
    }

    /// What is known of this message, if it followed the one before at another subscriber too.
    pub(super) fn find(&mut self, message: &[u8]) -> Option<Known> {
        let slot = self.slots.get(usize::from(self.before))?.next;
        if !self.holds(slot, message) {
            return None;
        }
        self.before = slot;
        Some(self.slots[usize::from(slot)].known)
    }

    /// Remembers a message that was judged to be right.
    pub(super) fn learn(&mut self, message: &[u8], known: Known) {
        if message.len() > BYTES_MAX {
            return self.begin();
        }
        let at = (known.seq as usize).wrapping_mul(31).wrapping_add(known.topic as usize) % INDEX_LEN;
        let mut slot = self.index[at];
        if !self.holds(slot, message) {
            slot = self.free as u16;
            self.free = (self.free + 1) % SLOTS;
            self.bytes[usize::from(slot) * BYTES_MAX..][..message.len()].copy_from_slice(message);
            let entry = Slot { known, len: message.len() as u16, next: NONE };
            match self.slots.get_mut(usize::from(slot)) {
                Some(old) => *old = entry,
                None => self.slots.push(entry),
            }
            self.index[at] = slot;
        }
        if let Some(before) = self.slots.get_mut(usize::from(self.before)) {
            before.next = slot;
        }
        self.before = slot;
    }

    /// Forgets everything: an update that was right may be wrong from now on.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.index.fill(NONE);
        (self.free, self.before) = (0, NONE);
    }

    fn holds(&self, slot: u16, message: &[u8]) -> bool {
        let Some(held) = self.slots.get(usize::from(slot)) else { return false };
        let begin = usize::from(slot) * BYTES_MAX;
        usize::from(held.len) == message.len() && self.bytes[begin..begin + message.len()] == *message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Stamp;

    fn message(topic: u32, seq: u64) -> (Vec<u8>, Known) {
        let stamp = Stamp { due_ns: seq * 10, sent_ns: seq * 10 + 1, topic, n: seq };
        (format!("update {seq} of topic {topic}").into_bytes(), Known { topic, seq, stamp })
    }

    #[test]
    fn only_equal_bytes_are_found_and_give_what_was_learned() {
        let mut recent = Recent::new();
        for round in 0..20 {
            // Two kinds of subscribers, which follow different topics, in turn.
            for subscriber in 0..6 {
                recent.begin();
                let mut found = 0;
                for n in (0..100u64).filter(|n| n % 2 == subscriber % 2) {
                    let (bytes, known) = message((n % 10) as u32, round * 100 + n);
                    match recent.find(&bytes) {
                        Some(again) => {
                            assert_eq!(again, known);
                            found += 1;
                        }
                        None => recent.learn(&bytes, known),
                    }
                }
                // All but the first, which leads to the others.
                let expected = if subscriber < 2 { 0 } else { 49 };
                assert_eq!(found, expected, "subscriber {subscriber} of round {round}");
            }
        }
        let (one, two) = (message(1, 9000), message(2, 9001));
        for (bytes, known) in [&one, &two, &one] {
            recent.learn(bytes, *known);
        }
        assert_eq!(recent.find(&two.0), Some(two.1));
        recent.learn(&one.0, one.1);
        let mut changed = two.0.clone();
        changed[3] ^= 1;
        assert_eq!(recent.find(&changed), None);
        recent.forget();
        assert_eq!(recent.find(&two.0), None);
    }

    #[test]
    fn long_messages_are_decoded_each_time() {
        let mut recent = Recent::new();
        let (_, known) = message(1, 1);
        recent.learn(&[b'x'; BYTES_MAX + 1], known);
        assert_eq!(recent.find(&[b'x'; BYTES_MAX + 1]), None);
    }
}
