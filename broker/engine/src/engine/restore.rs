//! Restoring topics from a checkpoint, before any client is let in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::frame::Frame;

use super::{Engine, Meanwhile, SavedTopic};
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::feed::FIRST_BYTE;
use crate::history::History;
use crate::image::Tree;
use crate::sources::Sources;
use crate::sync::lock;
use crate::topic::{NewTopic, Topic};

impl Engine {
    /// Makes a topic as it was saved, `since_us` µs ago. Its history keeps what the rules retain by now.
    pub fn restore_topic(&self, now: Now, since_us: u64, saved: &SavedTopic) {
        let rules = self.limits.rules();
        let (_, retain) = rules.of(&saved.name);
        let topic = Arc::new(Topic::new(NewTopic {
            id: self.ids.take(),
            name: &saved.name,
            epoch: saved.epoch.clone(),
            kind: saved.kind,
            retain,
            // No shard follows anything yet, and each asks the directory when it begins to.
            interest: 0,
            budget: self.budget.clone(),
        }));
        let taken_us = |age_us: u64| now.mono_us.saturating_sub(age_us.saturating_add(since_us));
        let mut state = topic.lock();
        state.place = saved.place;
        state.last_ts = saved.last_ts;
        state.last_mono_us = taken_us(saved.age_us);
        state.last_source_ts = saved.last_source_ts;
        state.has_patches = saved.has_patches;
        state.image = saved.image.as_deref().map(Tree::from_json);
        state.sources = Sources::restored(saved.sources.clone());
        state.history = History::restored(saved.seq, saved.updates.len() as u64, saved.dropped_ordinal);
        for update in &saved.updates {
            state.history.push(update.ordinal, taken_us(update.age_us), Frame::text(&update.message));
        }
        state.history.trim(&retain, now.mono_us);
        let (image, sources) = (state.image.as_ref().map_or(0, Tree::held_bytes) as u64, state.sources.bytes());
        self.budget.change_image(&mut state.counted, image, u64::MAX);
        self.budget.change_sources(&mut state.counted, sources, u64::MAX);
        self.budget.count_history(&topic, &mut state);
        self.sums.begin();
        self.sums.change(None, state.image.as_ref());
        drop(state);
        topic.begun_bytes.store(self.number_early(), Ordering::Release);
        self.directory.write().insert(topic);
        self.budget.fit_histories(self.limits.retain_bytes_max());
    }

    /// A number for a topic that is made when no shard follows anything yet: a byte of its own before the feed's first,
    /// so that every shard has read its beginning.
    pub(super) fn number_early(&self) -> u64 {
        // If there were ever as many, the last ones would share it, and a `reset` could be missed by a shard that held
        // two lives of one name; but a log of four billion beginnings takes an hour to read.
        (self.made_early.fetch_add(1, Ordering::Relaxed) + 1).min(FIRST_BYTE)
    }

    /// Whether the log is still being read.
    pub(super) fn is_reading(&self) -> bool {
        self.is_reading.load(Ordering::Acquire)
    }

    /// The log is read: shards may follow topics.
    pub fn end_reading(&self) {
        self.is_reading.store(false, Ordering::Release);
    }

    /// Goes by what happened while the checkpoint was written, until [`Engine::end_restoring`]: skips the commands for the
    /// names that ended up to the places of their last ends, and refuses programs what they were refused. Called when all
    /// topics are restored: one that was saved before it ended goes on from there, and ends again.
    pub fn restore_meanwhile(&self, meanwhile: Meanwhile) {
        let Meanwhile { ended, refused } = meanwhile;
        let names = self.directory.read();
        let skipping: BTreeMap<_, _> = ended.into_iter().filter(|(name, _)| names.get(name).is_none()).collect();
        self.is_skipping.store(!skipping.is_empty(), Ordering::Release);
        *lock(&self.skipping) = skipping;
        *lock(&self.refused_before) = Some(refused);
    }

    /// Ends restoring: the last command that was applied before the checkpoint was complete is applied here, too.
    pub fn end_restoring(&self) {
        lock(&self.skipping).clear();
        self.is_skipping.store(false, Ordering::Release);
        *lock(&self.refused_before) = None;
    }

    /// Whether a topic of this name ended at this place or a later one before the checkpoint was complete.
    pub(super) fn has_ended_by(&self, name: &str, place: u64) -> bool {
        // Only while a checkpoint is being caught up with.
        !fault::planted(Fault::PlaceIgnored)
            && self.is_skipping.load(Ordering::Acquire)
            && lock(&self.skipping).get(name).is_some_and(|ended| place <= *ended)
    }
}
