//! The ring: one copy of every frame that any connection of this shard has to get, side by side in the feed's order, so
//! that what waits for a connection is mostly one contiguous range, which is written without gathering.
//!
//! Offsets rise for ever; the byte at a ring offset is stored at `ring_offset % capacity`. A frame never wraps: one
//! that does not fit before the end starts at the beginning.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use broker_protocol::frame::Frame;

use crate::topic::Topic;

/// A frame in the ring.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) ring_offset: u64,
    pub(crate) topic: Arc<Topic>,
    /// The first `seq` that the frame covers; 0 for a `topic` message, one above the last for `closed`.
    pub(crate) seq: u64,
    /// It covers several updates, for conflated subscribers: only an image may replace it.
    pub(crate) merged: bool,
    /// Kept for the rest of a half-written frame, which shares it.
    pub(crate) frame: Frame,
}

pub(crate) struct Ring {
    bytes: Box<[u8]>,
    slots: VecDeque<Slot>,
    head: u64,
}

/// One scan over the connections makes room for this share of the ring.
const RECLAIM_SHARE: u64 = 16;

/// Slots whose memory is kept when the ring is empty.
const SLOTS_KEPT: usize = 1024;

/// A frame above this share of the ring (one part in eight) is delivered through its topic instead.
const FRAME_SHARE: usize = 8;

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), slots: VecDeque::new(), head: 0 }
    }

    /// Whether frames of this length belong in the ring at all.
    pub(crate) fn accepts(&self, len: usize) -> bool {
        len <= self.bytes.len() / FRAME_SHARE
    }

    /// The ring offset of the oldest frame.
    pub(crate) fn tail(&self) -> u64 {
        self.slots.front().map_or(self.head, |slot| slot.ring_offset)
    }

    /// The ring offset at which a frame of this length would begin.
    fn next_offset(&self, len: usize) -> u64 {
        let capacity = self.bytes.len() as u64;
        let offset = self.head % capacity;
        if offset + len as u64 > capacity { self.head + (capacity - offset) } else { self.head }
    }

    /// The ring offset before which everything has to be released so that a frame of this length fits; `None` if it
    /// already does.
    pub(crate) fn reclaim(&self, len: usize) -> Option<u64> {
        let capacity = self.bytes.len() as u64;
        let end = self.next_offset(len) + len as u64;
        (end > self.tail() + capacity).then(|| end - capacity + capacity / RECLAIM_SHARE)
    }

    /// If little room is left, the ring offset before which everything has to be released for enough room.
    pub(crate) fn low(&self) -> Option<u64> {
        let (capacity, held) = (self.bytes.len() as u64, self.held());
        (held > capacity / 4 * 3).then(|| self.head - capacity / 8 * 5)
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.held() > self.bytes.len() as u64 / 2
    }

    /// The bytes that may be pushed in a round: less than what is kept free.
    pub(crate) fn round_bytes(&self) -> u64 {
        self.bytes.len() as u64 / 8
    }

    /// The ring offset at which the next frame begins, unless it has to wrap.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Drops every frame that begins before `ring_offset`. None of them may be on any connection's runs.
    pub(crate) fn release(&mut self, ring_offset: u64) {
        while self.slots.front().is_some_and(|slot| slot.ring_offset < ring_offset) {
            self.slots.pop_front();
        }
        if self.slots.is_empty() && self.slots.capacity() > SLOTS_KEPT {
            self.slots = VecDeque::new();
        }
    }

    /// Copies a frame in and returns its ring offset. There must be room.
    pub(crate) fn push(&mut self, topic: Arc<Topic>, seq: u64, merged: bool, frame: &Frame) -> u64 {
        let ring_offset = self.next_offset(frame.len());
        debug_assert!(self.reclaim(frame.len()).is_none(), "the ring was pushed to without room");
        let offset = (ring_offset % self.bytes.len() as u64) as usize;
        self.bytes[offset..offset + frame.len()].copy_from_slice(frame.bytes());
        self.head = ring_offset + frame.len() as u64;
        self.slots.push_back(Slot { ring_offset, topic, seq, merged, frame: frame.clone() });
        ring_offset
    }

    /// Whether a frame at this ring offset follows its predecessor in memory as well.
    pub(crate) fn joins(&self, ring_offset: u64) -> bool {
        !ring_offset.is_multiple_of(self.bytes.len() as u64)
    }

    /// The bytes of a run.
    pub(crate) fn bytes(&self, ring_offset: u64, len: usize) -> &[u8] {
        let offset = (ring_offset % self.bytes.len() as u64) as usize;
        &self.bytes[offset..offset + len]
    }

    /// Index of the first slot that begins at `ring_offset` or later.
    fn find(&self, ring_offset: u64) -> usize {
        self.slots.partition_point(|slot| slot.ring_offset < ring_offset)
    }

    /// The frames of a run.
    pub(crate) fn slots(&self, ring_offset: u64, len: usize) -> impl Iterator<Item = &Slot> {
        let end = ring_offset + len as u64;
        self.slots.range(self.find(ring_offset)..).take_while(move |slot| slot.ring_offset < end)
    }

    /// The frame that holds the byte at `ring_offset`.
    pub(crate) fn slot_at(&self, ring_offset: u64) -> &Slot {
        &self.slots[self.find(ring_offset + 1) - 1]
    }

    /// Bytes of frames held.
    pub(crate) fn held(&self) -> u64 {
        self.head - self.tail()
    }
}
