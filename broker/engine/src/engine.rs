//! What every thread shares: topics, the feed, the budgets; and publishing, which any thread may do.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use broker_protocol::codes::ErrorCode;
use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message::{self, Start, TopicStart};
use broker_protocol::pattern::Pattern;
use broker_protocol::request::{Publication, Refusal};
use broker_protocol::topic::{check_topic, is_reserved};

use crate::budget::Budget;
use crate::clock::Now;
use crate::directory::Directory;
use crate::feed::{Draft, Feed, What};
use crate::ids::Ids;
use crate::image::Tree;
use crate::limits::Limits;
use crate::topic::{self, Birth, Topic};
use crate::trie::Trie;

/// Who publishes: clients, or the broker itself on its own `$` topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// Anybody over the protocol; topics that begin with `$` are forbidden.
    Client,
    /// The broker.
    Broker,
}

/// Where an update went, or where the one went of which it is a duplicate.
#[derive(Clone, Debug)]
pub struct Published {
    /// The topic in this incarnation.
    pub topic: Arc<Topic>,
    /// Its `seq`, or for a duplicate the topic's newest.
    pub seq: u64,
    /// The source had published it already.
    pub duplicate: bool,
}

/// The shared half of the engine.
pub struct Engine {
    pub(crate) limits: Limits,
    pub(crate) directory: Directory,
    pub(crate) feed: Arc<Feed>,
    pub(crate) budget: Arc<Budget>,
    /// Members of every pattern over all shards, for listings.
    pub(crate) patterns: Mutex<Trie<u64>>,
    ids: Arc<Ids>,
    epoch_seed: u64,
    epochs: AtomicU64,
    sessions: AtomicU64,
    published: AtomicU64,
    duplicates: AtomicU64,
    /// Updates that were refused, by the place of the code in [`ErrorCode::ALL`].
    refused: [AtomicU64; ErrorCode::ALL.len()],
    /// When a client last published, in µs since the UNIX epoch; 0 before the first.
    last_publish_us: AtomicU64,
}

thread_local! {
    /// The update's payload before it becomes a frame: one allocation per update instead of two.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Scratch that a rare huge update grew is given back above this.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

fn refuse(code: ErrorCode, message: String) -> Refusal {
    Refusal { code, message }
}

impl Engine {
    /// An engine read by as many shards as there are notifiers. `epoch_seed` is a random number of this run: epochs and
    /// session names follow from it.
    pub fn new(limits: Limits, epoch_seed: u64, notify: Vec<Box<dyn Fn() + Send + Sync>>) -> Arc<Self> {
        let feed = Arc::new(Feed::new(limits.feed_bytes_max, notify));
        Arc::new(Self {
            limits,
            directory: Directory::default(),
            ids: Ids::new(feed.clone()),
            feed,
            budget: Arc::default(),
            patterns: Mutex::default(),
            epoch_seed,
            epochs: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            published: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            last_publish_us: AtomicU64::new(0),
        })
    }

    /// The settings it runs on.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The feed, for waking shards and measuring the backlog.
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

    /// Updates taken in since the start, and duplicates among what was offered.
    pub fn published(&self) -> (u64, u64) {
        (self.published.load(Ordering::Relaxed), self.duplicates.load(Ordering::Relaxed))
    }

    /// Counts an update that was refused. Whoever tells its publisher so does this, as some are refused before they come
    /// here.
    pub fn count_refused(&self, code: ErrorCode) {
        self.refused[code.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Updates refused with this code since the start.
    pub fn refused(&self, code: ErrorCode) -> u64 {
        self.refused[code.index()].load(Ordering::Relaxed)
    }

    /// When a client last published, duplicates included, in µs since the UNIX epoch; `None` before the first.
    pub fn last_publish_us(&self) -> Option<u64> {
        Some(self.last_publish_us.load(Ordering::Relaxed)).filter(|us| *us > 0)
    }

    pub(crate) fn session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// The text of a session's number.
    pub(crate) fn session_name(&self, session: u64) -> Box<str> {
        topic::epoch(!self.epoch_seed, session)
    }

    /// Takes an update in: gives it its `seq`, makes its frame, keeps it and puts it into the feed.
    ///
    /// # Errors
    /// `bad_topic`, `forbidden`, `kind_mismatch`, `too_large` and `limit`, each with a sentence. Nothing was changed then.
    pub fn publish(&self, now: Now, update: &Publication<'_>, by: Publisher) -> Result<Published, Refusal> {
        let name = &*update.topic;
        if let Err(error) = check_topic(name) {
            return Err(refuse(ErrorCode::BadTopic, error.to_string()));
        }
        if by == Publisher::Client && is_reserved(name) {
            return Err(refuse(
                ErrorCode::Forbidden,
                format!("\"{name}\": topics that begin with $ are the broker's own"),
            ));
        }
        loop {
            let topic = self.directory.read().get(name).cloned();
            let topic = match topic {
                Some(topic) => topic,
                None => self.begin(now, update)?,
            };
            if let Some(result) = self.append(now, &topic, update) {
                if self.budget.histories() > self.limits.retain_bytes_max {
                    self.budget.enforce(self.limits.retain_bytes_max);
                }
                if by == Publisher::Client && result.is_ok() {
                    self.last_publish_us.store(now.wall_us, Ordering::Relaxed);
                }
                return result;
            }
            // It ended while we came: let its name go, and begin the next incarnation.
            self.directory.write().remove(&topic);
        }
    }

    /// Makes the topic of a first publish, which is known to succeed but for what `append` checks again.
    pub(crate) fn begin(&self, now: Now, update: &Publication<'_>) -> Result<Arc<Topic>, Refusal> {
        let name = &*update.topic;
        let (fixed, retain) = self.limits.rule(name);
        let kind = match (fixed, update.kind) {
            (Some(fixed), Some(kind)) if !fits(fixed, kind) => return Err(mismatch(name, fixed, kind)),
            (Some(fixed), _) => fixed,
            (None, kind) => kind.unwrap_or(Kind::Event),
        };
        // What would be refused of a first update makes no topic.
        if kind != Kind::Event {
            let bytes = SCRATCH.with_borrow_mut(|(data, _)| {
                data.clear();
                update.data.append_compact(data);
                // What a patch deletes is not in the image.
                match update.kind {
                    Some(Kind::Patch) => Tree::from_json(b"{}").merge_patch(data).bytes(),
                    _ => data.len(),
                }
            });
            check_image(&self.limits, name, kind, bytes)?;
            self.check_images(name, bytes as u64)?;
        }
        let mut names = self.directory.write();
        if let Some(topic) = names.get(name) {
            return Ok(topic.clone());
        }
        if names.len() as u64 >= self.limits.topics_max && !is_reserved(name) {
            let max = self.limits.topics_max;
            return Err(refuse(
                ErrorCode::Limit,
                format!("\"{name}\" would be one topic more than topics_max ({max})"),
            ));
        }
        let epoch = topic::epoch(self.epoch_seed, self.epochs.fetch_add(1, Ordering::Relaxed));
        let all = self.feed.all_shards();
        let topic = Arc::new(Topic::new(Birth {
            id: self.ids.take(),
            name,
            epoch,
            kind,
            retain,
            interest: all,
            budget: self.budget.clone(),
        }));
        let frame = begins_frame(&topic, 0);
        names.insert(topic.clone());
        // Under the directory's lock: nobody can publish to it, or miss it in the directory, before its beginning is in
        // the feed.
        let begun = self.feed.append(Draft {
            topic: topic.id(),
            seq: 0,
            oldest: 1,
            interest: all,
            taken_us: now.mono_us,
            what: What::Begins(topic.clone()),
            frame,
        });
        topic.begun_bytes.store(begun.end_bytes, Ordering::Release);
        drop(names);
        self.feed.wake_all(all);
        Ok(topic)
    }

    /// `None` where the topic ended.
    fn append(&self, now: Now, topic: &Arc<Topic>, update: &Publication<'_>) -> Option<Result<Published, Refusal>> {
        let kind = update.kind.unwrap_or(match topic.kind() {
            Kind::Patch => Kind::State,
            own => own,
        });
        if !fits(topic.kind(), kind) {
            return Some(Err(mismatch(topic.name(), topic.kind(), kind)));
        }
        SCRATCH.with_borrow_mut(|(data, payload)| {
            data.clear();
            payload.clear();
            update.data.append_compact(data);
            let result = self.append_compact(now, topic, update, kind, data, payload);
            if data.capacity() + payload.capacity() > SCRATCH_BYTES_KEPT {
                (*data, *payload) = (Vec::new(), Vec::new());
            }
            result
        })
    }

    fn append_compact(
        &self,
        now: Now,
        topic: &Arc<Topic>,
        update: &Publication<'_>,
        kind: Kind,
        data: &[u8],
        payload: &mut Vec<u8>,
    ) -> Option<Result<Published, Refusal>> {
        let mut state = topic.lock();
        if state.closed {
            return None;
        }
        if let Some((source, source_seq)) = &update.source
            && state.is_duplicate(source, *source_seq)
        {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            return Some(Ok(Published { topic: topic.clone(), seq: state.seq(), duplicate: true }));
        }
        let image = match kind {
            Kind::Event => None,
            Kind::State => Some(Tree::from_json(data)),
            Kind::Patch => Some(match &state.image {
                Some(tree) => tree.merge_patch(data),
                None => Tree::from_json(b"{}").merge_patch(data),
            }),
        };
        if let Some(tree) = &image {
            if let Err(refusal) = check_image(&self.limits, topic.name(), kind, tree.bytes()) {
                return Some(Err(refusal));
            }
            let grows = (tree.held_bytes() as u64).saturating_sub(state.counted_image);
            if let Err(refusal) = self.check_images(topic.name(), grows) {
                return Some(Err(refusal));
            }
        }
        if let Some((source, source_seq)) = &update.source {
            state.remember(source, *source_seq);
        }
        let seq = state.seq() + 1;
        message::update(payload, kind, topic.name(), seq, None, now.wall_us, update.source_ts, |out| {
            out.extend_from_slice(data);
        });
        let frame = Frame::text(payload);
        if image.is_some() {
            state.set_image(image);
        }
        state.has_patches |= kind == Kind::Patch;
        state.last_ts = now.wall_us;
        state.last_source_ts = update.source_ts;
        let interest = state.interest;
        let ordinal = if interest == 0 {
            self.feed.pass()
        } else {
            let oldest = state.history.oldest();
            let appended = self.feed.append(Draft {
                topic: topic.id(),
                seq,
                oldest,
                interest,
                taken_us: now.mono_us,
                what: What::Update,
                frame: frame.clone(),
            });
            appended.ordinal
        };
        state.history.push(ordinal, now.wall_us, frame);
        state.history.trim(topic.retain(), now.wall_us);
        self.budget.count(topic, &mut state);
        drop(state);
        self.published.fetch_add(1, Ordering::Relaxed);
        self.feed.wake_all(interest);
        Some(Ok(Published { topic: topic.clone(), seq, duplicate: false }))
    }

    fn check_images(&self, name: &str, grows: u64) -> Result<(), Refusal> {
        let max = self.limits.images_bytes_max;
        if grows > 0 && self.budget.images() + grows > max {
            let message = format!("\"{name}\": all images together would exceed {max} bytes (images_bytes_max)");
            return Err(refuse(ErrorCode::Limit, message));
        }
        Ok(())
    }

    /// Ends a topic: its subscribers get `closed` after what they still lack.
    ///
    /// # Errors
    /// `bad_topic`, `forbidden`, and `not_found` where there is none of this name.
    pub fn delete(&self, now: Now, name: &str, by: Publisher) -> Result<Published, Refusal> {
        if let Err(error) = check_topic(name) {
            return Err(refuse(ErrorCode::BadTopic, error.to_string()));
        }
        if by == Publisher::Client && is_reserved(name) {
            return Err(refuse(
                ErrorCode::Forbidden,
                format!("\"{name}\": topics that begin with $ are the broker's own"),
            ));
        }
        let topic = self.directory.read().get(name).cloned();
        topic
            .and_then(|topic| self.end(now, &topic))
            .ok_or_else(|| refuse(ErrorCode::NotFound, format!("there is no topic \"{name}\"")))
    }

    fn end(&self, now: Now, topic: &Arc<Topic>) -> Option<Published> {
        let mut state = topic.lock();
        if state.closed {
            return None;
        }
        state.closed = true;
        let (seq, interest) = (state.seq(), state.interest);
        let mut payload = Vec::new();
        message::closed(&mut payload, topic.name());
        if interest != 0 {
            let appended = self.feed.append(Draft {
                topic: topic.id(),
                seq: seq + 1,
                oldest: state.history.oldest(),
                interest,
                taken_us: now.mono_us,
                what: What::Closed,
                frame: Frame::text(&payload),
            });
            state.closed_to = Some((interest, appended.end_bytes));
        }
        drop(state);
        self.directory.write().remove(topic);
        self.feed.wake_all(interest);
        Some(Published { topic: topic.clone(), seq, duplicate: false })
    }

    /// Looks at `count` topics after `after`: drops updates that are too old, and ends topics that were idle too long.
    /// Returns the name to go on from, or `None` at the end.
    pub fn tidy(&self, now: Now, after: Option<&str>, count: usize) -> Option<Arc<str>> {
        let mut at: Option<Arc<str>> = after.map(Into::into);
        for _ in 0..count {
            let topic = self.directory.read().next(at.as_deref()).cloned()?;
            at = Some(topic.name().clone());
            let mut state = topic.lock();
            if topic.retain().ms > 0 {
                state.history.trim(topic.retain(), now.wall_us);
                self.budget.count(&topic, &mut state);
            }
            let idle_us = now.wall_us.saturating_sub(state.last_ts);
            drop(state);
            let idle_max = self.limits.topic_idle_ms;
            if idle_max > 0 && idle_us > idle_max * 1000 && !is_reserved(topic.name()) {
                self.end(now, &topic);
            }
        }
        at
    }

    /// Whether publishers may go on, or have to wait for the slowest shard.
    pub fn has_room(&self) -> bool {
        self.feed.has_room()
    }

    /// Changes how many connections are subscribed to a pattern.
    pub(crate) fn count_pattern(&self, pattern: &Pattern, add: i64) {
        let mut patterns = self.patterns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let count = patterns.entry(pattern, || 0);
        *count = count.saturating_add_signed(add);
        if *count == 0 {
            patterns.remove(pattern);
        }
    }
}

/// Whether an update of `kind` may go to a topic that began with `own`.
fn fits(own: Kind, kind: Kind) -> bool {
    (own == Kind::Event) == (kind == Kind::Event)
}

fn mismatch(name: &str, own: Kind, kind: Kind) -> Refusal {
    let (own, kind) = (own.as_str(), kind.as_str());
    refuse(ErrorCode::KindMismatch, format!("\"{name}\" is of kind {own}, which does not mix with {kind}"))
}

fn check_image(limits: &Limits, name: &str, kind: Kind, bytes: usize) -> Result<(), Refusal> {
    if kind != Kind::Event && bytes as u64 > limits.image_bytes {
        let max = limits.image_bytes;
        return Err(refuse(
            ErrorCode::TooLarge,
            format!("the image of \"{name}\" would have {bytes} bytes, at most {max} (image_bytes) are taken"),
        ));
    }
    Ok(())
}

/// The `topic` message of a topic that begins, as those get it who were there before it.
pub(crate) fn begins_frame(topic: &Topic, conflate_ms: u32) -> Frame {
    let mut payload = Vec::new();
    message::topic(
        &mut payload,
        &TopicStart {
            topic: topic.name(),
            kind: Some(topic.kind()),
            epoch: Some(topic.epoch()),
            seq: 0,
            oldest: 1,
            start: Start::Live,
            conflate_ms,
        },
    );
    Frame::text(&payload)
}
