//! Updates that were judged just now. All subscribers of a topic get the same bytes, mostly in the same order: once
//! they were judged, it is enough to compare, not to read and to check them again. That is half of what a delivery would cost this load.

use super::Known;

/// Updates that are remembered.
const SLOTS: usize = 512;
/// The longest message that is: longer ones cost their copying.
const BYTES_MAX: usize = 512;
/// Places of the index, several for each update.
const PLACES: usize = 2048;
const NOWHERE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    known: Known,
    len: u16,
    /// What came behind it the last time, for somebody who follows the same topics.
    next: u16,
}

pub(super) struct Recent {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    /// Where an update is, by its topic and number; checked when it is used.
    index: Vec<u16>,
    /// The slot that is written next.
    free: usize,
    /// Where the message before this one is, of the same subscriber.
    before: u16,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::with_capacity(SLOTS),
            bytes: vec![0; SLOTS * BYTES_MAX],
            index: vec![NOWHERE; PLACES],
            free: 0,
            before: NOWHERE,
        }
    }

    /// What comes is another subscriber's.
    pub(super) fn begin(&mut self) {
        self.before = NOWHERE;
    }

    /// What is known of this message, if it is what came behind the one before for somebody else.
    pub(super) fn find(&mut self, message: &[u8]) -> Option<Known> {
        let slot = self.slots.get(usize::from(self.before))?.next;
        if !self.holds(slot, message) {
            return None;
        }
        self.before = slot;
        Some(self.slots[usize::from(slot)].known)
    }

    /// A message was judged, and nothing was wrong with it.
    pub(super) fn learn(&mut self, message: &[u8], known: Known) {
        if message.len() > BYTES_MAX {
            return self.begin();
        }
        let place = (known.seq as usize).wrapping_mul(31).wrapping_add(known.topic as usize) % PLACES;
        let mut slot = self.index[place];
        if !self.holds(slot, message) {
            slot = self.free as u16;
            self.free = (self.free + 1) % SLOTS;
            self.bytes[usize::from(slot) * BYTES_MAX..][..message.len()].copy_from_slice(message);
            let entry = Slot { known, len: message.len() as u16, next: NOWHERE };
            match self.slots.get_mut(usize::from(slot)) {
                Some(old) => *old = entry,
                None => self.slots.push(entry),
            }
            self.index[place] = slot;
        }
        if let Some(before) = self.slots.get_mut(usize::from(self.before)) {
            before.next = slot;
        }
        self.before = slot;
    }

    /// What was right may be wrong from now on.
    pub(super) fn forget(&mut self) {
        self.slots.clear();
        self.index.fill(NOWHERE);
        (self.free, self.before) = (0, NOWHERE);
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
    fn what_is_found_is_what_was_learned_and_only_of_the_same_bytes() {
        let mut recent = Recent::new();
        for round in 0..20 {
            // Two kinds of subscribers, who follow other topics, by turns.
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
                // All but the first, which says where the others are.
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
    fn long_messages_are_read_each_time() {
        let mut recent = Recent::new();
        let (_, known) = message(1, 1);
        recent.learn(&[b'x'; BYTES_MAX + 1], known);
        assert_eq!(recent.find(&[b'x'; BYTES_MAX + 1]), None);
    }
}
