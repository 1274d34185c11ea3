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
//! A segment lives as long as some shard still has to read it. The publishers bound how far the slowest shard may lag:
//! they ask [`Feed::has_room`] first, and wait if it returns false. How they wake a shard that sleeps is in `feed/wake.rs`.

mod segment;
#[cfg(all(test, not(loom)))]
mod tests;
mod wake;

use broker_protocol::frame::Frame;

use self::segment::{SEGMENT_SLOTS, Segment, Slot};
pub use self::wake::Wake;
use crate::fault::{self, Fault};
use crate::ids::Log;
pub use crate::shard_set::{SHARDS_MAX, ShardSet};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};
use crate::topic::{Topic, TopicId};

/// A segment with this many bytes takes no more entries, however many slots are left: its frames are kept until the
/// whole segment is read.
#[cfg(not(loom))]
const SEGMENT_BYTES: u64 = 4 << 20;
/// Two entries, so that segments end with a slot left.
#[cfg(loom)]
const SEGMENT_BYTES: u64 = 2 * ENTRY_BYTES;

/// What an entry announces.
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A topic's update; the frame is what its subscribers get.
    Update,
    /// A topic began; the frame is its `topic` message as sent to a subscriber that waited for it.
    Begins(std::sync::Arc<Topic>),
    /// A topic ended; the frame is its `closed` message, the `seq` one above the last.
    Closed(std::sync::Arc<Topic>),
}

/// One entry of the feed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The update's number among those of all topics; rises, with holes where no shard was interested.
    pub ordinal: u64,
    /// The topic that it belongs to.
    pub topic: TopicId,
    /// The update's `seq`; 0 if the topic begins.
    pub seq: u64,
    /// The topic's oldest retained `seq` when this update was appended.
    pub oldest: u64,
    /// The shards that were interested in the topic at that time; the others skip it.
    pub interest: ShardSet,
    /// When the broker took it in, on the monotonic clock, for the publish-to-socket latency.
    pub taken_us: u64,
    /// Bytes appended to the feed up to and including this entry.
    pub end_bytes: u64,
    /// What it announces.
    pub kind: EntryKind,
    /// The bytes for its subscribers.
    pub frame: Frame,
}

struct Tail {
    segment: Arc<Segment<Entry>>,
    slot: usize,
    bytes: u64,
    /// `bytes` where the segment begins.
    segment_bytes: u64,
}

/// What is to be appended: an [`Entry`] without the positions that the feed assigns.
pub struct Draft {
    /// See [`Entry::topic`].
    pub topic: TopicId,
    /// Its ordinal if a log has given it one, above all before; `None`: the next one.
    pub place: Option<u64>,
    /// See [`Entry::seq`].
    pub seq: u64,
    /// See [`Entry::oldest`].
    pub oldest: u64,
    /// See [`Entry::interest`].
    pub interest: ShardSet,
    /// See [`Entry::taken_us`].
    pub taken_us: u64,
    /// See [`Entry::kind`].
    pub kind: EntryKind,
    /// See [`Entry::frame`].
    pub frame: Frame,
}

/// The positions that the feed assigned to an entry.
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
    /// The last ordinal assigned. It only grows, and under `tail` when an entry is appended.
    ordinal: AtomicU64,
    /// Bytes appended; written under `tail`.
    bytes: AtomicU64,
    bytes_max: u64,
    /// Whether ordinals are places of a log. What has none, as the broker's own topics, then repeats the last one.
    has_places: bool,
    shards: Box<[Wake]>,
}

/// How many times every shard is woken while as much is appended as the slowest may lag.
const WAKES_PER_BACKLOG: u64 = 4;

/// The bytes before the first entry. Topics that were restored count as begun there, each at a byte of its own, so that
/// every shard has read their beginning.
pub(crate) const FIRST_BYTE: u64 = 1 << 32;

/// Bytes that an entry costs in the feed in addition to its frame, for [`Feed::has_room`].
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
    /// Creates a feed that is read by as many shards as there are notifiers; `bytes_max` bounds how far the slowest may
    /// lag.
    pub fn new(bytes_max: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> Self {
        Self::create(bytes_max, notify, false)
    }

    /// Creates a feed whose ordinals are places of a log.
    pub(crate) fn with_places(bytes_max: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> Self {
        Self::create(bytes_max, notify, true)
    }

    fn create(bytes_max: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>, has_places: bool) -> Self {
        assert!(notify.len() <= SHARDS_MAX, "{} shards, at most {SHARDS_MAX} are possible", notify.len());
        Self {
            tail: Mutex::new(Tail { segment: Segment::new(), slot: 0, bytes: FIRST_BYTE, segment_bytes: FIRST_BYTE }),
            ordinal: AtomicU64::new(0),
            bytes: AtomicU64::new(FIRST_BYTE),
            bytes_max,
            has_places,
            shards: notify.into_iter().map(Wake::new).collect(),
        }
    }

    /// Every shard.
    pub fn all_shards(&self) -> ShardSet {
        if self.shards.len() == SHARDS_MAX { ShardSet::MAX } else { (1 << self.shards.len()) - 1 }
    }

    /// The wake-up state of shard `index`.
    pub fn wake(&self, index: usize) -> &Wake {
        &self.shards[index]
    }

    /// Assigns an ordinal to an update that no shard has to see: its place in the log, or the next one.
    pub fn assign_ordinal(&self, place: Option<u64>) -> u64 {
        match place {
            None if self.has_places => self.ordinal(),
            None => self.ordinal.fetch_add(1, Ordering::AcqRel) + 1,
            Some(place) => {
                self.reach(place);
                place
            }
        }
    }

    /// Notes that this ordinal was used, whether or not anything was appended with it.
    pub(crate) fn reach(&self, place: u64) {
        self.ordinal.fetch_max(place, Ordering::AcqRel);
    }

    /// The last ordinal assigned.
    pub fn ordinal(&self) -> u64 {
        self.ordinal.load(Ordering::Acquire)
    }

    /// Appends an entry. The caller then wakes the interested shards, best after it released its own locks.
    pub fn append(&self, draft: Draft) -> Appended {
        let Draft { topic, place, seq, oldest, interest, taken_us, kind, frame } = draft;
        let mut tail = lock(&self.tail);
        let ordinal = self.assign_ordinal(place);
        let begin_bytes = tail.bytes;
        tail.bytes += frame.len() as u64 + ENTRY_BYTES;
        let end_bytes = tail.bytes;
        self.bytes.store(end_bytes, Ordering::Release);
        let slot = tail.slot;
        tail.segment.slots[slot].set(Entry { ordinal, topic, seq, oldest, interest, taken_us, end_bytes, kind, frame });
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
        // Shards without interest also pass by now and then, so that they release old segments, and long before
        // publishers would have to wait for one that sleeps.
        let share = (self.bytes_max / WAKES_PER_BACKLOG).max(1);
        if segment_ends || begin_bytes / share != end_bytes / share {
            self.wake_all(self.all_shards());
        }
        Appended { ordinal, end_bytes }
    }

    /// Wakes the sleeping shards among `shards`.
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

    /// Whether the slowest shard is near enough to the tail for more to be appended. If not, publishers wait: an entry
    /// is never dropped.
    pub fn has_room(&self) -> bool {
        let appended = self.bytes.load(Ordering::Acquire);
        self.shards
            .iter()
            .all(|shard| appended - shard.read_bytes.load(Ordering::Acquire).min(appended) < self.bytes_max)
    }

    /// Whether every shard is within `bytes_max` of the tail. A shard that is not may be asleep because no entry since
    /// then concerns it: it is woken, otherwise a publisher could wait for it for ever.
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

    /// Bytes appended so far: a shard that has read this many is at the present tail.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Returns the last ordinal assigned and the bytes appended at one moment: no entry with an ordinal up to that one
    /// is still to be appended.
    pub(crate) fn settled(&self) -> (u64, u64) {
        let tail = lock(&self.tail);
        (self.ordinal(), tail.bytes)
    }

    /// Returns a reader that starts at the tail, for shard `index`.
    pub fn reader(&self, index: usize) -> Reader {
        let tail = lock(&self.tail);
        self.shards[index].read_bytes.store(tail.bytes, Ordering::Release);
        let ordinal = self.ordinal();
        Reader { segment: tail.segment.clone(), slot: tail.slot, bytes: tail.bytes, ordinal, index }
    }
}

/// One shard's position in the feed.
pub struct Reader {
    segment: Arc<Segment<Entry>>,
    slot: usize,
    bytes: u64,
    ordinal: u64,
    index: usize,
}

impl Reader {
    /// Returns the next entry, if it has been appended.
    pub fn peek(&mut self) -> Option<&Entry> {
        if self.at_slot().is_none() {
            let next = self.segment.next.get()?.clone();
            // All of the segment was written before the next one was linked, perhaps including this slot after it was
            // looked at.
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

    /// Moves past the entry that [`Reader::peek`] returned.
    pub fn advance(&mut self) {
        if let Some(entry) = self.segment.slots.get(self.slot).and_then(Slot::get) {
            self.bytes = entry.end_bytes;
            self.ordinal = entry.ordinal;
            self.slot += 1;
        }
    }

    /// `end_bytes` of the last entry read: this reader's position in the feed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The ordinal up to which everything that was appended is read.
    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Publishes how far this shard has read. Called once per round, not per entry.
    pub fn publish_progress(&self, feed: &Feed) {
        feed.shards[self.index].read_bytes.store(self.bytes, Ordering::Release);
    }
}
