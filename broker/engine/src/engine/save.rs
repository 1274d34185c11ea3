//! Saving all topics for a checkpoint, in portions, while commands are applied.
//!
//! Each topic is copied under its own lock, with the place of its last command. So the topics of one checkpoint are of
//! different moments, and whoever restores it skips the commands that a topic has had already. A topic that ends during
//! the walk would be missing without a trace, and a command for it that is applied again would be judged without it: the
//! names that ended are part of the checkpoint, each with the place of its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker_protocol::kind::Kind;
use broker_protocol::topic::is_reserved;

use super::Engine;
use super::places::Places;
use crate::clock::Now;
use crate::fault::{self, Fault};
use crate::image::Tree;
use crate::sync::{Mutex, lock};
use crate::topic::Topic;

/// A topic as a checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its epoch.
    pub epoch: Box<str>,
    /// The kind of its first update.
    pub kind: Kind,
    /// Its newest `seq`.
    pub seq: u64,
    /// The place of its last command.
    pub place: u64,
    /// When its newest update was taken in, in µs since the UNIX epoch.
    pub last_ts: u64,
    /// How long before it was saved that was, in µs.
    pub age_us: u64,
    /// The time that the producer of its newest update gave.
    pub last_source_ts: Option<u64>,
    /// Whether any of its updates was a patch.
    pub has_patches: bool,
    /// Its state as compact JSON.
    pub image: Option<Vec<u8>>,
    /// Its sources, each with its last number; the one that was used last comes last.
    pub sources: Vec<(Box<str>, u64)>,
    /// The ordinal of its newest update that is no longer retained; 0 if all are.
    pub dropped_ordinal: u64,
    /// Its retained updates, oldest first.
    pub updates: Vec<SavedUpdate>,
}

/// A retained update as a checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedUpdate {
    /// Its number among the updates of all topics.
    pub ordinal: u64,
    /// How long before it was saved it was taken in, in µs.
    pub age_us: u64,
    /// The message that its subscribers got.
    pub message: Vec<u8>,
}

/// What happened during a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meanwhile {
    /// The names of the topics that ended, in byte order, each with the place of its last end.
    pub ended: Vec<(Box<str>, u64)>,
    /// The places at which there was no room for what programs published to the log themselves.
    pub refused: Places,
}

/// The same while the walk is under way.
#[derive(Default)]
struct Walking {
    ended: BTreeMap<Box<str>, u64>,
    refused: Places,
}

/// The walk that is under way, if one is.
#[derive(Default)]
pub(super) struct Saving(Mutex<Option<Walking>>);

impl Saving {
    /// Notes that the command at this place ended a topic.
    pub(super) fn note_end(&self, place: Option<u64>, name: &str) {
        if fault::strikes(Fault::EndsForgotten) {
            return;
        }
        if let (Some(place), Some(walking)) = (place, &mut *lock(&self.0)) {
            walking.ended.insert(name.into(), place);
        }
    }

    /// Notes that there was no room for what a program published at this place.
    pub(super) fn note_refused(&self, place: u64) {
        if let Some(walking) = &mut *lock(&self.0) {
            walking.refused.add(place);
        }
    }
}

impl Engine {
    /// Begins a walk over all topics that saves them. Another one that is under way has to begin anew.
    pub fn begin_saving(&self) {
        *lock(&self.saving.0) = Some(Walking::default());
    }

    /// Saves the topics after this name, until they fill `bytes_max`, and at least one. Returns them, and the name to
    /// continue from; `None` at the end. The broker's own topics are not saved.
    pub fn save_topics(&self, now: Now, after: Option<&str>, bytes_max: usize) -> (Vec<SavedTopic>, Option<Arc<str>>) {
        let (mut saved, mut bytes) = (Vec::new(), 0);
        let mut at: Option<Arc<str>> = after.map(Into::into);
        while bytes < bytes_max {
            let Some(topic) = self.directory.read().next(at.as_deref()).cloned() else { return (saved, None) };
            at = Some(topic.name().clone());
            if !is_reserved(topic.name())
                && let Some(topic) = save(now, &topic)
            {
                bytes += topic.bytes();
                saved.push(topic);
            }
        }
        (saved, at)
    }

    /// Ends the walk. Returns what happened meanwhile.
    pub fn end_saving(&self) -> Meanwhile {
        let Walking { ended, refused } = lock(&self.saving.0).take().unwrap_or_default();
        Meanwhile { ended: ended.into_iter().collect(), refused }
    }
}

/// Copies a topic; `None` if it has ended.
fn save(now: Now, topic: &Arc<Topic>) -> Option<SavedTopic> {
    let state = topic.lock();
    if state.closed {
        return None;
    }
    let age_us = |taken_us: u64| now.mono_us.saturating_sub(taken_us);
    let updates = state.history.since(0).map(|kept| SavedUpdate {
        ordinal: kept.ordinal,
        age_us: age_us(kept.taken_us),
        message: kept.frame.payload().to_vec(),
    });
    Some(SavedTopic {
        name: topic.name().clone(),
        epoch: topic.epoch().into(),
        kind: topic.kind(),
        seq: state.seq(),
        place: state.place,
        last_ts: state.last_ts,
        age_us: age_us(state.last_mono_us),
        last_source_ts: state.last_source_ts,
        has_patches: state.has_patches,
        image: state.image.as_ref().map(encoded),
        sources: state.sources.all().to_vec(),
        dropped_ordinal: state.history.dropped_ordinal(),
        updates: updates.collect(),
    })
}

fn encoded(image: &Tree) -> Vec<u8> {
    let mut text = Vec::new();
    image.encode(&mut text);
    text
}

impl SavedTopic {
    /// Roughly what it takes, in bytes.
    fn bytes(&self) -> usize {
        let updates: usize = self.updates.iter().map(|update| update.message.len() + 16).sum();
        let sources: usize = self.sources.iter().map(|(name, _)| name.len() + 8).sum();
        self.name.len() + self.image.as_ref().map_or(0, Vec::len) + updates + sources + 64
    }
}
