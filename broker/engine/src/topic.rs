//! A topic: its sequence, its image and its history, under one lock.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message;

use crate::budget::Budget;
use crate::fault::{self, Fault};
use crate::feed::ShardSet;
use crate::history::History;
use crate::ids::Id;
pub(crate) use crate::ids::TopicId;
use crate::image::Tree;
use crate::limits::Retain;

/// Sources that a topic remembers for deduplication.
pub(crate) const SOURCES_MAX: usize = 16;

/// One incarnation of a topic, from its first publish to its end.
pub struct Topic {
    id: Id,
    name: Arc<str>,
    epoch: Box<str>,
    kind: Kind,
    retain: Retain,
    /// Connections subscribed to it by its full name; written by shards, read by listings.
    pub(crate) direct: AtomicU32,
    /// The feed's length once its beginning was in, in bytes; set before anybody else sees the topic.
    pub(crate) begun_bytes: AtomicU64,
    budget: Arc<Budget>,
    state: Mutex<TopicState>,
}

/// What the topic's lock guards.
pub(crate) struct TopicState {
    /// Shards that want its entries. A topic begins with all of them, so that none misses the beginning; a shard that
    /// finds nobody subscribed takes itself out.
    pub(crate) interest: ShardSet,
    /// No update comes any more; the `closed` entry is in the feed.
    pub(crate) closed: bool,
    /// The shards that the `closed` entry is for, and its end in the feed.
    pub(crate) closed_to: Option<(ShardSet, u64)>,
    pub(crate) history: History,
    pub(crate) image: Option<Tree>,
    /// The newest update's times.
    pub(crate) last_ts: u64,
    pub(crate) last_source_ts: Option<u64>,
    /// Some update was a patch.
    pub(crate) has_patches: bool,
    /// The `image` message of the newest `seq`, once somebody needed it.
    encoded: Option<Frame>,
    sources: Vec<(Box<str>, u64)>,
    /// Bytes of history and image that the budgets were told of.
    pub(crate) counted_history: u64,
    pub(crate) counted_image: u64,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("name", &self.name).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let id = self.id();
        let state = self.state.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.budget.forget(id, state);
    }
}

/// What a new topic is made of.
pub(crate) struct Birth<'a> {
    pub(crate) id: Id,
    pub(crate) name: &'a str,
    pub(crate) epoch: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) retain: Retain,
    pub(crate) interest: ShardSet,
    pub(crate) budget: Arc<Budget>,
}

impl Topic {
    pub(crate) fn new(birth: Birth<'_>) -> Self {
        let Birth { id, name, epoch, kind, retain, interest, budget } = birth;
        Self {
            id,
            name: name.into(),
            epoch,
            kind,
            retain,
            direct: AtomicU32::new(0),
            begun_bytes: AtomicU64::new(0),
            budget,
            state: Mutex::new(TopicState {
                interest,
                closed: false,
                closed_to: None,
                history: History::new(),
                image: None,
                last_ts: 0,
                last_source_ts: None,
                has_patches: false,
                encoded: None,
                sources: Vec::new(),
                counted_history: 0,
                counted_image: 0,
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

    /// The text that changes whenever the sequence restarts.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The kind of its first publish.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its updates are merged for those who cannot or do not want to get each.
    pub fn has_image(&self) -> bool {
        self.kind != Kind::Event
    }

    /// Whether it began before the other. Numbers do not tell: they are used again.
    pub(crate) fn began_before(&self, other: &Topic) -> bool {
        // Not set yet means later than every other.
        let begun = |topic: &Topic| topic.begun_bytes.load(Ordering::Acquire).wrapping_sub(1);
        begun(self) < begun(other)
    }

    pub(crate) fn retain(&self) -> &Retain {
        &self.retain
    }

    pub(crate) fn direct_subscribers(&self) -> u32 {
        self.direct.load(Ordering::Relaxed)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TopicState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The newest state, where there is one.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let state = self.lock();
        let seq = state.history.newest();
        Some(Snapshot {
            seq,
            ts: state.last_ts,
            source_ts: state.last_source_ts,
            tree: state.image.clone()?,
            has_patches: state.has_patches,
            closed: state.closed,
            encoded: state.encoded.clone(),
        })
    }

    /// A snapshot's `image` message, encoded at most once per `seq` and outside the lock.
    pub(crate) fn image_frame(&self, snapshot: &Snapshot) -> Frame {
        if let Some(frame) = &snapshot.encoded {
            return frame.clone();
        }
        let Snapshot { seq, ts, source_ts, tree, .. } = snapshot;
        let mut data = Vec::with_capacity(tree.bytes());
        tree.encode(&mut data);
        let mut payload = Vec::with_capacity(data.len() + self.name.len() + 128);
        message::image(&mut payload, &self.name, &self.epoch, *seq, *ts, *source_ts, &data);
        let frame = Frame::text(&payload);
        let mut state = self.lock();
        if state.history.newest() == *seq {
            state.encoded = Some(frame.clone());
        }
        frame
    }
}

/// A topic's state at one `seq`.
pub(crate) struct Snapshot {
    pub(crate) seq: u64,
    pub(crate) ts: u64,
    pub(crate) source_ts: Option<u64>,
    pub(crate) tree: Tree,
    pub(crate) has_patches: bool,
    pub(crate) closed: bool,
    encoded: Option<Frame>,
}

impl TopicState {
    /// The newest `seq`.
    pub(crate) fn seq(&self) -> u64 {
        self.history.newest()
    }

    /// Whether shard `bit`, which has read the feed up to `read_bytes`, has seen the last of the topic: it was not
    /// interested when the topic ended, or has the end behind it.
    pub(crate) fn is_over_for(&self, bit: ShardSet, read_bytes: u64) -> bool {
        self.closed && self.closed_to.is_none_or(|(shards, end_bytes)| shards & bit == 0 || end_bytes <= read_bytes)
    }

    /// A new state; what was encoded of the old one goes.
    pub(crate) fn set_image(&mut self, image: Option<Tree>) {
        self.image = image;
        if !fault::strikes(Fault::StaleImage) {
            self.encoded = None;
        }
    }

    /// Roughly the bytes of an `image` message now.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.image.as_ref().map_or(0, |tree| tree.bytes() as u64 + 128)
    }

    /// Whether `source` published `source_seq` or a later one already; remembers it where not. A duplicate is a use.
    pub(crate) fn is_duplicate(&mut self, source: &str, source_seq: u64) -> bool {
        match self.sources.iter().position(|(name, _)| **name == *source) {
            Some(at) => {
                let used = self.sources.remove(at);
                let duplicate = source_seq <= used.1;
                self.sources.push(used);
                duplicate
            }
            None => false,
        }
    }

    /// Remembers what `source` published last.
    pub(crate) fn remember(&mut self, source: &str, source_seq: u64) {
        match self.sources.last_mut().filter(|(name, _)| **name == *source) {
            Some(last) => last.1 = source_seq,
            None => {
                if self.sources.len() == SOURCES_MAX {
                    self.sources.remove(0);
                }
                self.sources.push((source.into(), source_seq));
            }
        }
    }
}

/// Makes epochs: short, and never the same twice for one seed and counter.
pub(crate) fn epoch(seed: u64, counter: u64) -> Box<str> {
    // An odd multiplier permutes the numbers, so that no two counters of one run meet.
    let mut number = (seed ^ counter).wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 48) - 1);
    let mut text = String::with_capacity(9);
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    loop {
        let _ = text.write_char(DIGITS[(number % 62) as usize] as char);
        number /= 62;
        if number == 0 {
            return text.into_boxed_str();
        }
    }
}
