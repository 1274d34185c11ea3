//! The state that all threads share: topics, the feed, the budgets. Any thread may publish and end topics: [`apply`].

mod ahead;
mod apply;
mod end;
mod inbound;
mod places;
mod publish;
mod reload;
mod restore;
mod save;
mod submit;

pub use self::apply::{At, Command};
pub use self::places::Places;
pub use self::save::{Meanwhile, SavedTopic, SavedUpdate};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use broker_protocol::codes::ErrorCode;
use broker_protocol::frame::Frame;
use broker_protocol::message::{self, Start, TopicStart};
use broker_protocol::request::Refusal;
use broker_protocol::topic::{check_topic, is_reserved};

use self::inbound::Sums;
use self::save::Saving;
use crate::budget::Budget;
use crate::budget::largest::Largest;
use crate::clock::Now;
use crate::directory::Directory;
use crate::epoch;
use crate::feed::Feed;
use crate::ids::Ids;
use crate::in_force::InForce;
use crate::journal::{Journal, JournalOptions};
use crate::limits::Limits;
use crate::outcome::Published;
use crate::pattern_counts::PatternCounts;
use crate::publishers::Publishers;
use crate::quota::Refusals;
use crate::sync::Mutex;
use crate::topic::Topic;

/// The author of an update: a client, or the broker itself on its own `$` topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// A client of the protocol; topics that begin with `$` are forbidden.
    Client,
    /// The broker.
    Broker,
}

/// The shared half of the engine.
pub struct Engine {
    pub(crate) limits: InForce,
    pub(crate) directory: Directory,
    pub(crate) feed: Arc<Feed>,
    pub(crate) budget: Arc<Budget>,
    /// Which shard has the connection that holds the most of a shared sum.
    pub(crate) largest: Largest,
    /// Number of connections subscribed to each pattern over all shards, for listings.
    pub(crate) patterns: PatternCounts,
    ids: Arc<Ids>,
    /// What the epochs of topics and the names of sessions are derived from that are counted in this run.
    seed: u64,
    epochs: AtomicU64,
    journal: Option<Journal>,
    /// The topics that are made when no shard follows anything yet, so that each has a number.
    made_early: AtomicU64,
    /// Whether the log is still being read: no shard follows anything.
    is_reading: AtomicBool,
    sessions: AtomicU64,
    published: AtomicU64,
    duplicates: AtomicU64,
    /// Updates that were refused, by the index of the error code in [`ErrorCode::ALL`].
    refused: [AtomicU64; ErrorCode::ALL.len()],
    pub(crate) refusals: Arc<Refusals>,
    /// When a client last published, in µs since the UNIX epoch; 0 before the first.
    last_publish_us: AtomicU64,
    saving: Saving,
    sums: Sums,
    /// What programs were refused while the checkpoint was written from which this engine is restored.
    refused_before: Mutex<Option<Places>>,
    /// Names that ended while the checkpoint was written from which this engine is restored.
    skipping: Mutex<BTreeMap<Box<str>, u64>>,
    /// Whether there are any.
    is_skipping: AtomicBool,
}

/// How far a shard may lag and still count as keeping up: some milliseconds of its time.
const KEEPING_UP_BYTES: u64 = 256 << 10;

fn refuse(code: ErrorCode, message: String) -> Refusal {
    Refusal { code, message }
}

/// Refuses a name that is no valid topic, or that `by` may not write to.
fn check_writable(name: &str, by: Publisher) -> Result<(), Refusal> {
    if let Err(error) = check_topic(name) {
        return Err(refuse(ErrorCode::BadTopic, error.to_string()));
    }
    if by == Publisher::Client && is_reserved(name) {
        let message = format!("\"{name}\": topics that begin with $ are the broker's own");
        return Err(refuse(ErrorCode::Forbidden, message));
    }
    Ok(())
}

impl Engine {
    /// Creates an engine that is read by as many shards as there are notifiers. `seed` is a random number of this run;
    /// epochs and session names are derived from it.
    pub fn new(limits: Limits, seed: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> Arc<Self> {
        Self::create(limits, seed, notify, None)
    }

    /// Creates an engine with a journal. It reads its log first, and no shard may follow anything until
    /// [`Engine::end_reading`].
    pub fn with_journal(
        limits: Limits,
        seed: u64,
        notify: Vec<Box<dyn Fn() + Send + Sync>>,
        journal: JournalOptions,
    ) -> Arc<Self> {
        Self::create(limits, seed, notify, Some(journal))
    }

    fn create(
        limits: Limits,
        seed: u64,
        notify: Vec<Box<dyn Fn() + Send + Sync>>,
        journal: Option<JournalOptions>,
    ) -> Arc<Self> {
        let shards = notify.len();
        let feed = match &journal {
            None => Feed::new(limits.feed_bytes_max, notify),
            Some(_) => Feed::with_places(limits.feed_bytes_max, notify),
        };
        let feed = Arc::new(feed);
        Arc::new(Self {
            is_reading: AtomicBool::new(journal.is_some()),
            journal: journal.map(|options| Journal::new(options, shards)),
            made_early: AtomicU64::new(0),
            refusals: Arc::new(Refusals::new(limits.quota_dry_run)),
            limits: InForce::new(limits),
            directory: Directory::default(),
            ids: Ids::new(feed.clone()),
            feed,
            budget: Arc::default(),
            largest: Largest::default(),
            patterns: PatternCounts::default(),
            seed,
            epochs: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            published: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            last_publish_us: AtomicU64::new(0),
            saving: Saving::default(),
            sums: Sums::default(),
            refused_before: Mutex::default(),
            skipping: Mutex::default(),
            is_skipping: AtomicBool::new(false),
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> &InForce {
        &self.limits
    }

    /// The feed, to wake shards and to measure the backlog.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// What all topics hold together.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Live topics.
    pub fn topics_len(&self) -> usize {
        self.directory.read().len()
    }

    /// Updates taken in since the start, and duplicates among the updates offered.
    pub fn published(&self) -> (u64, u64) {
        (self.published.load(Ordering::Relaxed), self.duplicates.load(Ordering::Relaxed))
    }

    /// Counts a refused update. The caller that reports the refusal counts it, because some updates are refused before
    /// they reach the engine.
    pub fn count_refused(&self, code: ErrorCode) {
        self.refused[code.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Updates refused with this code since the start.
    pub fn refused(&self, code: ErrorCode) -> u64 {
        self.refused[code.index()].load(Ordering::Relaxed)
    }

    /// How often quotas refused something.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// When a client last published, duplicates included, in µs since the UNIX epoch; `None` before the first.
    pub fn last_publish_us(&self) -> Option<u64> {
        Some(self.last_publish_us.load(Ordering::Relaxed)).filter(|us| *us > 0)
    }

    pub(crate) fn session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// The text for a session's number.
    pub fn session_name(&self, session: u64) -> Box<str> {
        epoch::epoch(!self.seed, session)
    }

    /// Creates a table of publishers for one thread: each shard has one, and whoever publishes for clients of HTTP. They
    /// share a budget.
    pub fn publishers<K: Hash + Eq + Clone, W: Clone>(&self) -> Publishers<K, W> {
        Publishers::new(self.budget.clone())
    }

    /// Notes in a table that an update was published; a duplicate was not.
    #[inline]
    pub fn note_publisher<K: Hash + Eq + Clone, W: Clone>(
        &self,
        table: &mut Publishers<K, W>,
        now: Now,
        published: &Published,
        key: K,
        who: impl FnOnce() -> W,
    ) {
        if !published.duplicate {
            // One more table than there are shards.
            let share = self.limits.publishers_bytes_max() / (u64::from(self.feed.all_shards().count_ones()) + 1);
            table.note(now, &published.topic, key, share, who);
        }
    }

    /// A live topic by its name.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.directory.read().get(name).cloned()
    }

    /// The number of a session of this name; `None` if no session of this run can have it.
    pub fn session_number(&self, name: &str) -> Option<u64> {
        epoch::counter(!self.seed, name)
    }

    /// Whether publishers may continue, or have to wait for the slowest shard, or for the journal.
    pub fn has_room(&self) -> bool {
        self.feed.has_room() && self.journal.as_ref().is_none_or(|journal| journal.gathering().has_room())
    }

    /// What it has of a journal, if it has one.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Whether the slowest shard keeps up with what is published, and the journal with what waits for it. If not, heavy
    /// publishers wait, so that the updates of the others are not late.
    pub fn keeps_up(&self) -> bool {
        self.feed.keeps_up(KEEPING_UP_BYTES.min(self.limits.feed_bytes_max / 4))
            && self.journal.as_ref().is_none_or(|journal| journal.gathering().keeps_up())
    }
}

/// The `topic` message of a topic that begins, for connections that were subscribed before it began.
pub(crate) fn begins_frame(topic: &Topic, conflate_ms: u32) -> Frame {
    let start = TopicStart {
        topic: topic.name(),
        kind: Some(topic.kind()),
        epoch: Some(topic.epoch()),
        seq: 0,
        oldest: 1,
        start: Start::Live,
        conflate_ms,
    };
    Frame::encode(&mut Vec::new(), |out| message::topic(out, &start))
}
