//! What the broker may hold in total, and who pays when a sum exceeds its bound.
//!
//! Every byte that a client can make the broker hold is counted in one of these sums. A sum either refuses what would
//! exceed it (images, sources, names, subscriptions), or its largest holder gives something up: a topic drops the older
//! half of its history or its encoded image, a connection is closed (see `shard/payers.rs`).
//!
//! Topics are filed by size class (powers of two), so that the largest is found without looking at all of them: the one
//! that pays is within a factor of two of the largest. A topic is refiled only when its class changes.

pub(crate) mod largest;
pub(crate) mod shared;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::sync::{Mutex, MutexGuard, lock};
use crate::topic::{Topic, TopicId, TopicState};

/// A sum in bytes, which several threads add to and subtract from.
#[derive(Debug, Default)]
pub struct Total(AtomicU64);

impl Total {
    /// Returns the current sum.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Replaces one holder's share.
    pub(crate) fn change(&self, old: u64, new: u64) {
        if new != old {
            self.0.fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
        }
    }

    /// Replaces one holder's share, unless it grows and the sum would then exceed `max`.
    pub(crate) fn try_change(&self, old: u64, new: u64, max: u64) -> bool {
        if new <= old {
            self.change(old, new);
            return true;
        }
        let grown = |sum: u64| sum.checked_add(new - old).filter(|sum| *sum <= max);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok()
    }
}

/// A sum whose holders are topics, filed so that the largest is found quickly.
#[derive(Default)]
pub(crate) struct BySize {
    total: Total,
    classes: Mutex<Classes>,
}

#[derive(Default)]
struct Classes {
    topics: BTreeMap<TopicId, Weak<Topic>>,
    by_size: BTreeSet<(u32, TopicId)>,
}

/// The power of two that a size is below.
pub(crate) fn class(bytes: u64) -> u32 {
    u64::BITS - bytes.leading_zeros()
}

impl BySize {
    fn classes(&self) -> MutexGuard<'_, Classes> {
        lock(&self.classes)
    }

    /// Changes a topic's share from `*counted` to `bytes` and updates `*counted`; called under the topic's lock.
    fn count(&self, topic: &Arc<Topic>, counted: &mut u64, bytes: u64) {
        if bytes == *counted {
            return;
        }
        self.total.change(*counted, bytes);
        if class(bytes) != class(*counted) {
            let mut classes = self.classes();
            classes.by_size.remove(&(class(*counted), topic.id()));
            if bytes > 0 {
                classes.by_size.insert((class(bytes), topic.id()));
                classes.topics.entry(topic.id()).or_insert_with(|| Arc::downgrade(topic));
            } else {
                classes.topics.remove(&topic.id());
            }
        }
        *counted = bytes;
    }

    /// Removes a topic's share.
    fn forget(&self, topic: TopicId, counted: &mut u64) {
        if *counted > 0 {
            self.total.sub(*counted);
            let mut classes = self.classes();
            classes.by_size.remove(&(class(*counted), topic));
            classes.topics.remove(&topic);
        }
        *counted = 0;
    }

    /// Returns a topic with about the largest share.
    fn largest(&self) -> Option<Arc<Topic>> {
        let classes = self.classes();
        classes.by_size.last().and_then(|(_, id)| classes.topics.get(id)).and_then(Weak::upgrade)
    }
}

/// How much of a topic is counted in the sums.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) history: u64,
    pub(crate) image: u64,
    pub(crate) encoded: u64,
    pub(crate) sources: u64,
    /// What the topic still holds after its end, for shards and connections that want it.
    pub(crate) ended: u64,
    ended_filed: u64,
}

/// The sums over the whole broker, in bytes.
#[derive(Default)]
pub struct Budget {
    histories: BySize,
    /// Histories that gave up their older half since the start.
    halved: AtomicU64,
    images: Total,
    encoded: BySize,
    sources: Total,
    /// What connections still want from topics.
    pub(crate) wants: Total,
    /// Of these, what is already being dropped.
    pub(crate) discarded: Total,
    /// What ended topics hold for the connections that still want it.
    ended: Total,
    ended_filed: BySize,
    /// Earlier states that differences are computed from.
    pub(crate) bases: Total,
    /// Frames of which connections still hold the unsent rest.
    pub(crate) partial: Total,
    /// Of these, what is held only by connections that are closing.
    pub(crate) partial_leaving: Total,
    /// Unread answers, incomplete messages, unsent Server-Sent Events.
    pub(crate) buffers: Total,
    /// Of these, what is held by connections that are closing.
    pub(crate) buffers_leaving: Total,
    /// Names without a topic that are subscribed to.
    pub(crate) names: Total,
    /// Subscriptions and their patterns.
    pub(crate) subscriptions: Total,
    /// Who published what.
    pub(crate) publishers: Total,
}

impl Budget {
    /// Bytes of all histories.
    pub fn histories(&self) -> u64 {
        self.histories.total.bytes()
    }

    /// Bytes of all images.
    pub fn images(&self) -> u64 {
        self.images.bytes()
    }

    /// Bytes of images that are kept encoded.
    pub fn encoded(&self) -> u64 {
        self.encoded.total.bytes()
    }

    /// Bytes of earlier states that are kept to compute differences from.
    pub fn bases(&self) -> u64 {
        self.bases.bytes()
    }

    /// Bytes of the sources that topics remember.
    pub fn sources(&self) -> u64 {
        self.sources.bytes()
    }

    /// Bytes that ended topics hold for the connections that still want them.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.bytes()
    }

    /// Bytes of what connections still want from topics, and of what ended topics hold for them.
    pub fn behind(&self) -> u64 {
        self.wants.bytes() + self.ended.bytes()
    }

    /// Bytes of frames that were written in part.
    pub fn partial(&self) -> u64 {
        self.partial.bytes()
    }

    /// Bytes of unread answers, incomplete messages and unsent Server-Sent Events.
    pub fn buffers(&self) -> u64 {
        self.buffers.bytes()
    }

    /// Bytes of all these that are already being dropped, or are held by closing connections: nobody else pays for
    /// them.
    pub fn leaving(&self) -> u64 {
        self.discarded.bytes() + self.partial_leaving.bytes() + self.buffers_leaving.bytes()
    }

    /// Bytes of names without a topic that are subscribed to.
    pub fn names(&self) -> u64 {
        self.names.bytes()
    }

    /// Bytes of subscriptions and their patterns.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions.bytes()
    }

    /// Bytes of what is remembered of publishers.
    pub fn publishers(&self) -> u64 {
        self.publishers.bytes()
    }

    /// How often a history was cut to its newer half because all histories together were too large.
    pub fn halved(&self) -> u64 {
        self.halved.load(Ordering::Relaxed)
    }

    /// Counts a topic's history; called under its lock.
    pub(crate) fn count_history(&self, topic: &Arc<Topic>, state: &mut TopicState) {
        if !state.closed {
            self.histories.count(topic, &mut state.counted.history, state.history.bytes());
        }
    }

    /// Counts a topic's encoded image; called under its lock.
    pub(crate) fn count_encoded(&self, topic: &Arc<Topic>, state: &mut TopicState) {
        if state.closed {
            self.count_ended(topic, state);
        } else {
            let bytes = state.encoded_bytes();
            self.encoded.count(topic, &mut state.counted.encoded, bytes);
        }
    }

    /// Counts an image of `bytes` instead of the topic's current one; returns false if the sum would then exceed `max`.
    pub(crate) fn change_image(&self, counted: &mut Counted, bytes: u64, max: u64) -> bool {
        let fits = self.images.try_change(counted.image, bytes, max);
        if fits {
            counted.image = bytes;
        }
        fits
    }

    /// Counts sources of `bytes` instead of the topic's current ones; returns false if the sum would then exceed `max`.
    pub(crate) fn change_sources(&self, counted: &mut Counted, bytes: u64, max: u64) -> bool {
        let fits = self.sources.try_change(counted.sources, bytes, max);
        if fits {
            counted.sources = bytes;
        }
        fits
    }

    /// Counts everything that an ended topic holds as held for the connections that still want it. Called when the
    /// topic ends and whenever it holds something else afterwards.
    pub(crate) fn count_ended(&self, topic: &Arc<Topic>, state: &mut TopicState) {
        self.forget_live(topic.id(), &mut state.counted);
        let bytes = state.held_bytes();
        self.ended.change(state.counted.ended, bytes);
        state.counted.ended = bytes;
        // Only a topic whose end every shard has read may have to give it up early.
        let filed = if state.unread_by == 0 { bytes } else { 0 };
        self.ended_filed.count(topic, &mut state.counted.ended_filed, filed);
    }

    fn forget_live(&self, topic: TopicId, counted: &mut Counted) {
        self.histories.forget(topic, &mut counted.history);
        self.encoded.forget(topic, &mut counted.encoded);
        self.images.sub(std::mem::take(&mut counted.image));
        self.sources.sub(std::mem::take(&mut counted.sources));
    }

    /// Removes a topic that is being dropped from all sums.
    pub(crate) fn forget(&self, topic: TopicId, counted: &mut Counted) {
        self.forget_live(topic, counted);
        self.ended.sub(std::mem::take(&mut counted.ended));
        self.ended_filed.forget(topic, &mut counted.ended_filed);
    }

    /// Drops the older half of the largest histories until all fit `bytes_max` again. Called without any topic's lock.
    pub(crate) fn fit_histories(&self, bytes_max: u64) {
        while self.histories() > bytes_max {
            let Some(topic) = self.histories.largest() else { return };
            let mut state = topic.lock();
            state.history.drop_half();
            self.halved.fetch_add(1, Ordering::Relaxed);
            self.count_history(&topic, &mut state);
        }
    }

    /// Drops the largest encoded images until all fit `bytes_max` again. Called without any topic's lock.
    pub(crate) fn fit_encoded(&self, bytes_max: u64) {
        while self.encoded() > bytes_max {
            let Some(topic) = self.encoded.largest() else { return };
            let mut state = topic.lock();
            state.forget_encoded();
            self.count_encoded(&topic, &mut state);
        }
    }

    /// Drops what the largest ended topics hold until what is wanted fits `bytes_max`, or none of them holds anything.
    /// The connections that wanted it are sent a gap. Called without any topic's lock.
    pub(crate) fn fit_ended(&self, bytes_max: u64) {
        while self.behind().saturating_sub(self.discarded.bytes()) > bytes_max {
            let Some(topic) = self.ended_filed.largest() else { return };
            topic.lock().release(&topic);
        }
    }
}
