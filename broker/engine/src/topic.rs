//! A topic: its sequence, its image and its history, under one lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message;

use crate::budget::{Budget, Counted};
use crate::fault::{self, Fault};
use crate::history::History;
use crate::ids::Id;
pub(crate) use crate::ids::TopicId;
use crate::image::Tree;
use crate::limits::Retain;
use crate::shard_set::ShardSet;
use crate::sources::Sources;
use crate::sync::{Mutex, MutexGuard, lock, unpoisoned};

/// One incarnation of a topic, from its first publish to its end.
pub struct Topic {
    id: Id,
    name: Arc<str>,
    epoch: Box<str>,
    kind: Kind,
    /// Connections subscribed to it by its full name; written by shards, read by listings.
    pub(crate) direct: AtomicU32,
    /// The feed's length in bytes once its beginning was appended; set before another thread can see the topic.
    pub(crate) begun_bytes: AtomicU64,
    /// Set with `TopicState::closed`, for readers that do not hold the lock.
    ended: AtomicBool,
    /// Number of wants of connections for this topic.
    wanted: AtomicU32,
    budget: Arc<Budget>,
    state: Mutex<TopicState>,
}

/// What the topic's lock guards.
pub(crate) struct TopicState {
    /// Shards that want its entries. A topic begins with all of them, so that none misses the beginning; a shard on
    /// which nobody is subscribed removes itself.
    pub(crate) interest: ShardSet,
    /// No more updates come; the `closed` entry is in the feed.
    pub(crate) closed: bool,
    /// The shards that the `closed` entry is for, and its end in the feed.
    pub(crate) closed_to: Option<(ShardSet, u64)>,
    /// Those of them that have not read it yet.
    pub(crate) unread_by: ShardSet,
    /// The place of the last command for it that came from a log; 0 if none did.
    pub(crate) place: u64,
    /// How much of it is kept.
    pub(crate) retain: Retain,
    pub(crate) history: History,
    pub(crate) image: Option<Tree>,
    /// When the newest update was taken in, in microseconds since the UNIX epoch. It never runs backwards.
    pub(crate) last_ts: u64,
    /// The same on the monotonic clock, for lifetimes.
    pub(crate) last_mono_us: u64,
    pub(crate) last_source_ts: Option<u64>,
    /// At least one update was a patch.
    pub(crate) has_patches: bool,
    /// The `image` message of the newest `seq`, once it was needed.
    encoded: Option<Frame>,
    pub(crate) sources: Sources,
    /// What the budget has counted for it.
    pub(crate) counted: Counted,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let id = self.id();
        let state = unpoisoned(self.state.get_mut());
        self.budget.forget(id, &mut state.counted);
    }
}

/// The properties of a new topic.
pub(crate) struct NewTopic<'a> {
    pub(crate) id: Id,
    pub(crate) name: &'a str,
    pub(crate) epoch: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) retain: Retain,
    pub(crate) interest: ShardSet,
    pub(crate) budget: Arc<Budget>,
}

impl Topic {
    pub(crate) fn new(new: NewTopic<'_>) -> Self {
        let NewTopic { id, name, epoch, kind, retain, interest, budget } = new;
        Self {
            id,
            name: name.into(),
            epoch,
            kind,
            direct: AtomicU32::new(0),
            begun_bytes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            wanted: AtomicU32::new(0),
            budget,
            state: Mutex::new(TopicState {
                interest,
                closed: false,
                closed_to: None,
                unread_by: 0,
                place: 0,
                retain,
                history: History::new(),
                image: None,
                last_ts: 0,
                last_mono_us: 0,
                last_source_ts: None,
                has_patches: false,
                encoded: None,
                sources: Sources::default(),
                counted: Counted::default(),
            }),
        }
    }

    /// Its number in feed entries.
    pub fn id(&self) -> TopicId {
        self.id.number
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Text that changes whenever the sequence restarts.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The kind of its updates: events, or states (which patches may change).
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its updates are merged for subscribers that cannot or do not want to get every one.
    pub fn has_image(&self) -> bool {
        self.kind != Kind::Event
    }

    /// A number that no other life of a topic has: where it begins in the feed.
    pub(crate) fn life(&self) -> u64 {
        self.begun_bytes.load(Ordering::Acquire)
    }

    /// Whether it began before the other. Their numbers do not show this, because they are reused.
    pub(crate) fn began_before(&self, other: &Topic) -> bool {
        // 0 is not set yet: it wraps around, and counts as later than every other.
        let begun = |topic: &Topic| topic.begun_bytes.load(Ordering::Acquire).wrapping_sub(1);
        begun(self) < begun(other)
    }

    pub(crate) fn direct_subscribers(&self) -> u32 {
        self.direct.load(Ordering::Relaxed)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TopicState> {
        lock(&self.state)
    }

    /// Marks the topic as ended: no more updates come. Called under its lock, with the shards that will read of the
    /// end.
    pub(crate) fn close(self: &Arc<Self>, state: &mut TopicState, told: ShardSet) {
        (state.closed, state.unread_by) = (true, told);
        self.ended.store(true, Ordering::SeqCst);
        self.settle_end(state);
    }

    /// The shard `bit` has read of the end. Returns whether all have.
    pub(crate) fn end_was_read(self: &Arc<Self>, bit: ShardSet) -> bool {
        let mut state = self.lock();
        state.unread_by &= !bit;
        self.settle_end(&mut state);
        state.unread_by == 0
    }

    /// The position of its end in the feed, if it ended and the shard `bit` has not read that yet.
    pub(crate) fn end_unread_by(&self, bit: ShardSet) -> Option<u64> {
        let state = self.lock();
        state.closed_to.filter(|_| state.unread_by & bit != 0).map(|(_, end_bytes)| end_bytes)
    }

    /// Whether any connection wants something of it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > 0
    }

    /// Drops what an ended topic holds once no shard and no connection wants it.
    fn settle_end(self: &Arc<Self>, state: &mut TopicState) {
        if state.unread_by == 0 && self.wanted.load(Ordering::SeqCst) == 0 {
            state.release(self);
        } else {
            self.budget.count_ended(self, state);
        }
    }

    /// The newest state, if there is one.
    pub(crate) fn snapshot(&self) -> Option<StateSnapshot> {
        let state = self.lock();
        let seq = state.history.newest();
        Some(StateSnapshot {
            seq,
            ts: state.last_ts,
            source_ts: state.last_source_ts,
            tree: state.image.clone()?,
            has_patches: state.has_patches,
            closed: state.closed,
            encoded: state.encoded.clone(),
        })
    }

    /// Returns a snapshot's `image` message. It is encoded outside the lock, and once per `seq` as long as all encoded
    /// images together fit `encoded_bytes_max`.
    pub(crate) fn image_frame(self: &Arc<Self>, snapshot: &StateSnapshot, encoded_bytes_max: u64) -> Frame {
        if let Some(frame) = &snapshot.encoded {
            return frame.clone();
        }
        let StateSnapshot { seq, ts, source_ts, tree, .. } = snapshot;
        let mut data = Vec::with_capacity(tree.bytes());
        tree.encode(&mut data);
        let mut scratch = Vec::with_capacity(data.len() + self.name.len() + 128);
        let frame = Frame::encode(&mut scratch, |out| {
            message::image(out, &self.name, &self.epoch, *seq, *ts, *source_ts, &data);
        });
        let mut state = self.lock();
        if state.history.newest() == *seq && state.image.is_some() && frame.len() as u64 <= encoded_bytes_max {
            state.encoded = Some(frame.clone());
            self.budget.count_encoded(self, &mut state);
        }
        drop(state);
        self.budget.fit_encoded(encoded_bytes_max);
        frame
    }

    /// A connection begins to want something of it, in a want of `bytes` bytes: what the topic holds is kept for that
    /// even when it ends.
    pub(crate) fn begin_wanting(&self, bytes: u64) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        self.budget.wants.add(bytes);
    }

    /// The want of `bytes` bytes is gone. With the last one, an ended topic drops what it holds.
    pub(crate) fn end_wanting(self: &Arc<Self>, bytes: u64) {
        if !fault::strikes(Fault::BudgetKept) {
            self.budget.wants.sub(bytes);
        }
        if self.wanted.fetch_sub(1, Ordering::SeqCst) == 1 && self.ended.load(Ordering::SeqCst) {
            self.settle_end(&mut self.lock());
        }
    }
}

/// A topic's state at one `seq`.
pub(crate) struct StateSnapshot {
    pub(crate) seq: u64,
    pub(crate) ts: u64,
    pub(crate) source_ts: Option<u64>,
    pub(crate) tree: Tree,
    pub(crate) has_patches: bool,
    pub(crate) closed: bool,
    encoded: Option<Frame>,
}

impl StateSnapshot {
    /// Whether its message is already encoded.
    pub(crate) fn is_encoded(&self) -> bool {
        self.encoded.is_some()
    }
}

impl TopicState {
    /// Whether it ended and dropped what it held.
    pub(crate) fn is_released(&self, topic: &Topic) -> bool {
        self.closed && topic.has_image() && self.image.is_none()
    }

    /// Notes that the topic's last command is the one at this place. Returns false if it has had that already: it was saved
    /// in a checkpoint after the command was applied, and is restored from that.
    pub(crate) fn advance(&mut self, place: Option<u64>) -> bool {
        let Some(place) = place else { return true };
        let is_next = self.place < place || fault::planted(Fault::PlaceIgnored);
        self.place = self.place.max(place);
        is_next
    }

    /// The newest `seq`.
    pub(crate) fn seq(&self) -> u64 {
        self.history.newest()
    }

    /// Whether shard `bit`, which has read the feed up to `read_bytes`, has seen the last of the topic: it was not
    /// interested when the topic ended, or has read past the end.
    pub(crate) fn is_over_for(&self, bit: ShardSet, read_bytes: u64) -> bool {
        self.closed && self.closed_to.is_none_or(|(shards, end_bytes)| shards & bit == 0 || end_bytes <= read_bytes)
    }

    /// Sets the state and drops the encoded form of the old one.
    pub(crate) fn set_image(&mut self, image: Option<Tree>) {
        self.image = image;
        if !fault::strikes(Fault::StaleImage) {
            self.encoded = None;
        }
    }

    /// Drops the encoded image; it is encoded again when needed.
    pub(crate) fn forget_encoded(&mut self) {
        self.encoded = None;
    }

    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.encoded.as_ref().map_or(0, |frame| frame.len() as u64)
    }

    /// All that the topic holds in addition to its name.
    pub(crate) fn held_bytes(&self) -> u64 {
        let image = self.image.as_ref().map_or(0, |tree| tree.held_bytes() as u64);
        self.history.bytes() + image + self.encoded_bytes() + self.sources.bytes()
    }

    /// Drops all that an ended topic holds, except its newest `seq`.
    pub(crate) fn release(&mut self, topic: &Arc<Topic>) {
        self.history.clear();
        (self.image, self.encoded) = (None, None);
        self.sources = Sources::default();
        topic.budget.count_ended(topic, self);
    }

    /// Roughly the bytes of an `image` message at present.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.image.as_ref().map_or(0, |tree| tree.bytes() as u64 + 128)
    }
}
