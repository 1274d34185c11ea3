//! What all topics together may hold, and who pays when it is too much.
//!
//! Histories are filed by size class (powers of two), so that the topic with the largest is found without looking at all:
//! the one that pays is within a factor of two of it. A topic is filed anew only when its class changes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::topic::{Topic, TopicId, TopicState};

/// Totals over all topics, in bytes.
#[derive(Default)]
pub struct Budget {
    histories: AtomicU64,
    images: AtomicU64,
    /// Histories that gave up their older half since the start.
    halved: AtomicU64,
    classes: Mutex<Classes>,
}

#[derive(Default)]
struct Classes {
    topics: BTreeMap<TopicId, Weak<Topic>>,
    by_size: BTreeSet<(u32, TopicId)>,
}

fn class(bytes: u64) -> u32 {
    u64::BITS - bytes.leading_zeros()
}

impl Budget {
    /// Bytes of all histories.
    pub fn histories(&self) -> u64 {
        self.histories.load(Ordering::Relaxed)
    }

    /// Bytes of all images.
    pub fn images(&self) -> u64 {
        self.images.load(Ordering::Relaxed)
    }

    /// How often a history gave up its older half because all together were too large.
    pub fn halved(&self) -> u64 {
        self.halved.load(Ordering::Relaxed)
    }

    /// Brings the totals up to what the topic holds now; called under its lock.
    pub(crate) fn count(&self, topic: &Arc<Topic>, state: &mut TopicState) {
        let (history, image) = (state.history.bytes(), state.image.as_ref().map_or(0, |tree| tree.held_bytes() as u64));
        let (old_history, old_image) = (state.counted_history, state.counted_image);
        if history != old_history {
            self.histories.fetch_add(history.wrapping_sub(old_history), Ordering::Relaxed);
            state.counted_history = history;
            if class(history) != class(old_history) {
                let mut classes = self.classes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                classes.by_size.remove(&(class(old_history), topic.id()));
                if history > 0 {
                    classes.by_size.insert((class(history), topic.id()));
                    classes.topics.entry(topic.id()).or_insert_with(|| Arc::downgrade(topic));
                } else {
                    classes.topics.remove(&topic.id());
                }
            }
        }
        if image != old_image {
            self.images.fetch_add(image.wrapping_sub(old_image), Ordering::Relaxed);
            state.counted_image = image;
        }
    }

    /// Forgets a topic that is dropped or ended and let go of.
    pub(crate) fn forget(&self, topic: TopicId, state: &mut TopicState) {
        self.histories.fetch_sub(state.counted_history, Ordering::Relaxed);
        self.images.fetch_sub(state.counted_image, Ordering::Relaxed);
        if state.counted_history > 0 {
            let mut classes = self.classes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            classes.by_size.remove(&(class(state.counted_history), topic));
            classes.topics.remove(&topic);
        }
        (state.counted_history, state.counted_image) = (0, 0);
    }

    /// Drops the older half of the largest histories until all fit `bytes_max` again. Called without any topic's lock.
    pub(crate) fn enforce(&self, bytes_max: u64) {
        while self.histories() > bytes_max {
            let largest = {
                let classes = self.classes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                classes.by_size.last().and_then(|(_, id)| classes.topics.get(id)).and_then(Weak::upgrade)
            };
            let Some(topic) = largest else { return };
            let mut state = topic.lock();
            state.history.drop_half();
            self.halved.fetch_add(1, Ordering::Relaxed);
            self.count(&topic, &mut state);
        }
    }
}
