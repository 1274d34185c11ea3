//! Applying a publish: an update gets its `seq`, becomes a frame once, changes the image, and is added to the history
//! and the feed.
//!
//! A publish that is refused changes nothing. So a topic and its first update are created in one step: everything that
//! could be refused is checked and reserved before the topic is in the directory.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use broker_protocol::codes::ErrorCode;
use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::message;
use broker_protocol::request::{Publication, Refusal};
use broker_protocol::topic::is_reserved;

use super::apply::At;
use super::{Engine, begins_frame, refuse};
use crate::budget::Counted;
use crate::epoch::epoch;
use crate::fault::{self, Fault};
use crate::feed::{Draft, EntryKind, ShardSet};
use crate::image::Tree;
use crate::outcome::{Outcome, Published};
use crate::sources::source_bytes;
use crate::topic::{NewTopic, Topic, TopicState};

thread_local! {
    /// The update's compacted data and its frame, before both are shared: one allocation per update instead of three.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Scratch buffers that a rare huge update made larger than this are freed.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

/// An update whose kind is decided.
struct Offer<'a> {
    update: &'a Publication<'a>,
    kind: Kind,
    /// `data` without white space.
    data: &'a [u8],
}

impl Engine {
    /// Applies an update: assigns its `seq`, makes its frame, keeps it in the history and appends it to the feed.
    pub(super) fn apply_publish(&self, at: At, update: &Publication<'_>) -> Result<Outcome, Refusal> {
        SCRATCH.with_borrow_mut(|(data, scratch)| {
            data.clear();
            update.data.append_compact(data);
            let result = loop {
                let topic = self.directory.read().get(&update.topic).cloned();
                let result = match &topic {
                    Some(topic) => self.append(at, topic, update, data, scratch),
                    None => self.begin(at, update, data, scratch),
                };
                if let Some(result) = result {
                    break result;
                }
                // The topic ended in between: free its name and begin the next incarnation. Or another thread began it:
                // publish to it.
                topic.iter().for_each(|topic| self.retire(topic));
            };
            if data.capacity() + scratch.capacity() > SCRATCH_BYTES_KEPT {
                (*data, *scratch) = (Vec::new(), Vec::new());
            }
            let outcome = result?;
            self.budget.fit_histories(self.limits.retain_bytes_max());
            Ok(outcome)
        })
    }

    /// Begins a topic with its first update. `None` if another thread has begun it in between, or if the rules for topics
    /// have changed: whoever changes them looks for the topics that began under the old ones only once.
    fn begin(
        &self,
        at: At,
        update: &Publication<'_>,
        data: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<Result<Outcome, Refusal>> {
        let name = &*update.topic;
        let rules = self.limits.rules();
        let (fixed, retain) = rules.of(name);
        let fixed = self.journal.as_ref().map_or(fixed, |journal| journal.rules.kind_of(name));
        let kind = match self.first_kind(name, fixed, update.kind) {
            Ok(kind) => kind,
            Err(refusal) => return Some(Err(refusal)),
        };
        let offer = Offer { update, kind, data };
        let image = (kind == Kind::State).then(|| Tree::from_json(data));
        if let Err(refusal) = self.check_image(name, image.as_ref()) {
            return Some(Err(refusal));
        }
        let frame = offer.frame(1, at.ts_us, scratch);
        let mut names = self.directory.write();
        if names.get(name).is_some() || !self.limits.are_in_force(&rules) {
            return None;
        }
        if at.is_bounded() && names.len() as u64 >= self.limits.topics_max() && !is_reserved(name) {
            let max = self.limits.topics_max();
            let message = format!("\"{name}\" would exceed topics_max ({max})");
            return Some(Err(refuse(ErrorCode::Limit, message)));
        }
        let mut counted = Counted::default();
        if let Err(refusal) = self.reserve(at, &mut counted, &offer, None, image.as_ref()) {
            return Some(Err(refusal));
        }
        let all = if self.is_reading() { 0 } else { self.feed.all_shards() };
        let topic = Arc::new(Topic::new(NewTopic {
            id: self.ids.take(),
            name,
            epoch: self.epoch(at),
            kind,
            retain,
            interest: all,
            budget: self.budget.clone(),
        }));
        // No other thread knows the topic yet: nobody ever waits for this lock, whatever other locks are held.
        let mut state = topic.lock();
        state.counted = counted;
        state.place = at.place.unwrap_or_default();
        if at.place.is_some() {
            self.sums.begin();
        }
        names.insert(topic.clone());
        // Under the directory's lock: until its beginning is in the feed, nobody can publish to it or miss it in the
        // directory, and it is never seen without its first update.
        let begun_bytes = if all == 0 {
            self.number_early()
        } else {
            let begun = self.feed.append(Draft {
                topic: topic.id(),
                place: at.place,
                seq: 0,
                oldest: 1,
                interest: all,
                taken_us: at.mono_us,
                kind: EntryKind::Begins(topic.clone()),
                frame: begins_frame(&topic, 0),
            });
            begun.end_bytes
        };
        topic.begun_bytes.store(begun_bytes, Ordering::Release);
        if fault::strikes(Fault::BeginningWithoutUpdate) {
            return Some(Ok(Published { topic: topic.clone(), seq: 1, duplicate: false }.into()));
        }
        self.take(at, &topic, &mut state, &offer, image, frame);
        drop(state);
        drop(names);
        self.feed.wake_all(all);
        Some(Ok(Published { topic, seq: 1, duplicate: false }.into()))
    }

    /// Makes the epoch of a topic that begins.
    fn epoch(&self, at: At) -> Box<str> {
        let counted = || self.epochs.fetch_add(1, Ordering::Relaxed);
        let nonce = self.journal.as_ref().map_or(self.seed, |journal| journal.nonce);
        match at.place.filter(|_| !fault::strikes(Fault::EpochFromCounter)) {
            Some(place) => epoch(nonce, place),
            None => epoch(self.seed, counted()),
        }
    }

    /// Returns the kind of a topic that begins with an update of `given` kind.
    fn first_kind(&self, name: &str, fixed: Option<Kind>, given: Option<Kind>) -> Result<Kind, Refusal> {
        match (fixed, given) {
            (Some(fixed), Some(given)) if !fits(fixed, given) => Err(mismatch(name, fixed, given)),
            (_, Some(Kind::Patch)) => Err(no_state(name)),
            (Some(fixed), _) => Ok(fixed),
            (None, given) => Ok(given.unwrap_or(Kind::Event)),
        }
    }

    /// Publishes to a topic. `None` if it has ended.
    fn append(
        &self,
        at: At,
        topic: &Arc<Topic>,
        update: &Publication<'_>,
        data: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<Result<Outcome, Refusal>> {
        let kind = update.kind.unwrap_or(topic.kind());
        if !fits(topic.kind(), kind) {
            return Some(Err(mismatch(topic.name(), topic.kind(), kind)));
        }
        let offer = Offer { update, kind, data };
        let mut guard = topic.lock();
        let state = &mut *guard;
        if state.closed {
            return None;
        }
        if !state.advance(at.place) {
            return Some(Ok(Outcome::Skipped));
        }
        if let Some((source, source_seq)) = &update.source
            && state.sources.is_duplicate(source, *source_seq)
        {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            return Some(Ok(Published { topic: topic.clone(), seq: state.seq(), duplicate: true }.into()));
        }
        let image = match (kind, &state.image) {
            (Kind::Event, _) => None,
            (Kind::State, _) => Some(Tree::from_json(data)),
            (Kind::Patch, Some(tree)) => Some(tree.merge_patch(data)),
            (Kind::Patch, None) => return Some(Err(no_state(topic.name()))),
        };
        let sources = update.source.as_ref().map(|(source, _)| state.sources.bytes_with(source));
        let reserved = self.check_image(topic.name(), image.as_ref());
        let reserved = reserved.and_then(|()| self.reserve(at, &mut state.counted, &offer, sources, image.as_ref()));
        if let Err(refusal) = reserved {
            return Some(Err(refusal));
        }
        let seq = state.seq() + 1;
        let frame = offer.frame(seq, at.ts_us.max(state.last_ts), scratch);
        let interest = self.take(at, topic, state, &offer, image, frame);
        drop(guard);
        self.feed.wake_all(interest);
        Some(Ok(Published { topic: topic.clone(), seq, duplicate: false }.into()))
    }

    /// Makes an update, for which everything is reserved, the topic's newest. Returns the shards to wake.
    fn take(
        &self,
        at: At,
        topic: &Arc<Topic>,
        state: &mut TopicState,
        offer: &Offer<'_>,
        image: Option<Tree>,
        frame: Frame,
    ) -> ShardSet {
        if let Some((source, source_seq)) = &offer.update.source {
            state.sources.remember(source, *source_seq);
        }
        let seq = state.seq() + 1;
        if image.is_some() {
            if at.place.is_some() {
                self.sums.change(state.image.as_ref(), image.as_ref());
            }
            state.set_image(image);
            self.budget.count_encoded(topic, state);
        }
        state.has_patches |= offer.kind == Kind::Patch;
        state.last_ts = at.ts_us.max(state.last_ts);
        state.last_mono_us = at.mono_us;
        state.last_source_ts = offer.update.source_ts;
        let interest = state.interest;
        let place = at.place.map(|place| place + 1);
        let ordinal = if interest == 0 {
            self.feed.assign_ordinal(place)
        } else {
            let oldest = state.history.oldest();
            let appended = self.feed.append(Draft {
                topic: topic.id(),
                place,
                seq,
                oldest,
                interest,
                taken_us: at.mono_us,
                kind: EntryKind::Update,
                frame: frame.clone(),
            });
            appended.ordinal
        };
        state.history.push(ordinal, at.mono_us, frame);
        state.history.trim(&state.retain, at.mono_us);
        self.budget.count_history(topic, state);
        self.published.fetch_add(1, Ordering::Relaxed);
        interest
    }

    fn check_image(&self, name: &str, image: Option<&Tree>) -> Result<(), Refusal> {
        let (bytes, max) = (image.map_or(0, Tree::bytes), self.image_bytes());
        if bytes as u64 <= max {
            return Ok(());
        }
        let message =
            format!("the image of \"{name}\" would have {bytes} bytes; at most {max} are allowed (image_bytes)");
        Err(refuse(ErrorCode::TooLarge, message))
    }

    /// Counts what the update adds to the sums, or nothing if one of them would be exceeded and may refuse it. `sources`
    /// is what the topic's sources hold including the update's.
    fn reserve(
        &self,
        at: At,
        counted: &mut Counted,
        offer: &Offer<'_>,
        sources: Option<u64>,
        image: Option<&Tree>,
    ) -> Result<(), Refusal> {
        let name = &*offer.update.topic;
        let bound = |max: u64| if at.is_bounded() { max } else { u64::MAX };
        let (sources_max, images_max) = (bound(self.limits.sources_bytes_max()), bound(self.limits.images_bytes_max()));
        let old = counted.sources;
        if let Some(bytes) = sources.or_else(|| offer.first_source_bytes())
            && !self.budget.change_sources(counted, bytes, sources_max)
        {
            let message =
                format!("\"{name}\": all sources together would exceed {sources_max} bytes (sources_bytes_max)");
            return Err(refuse(ErrorCode::Limit, message));
        }
        if let Some(tree) = image
            && !self.budget.change_image(counted, tree.held_bytes() as u64, images_max)
        {
            self.budget.change_sources(counted, old, u64::MAX);
            let message = format!("\"{name}\": all images together would exceed {images_max} bytes (images_bytes_max)");
            return Err(refuse(ErrorCode::Limit, message));
        }
        Ok(())
    }
}

impl Offer<'_> {
    /// The update's frame as its subscribers get it.
    fn frame(&self, seq: u64, ts: u64, scratch: &mut Vec<u8>) -> Frame {
        let (topic, source_ts) = (&*self.update.topic, self.update.source_ts);
        Frame::encode(scratch, |out| {
            message::update(out, self.kind, topic, seq, None, ts, source_ts, |out| out.extend_from_slice(self.data));
        })
    }

    fn first_source_bytes(&self) -> Option<u64> {
        self.update.source.as_ref().map(|(source, _)| source_bytes(source))
    }
}

/// Whether an update of `kind` may be published to a topic of kind `own`.
fn fits(own: Kind, kind: Kind) -> bool {
    (own == Kind::Event) == (kind == Kind::Event)
}

fn mismatch(name: &str, own: Kind, kind: Kind) -> Refusal {
    let wanted = if own == Kind::Event { "\"event\"" } else { "\"state\" or \"patch\"" };
    let (own, kind) = (own.as_str(), kind.as_str());
    let message = format!(
        "\"{name}\" is of kind {own}, which {kind} does not mix with: publish with \"kind\":{wanted}, or end the topic \
         (DELETE) and start it again"
    );
    refuse(ErrorCode::KindMismatch, message)
}

fn no_state(name: &str) -> Refusal {
    let message = format!(
        "\"{name}\" has no state to patch: publish the whole state with \"kind\":\"state\" first ({{}} is \
         one)"
    );
    refuse(ErrorCode::NoState, message)
}
