//! The feed: one total order of everything that any shard has to know.
//!
//! Publishers append under one mutex, shards read without a lock:
//!
//! ```text
//! segment ──next──▶ segment ──next──▶ segment          a slot is written once, then only read
//!    ▲                 ▲                 ▲
//! slowest shard     other shard        tail
//! ```
//!
//! A segment lives as long as somebody still has to read it. How far the slowest shard may lag is bounded by those who
//! append: they ask [`Feed::has_room`] first and wait where there is none.
//!
//! Waking: a publisher appends, then wakes a shard only if it sleeps (`awake` was false). A shard about to sleep sets
//! `awake` to false, looks once more, and only then sleeps. Either the publisher sees `false` and wakes it, or the shard
//! sees the entry. `tests/loom_feed.rs` tries every interleaving of the two.

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::OnceLock;

use broker_protocol::frame::Frame;

use crate::fault::{self, Fault};
use crate::ids::Log;
pub use crate::shard_set::{SHARDS_MAX, ShardSet};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::topic::{Topic, TopicId};

#[cfg(not(loom))]
const SEGMENT_SLOTS: usize = 1024;
#[cfg(loom)]
const SEGMENT_SLOTS: usize = 3;

/// A segment with so many bytes takes no more entries, however many slots it has left: its frames stay until it is full.
#[cfg(not(loom))]
const SEGMENT_BYTES: u64 = 4 << 20;
/// Two entries, so that segments end with a slot left.
#[cfg(loom)]
const SEGMENT_BYTES: u64 = 2 * ENTRY_BYTES;

/// What an entry tells.
#[derive(Clone, Debug)]
pub enum What {
    /// A topic's update; the frame is what its subscribers get.
    Update,
    /// A topic came to exist; the frame is its `topic` message as a subscriber that waited for it gets it.
    Begins(std::sync::Arc<Topic>),
    /// A topic ended; the frame is its `closed` message, the `seq` one above the last.
    Closed(std::sync::Arc<Topic>),
}

/// One place in the feed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Place in the broker's order; rises, with holes where nobody was interested.
    pub ordinal: u64,
    /// Whose.
    pub topic: TopicId,
    /// The update's `seq`; 0 where the topic begins.
    pub seq: u64,
    /// The topic's oldest retained `seq` once this update was in.
    pub oldest: u64,
    /// The shards that had asked for the topic by then; the others pass it over.
    pub interest: ShardSet,
    /// When the broker took it in, on the monotonic clock, for the publish-to-socket latency.
    pub taken_us: u64,
    /// Bytes appended to the feed up to and including this entry.
    pub end_bytes: u64,
    /// What it tells.
    pub what: What,
    /// The bytes for its subscribers.
    pub frame: Frame,
}

/// A write-once cell whose readiness loom can see; the standard library's `OnceLock` has no model.
struct Slot<T> {
    #[cfg(loom)]
    ready: AtomicBool,
    cell: OnceLock<T>,
}

impl<T> Slot<T> {
    fn new() -> Self {
        Self {
            #[cfg(loom)]
            ready: AtomicBool::new(false),
            cell: OnceLock::new(),
        }
    }

    fn set(&self, value: T) {
        let was_empty = self.cell.set(value).is_ok();
        debug_assert!(was_empty, "a slot of the feed is written once");
        #[cfg(loom)]
        self.ready.store(true, Ordering::Release);
    }

    fn get(&self) -> Option<&T> {
        #[cfg(loom)]
        if !self.ready.load(Ordering::Acquire) {
            return None;
        }
        self.cell.get()
    }
}

struct Segment {
    slots: Box<[Slot<Entry>]>,
    next: Slot<Arc<Segment>>,
}

impl Segment {
    fn new() -> Arc<Self> {
        Arc::new(Self { slots: (0..SEGMENT_SLOTS).map(|_| Slot::new()).collect(), next: Slot::new() })
    }
}

impl Drop for Segment {
    // A long chain whose last owner goes would otherwise be dropped by recursion, a stack frame per segment.
    #[cfg(not(loom))]
    fn drop(&mut self) {
        let mut next = self.next.cell.take();
        while let Some(segment) = next {
            next = Arc::into_inner(segment).and_then(|mut segment| segment.next.cell.take());
        }
    }
    #[cfg(loom)]
    fn drop(&mut self) {}
}

struct Tail {
    segment: Arc<Segment>,
    slot: usize,
    bytes: u64,
    /// `bytes` where the segment begins.
    segment_bytes: u64,
}

/// How one shard is told that there is something to read.
pub struct Wake {
    /// False only while the shard sleeps or is about to. Set by publishers and by the shard itself when it wakes.
    awake: AtomicBool,
    notify: Box<dyn Fn() + Send + Sync>,
    /// `end_bytes` of the last entry that the shard took in; written by the shard, read by publishers.
    read_bytes: AtomicU64,
}

impl Wake {
    fn new(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { awake: AtomicBool::new(true), notify, read_bytes: AtomicU64::new(0) }
    }

    /// Makes sure that the shard looks again after now.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            (self.notify)();
        }
    }

    /// The shard says that it is about to sleep; it must look at everything once more before it does.
    pub fn about_to_sleep(&self) {
        self.awake.swap(false, Ordering::AcqRel);
    }

    /// The shard says that it runs.
    pub fn woke(&self) {
        // Not a plain store: that would come between the shard and a publisher that found it awake, and the next
        // `about_to_sleep` would not see what that publisher appended (loom found it).
        self.awake.swap(true, Ordering::AcqRel);
    }
}

/// What is to be appended: an [`Entry`] without the places that the feed gives.
pub struct Draft {
    /// See [`Entry::topic`].
    pub topic: TopicId,
    /// See [`Entry::seq`].
    pub seq: u64,
    /// See [`Entry::oldest`].
    pub oldest: u64,
    /// See [`Entry::interest`].
    pub interest: ShardSet,
    /// See [`Entry::taken_us`].
    pub taken_us: u64,
    /// See [`Entry::what`].
    pub what: What,
    /// See [`Entry::frame`].
    pub frame: Frame,
}

/// The places that an entry got.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    /// See [`Entry::ordinal`].
    pub ordinal: u64,
    /// See [`Entry::end_bytes`].
    pub end_bytes: u64,
}

/// The one log of the broker.
pub struct Feed {
    tail: Mutex<Tail>,
    /// The ordinal last given. Only raised, under `tail` where an entry is appended.
    ordinal: AtomicU64,
    /// Bytes appended; written under `tail`.
    bytes: AtomicU64,
    bytes_max: u64,
    shards: Box<[Wake]>,
}

/// How often every shard is woken while as much is appended as the slowest may lag.
const WAKES_PER_BACKLOG: u64 = 4;

/// Bytes that an entry costs in the feed beside its frame, for [`Feed::has_room`].
const ENTRY_BYTES: u64 = std::mem::size_of::<Slot<Entry>>() as u64;

impl Log for Feed {
    fn end(&self) -> u64 {
        self.appended_bytes()
    }

    fn read_by_all(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read_bytes.load(Ordering::Acquire)).min().unwrap_or(u64::MAX)
    }
}

impl Feed {
    /// A feed read by as many shards as there are notifiers; `bytes_max` bounds how far the slowest may lag.
    pub fn new(bytes_max: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> Self {
        assert!(notify.len() <= SHARDS_MAX, "{} shards, at most {SHARDS_MAX} are possible", notify.len());
        Self {
            tail: Mutex::new(Tail { segment: Segment::new(), slot: 0, bytes: 0, segment_bytes: 0 }),
            ordinal: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max,
            shards: notify.into_iter().map(Wake::new).collect(),
        }
    }

    /// Every shard.
    pub fn all_shards(&self) -> ShardSet {
        if self.shards.len() == SHARDS_MAX { ShardSet::MAX } else { (1 << self.shards.len()) - 1 }
    }

    /// How shard `index` is woken.
    pub fn wake(&self, index: usize) -> &Wake {
        &self.shards[index]
    }

    /// A place in the order for an update that no shard has to see.
    pub fn pass(&self) -> u64 {
        self.ordinal.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The ordinal last given.
    pub fn ordinal(&self) -> u64 {
        self.ordinal.load(Ordering::Acquire)
    }

    /// Appends. The caller then wakes the interested, best after it let go of its own locks.
    pub fn append(&self, draft: Draft) -> Appended {
        let Draft { topic, seq, oldest, interest, taken_us, what, frame } = draft;
        let mut tail = lock(&self.tail);
        let ordinal = self.ordinal.fetch_add(1, Ordering::AcqRel) + 1;
        let begin_bytes = tail.bytes;
        tail.bytes += frame.len() as u64 + ENTRY_BYTES;
        let end_bytes = tail.bytes;
        self.bytes.store(end_bytes, Ordering::Release);
        let slot = tail.slot;
        tail.segment.slots[slot].set(Entry { ordinal, topic, seq, oldest, interest, taken_us, end_bytes, what, frame });
        tail.slot += 1;
        let segment_ends = tail.slot == SEGMENT_SLOTS || end_bytes - tail.segment_bytes >= SEGMENT_BYTES;
        if segment_ends {
            let next = Segment::new();
            tail.segment.next.set(next.clone());
            tail.segment = next;
            tail.slot = 0;
            tail.segment_bytes = end_bytes;
        }
        drop(tail);
        // Shards without interest pass by now and then too, so that they let go of old segments, and long before
        // publishers would have to wait for one that sleeps.
        let share = (self.bytes_max / WAKES_PER_BACKLOG).max(1);
        if segment_ends || begin_bytes / share != end_bytes / share {
            self.wake_all(self.all_shards());
        }
        Appended { ordinal, end_bytes }
    }

    /// Wakes those of `shards` that sleep.
    pub fn wake_all(&self, mut shards: ShardSet) {
        while shards != 0 {
            let index = shards.trailing_zeros() as usize;
            shards &= shards - 1;
            self.shards[index].wake();
            if fault::strikes(Fault::WakeLost) {
                return;
            }
        }
    }

    /// Whether the slowest shard is near enough to the tail for more to be appended. Where it is not, whoever publishes
    /// waits: an entry is never dropped.
    pub fn has_room(&self) -> bool {
        let appended = self.bytes.load(Ordering::Acquire);
        self.shards
            .iter()
            .all(|shard| appended - shard.read_bytes.load(Ordering::Acquire).min(appended) < self.bytes_max)
    }

    /// Whether every shard is as near to the tail as this. One that is not may be asleep, as nothing of what was appended
    /// concerns it: it is woken, lest somebody waits for it for ever.
    pub(crate) fn keeps_up(&self, bytes_max: u64) -> bool {
        let appended = self.bytes.load(Ordering::Acquire);
        let mut keeps_up = true;
        for shard in &self.shards {
            if appended.saturating_sub(shard.read_bytes.load(Ordering::Acquire)) > bytes_max {
                keeps_up = false;
                shard.wake();
            }
        }
        keeps_up
    }

    /// Bytes between the slowest shard and the tail.
    pub fn backlog_bytes(&self) -> u64 {
        let appended = self.bytes.load(Ordering::Acquire);
        self.shards
            .iter()
            .map(|shard| appended.saturating_sub(shard.read_bytes.load(Ordering::Acquire)))
            .max()
            .unwrap_or(0)
    }

    /// Bytes appended so far: what a shard has read once its reader is at today's tail.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// The ordinal last given, and the bytes appended, as of one moment: no entry with an ordinal up to that one is still
    /// to be appended.
    pub(crate) fn settled(&self) -> (u64, u64) {
        let tail = lock(&self.tail);
        (self.ordinal(), tail.bytes)
    }

    /// A reader that starts at the tail, for shard `index`.
    pub fn reader(&self, index: usize) -> Reader {
        let tail = lock(&self.tail);
        self.shards[index].read_bytes.store(tail.bytes, Ordering::Release);
        let ordinal = self.ordinal();
        Reader { segment: tail.segment.clone(), slot: tail.slot, bytes: tail.bytes, ordinal, index }
    }
}

/// One shard's place in the feed.
pub struct Reader {
    segment: Arc<Segment>,
    slot: usize,
    bytes: u64,
    ordinal: u64,
    index: usize,
}

impl Reader {
    /// The next entry, if it was appended already.
    pub fn peek(&mut self) -> Option<&Entry> {
        if self.at_slot().is_none() {
            let next = self.segment.next.get()?.clone();
            // All of the segment was written before the next one was linked, this slot perhaps since it was looked at.
            if self.at_slot().is_none() {
                self.segment = next;
                self.slot = 0;
            }
        }
        self.at_slot()
    }

    fn at_slot(&self) -> Option<&Entry> {
        self.segment.slots.get(self.slot).and_then(Slot::get)
    }

    /// Goes past the entry that [`Reader::peek`] showed.
    pub fn advance(&mut self) {
        if let Some(entry) = self.segment.slots.get(self.slot).and_then(Slot::get) {
            self.bytes = entry.end_bytes;
            self.ordinal = entry.ordinal;
            self.slot += 1;
        }
    }

    /// `end_bytes` of the last entry read: this reader's place in the feed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The place in the broker's order up to which everything that was appended is read.
    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Tells the publishers how far this shard is. Called once per round, not per entry.
    pub fn publish_progress(&self, feed: &Feed) {
        feed.shards[self.index].read_bytes.store(self.bytes, Ordering::Release);
    }
}
