//! Reading topics without subscribing: listings and images in portions, one topic's image, the history.

use std::sync::Arc;

use broker_protocol::frame::Frame;
use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;

use crate::engine::Engine;
use crate::topic::{StateSnapshot, Topic};
use crate::trie::Sum;

/// Nodes of the patterns' trie that together cost about as much as one name of a large directory.
const NODES_PER_STEP: usize = 16;
/// Patterns of permissions that are compared with a name at the cost of one name.
const PATTERNS_PER_STEP: usize = 8;

/// One topic of a listing.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// Its name.
    pub topic: Arc<str>,
    /// The kind of its first publish.
    pub kind: Kind,
    /// Its epoch.
    pub epoch: Box<str>,
    /// Its newest `seq`.
    pub seq: u64,
    /// Its oldest retained `seq`.
    pub oldest: u64,
    /// Subscriptions that cover it, by name and by pattern.
    pub subscribers: u64,
    /// When it was last published, in µs since the UNIX epoch.
    pub last_ts: u64,
}

/// A walk over the topics that a pattern matches, in byte order of their names. It holds no lock between two portions:
/// a topic that begins or ends meanwhile may or may not be met.
#[derive(Debug)]
pub struct Walk {
    pattern: Pattern,
    /// What may be read, if not everything.
    permissions: Option<Arc<Permissions>>,
    at: Option<Arc<str>>,
    /// The topic whose subscribers are being counted.
    counting: Option<(Arc<Topic>, Sum)>,
}

/// The result of one portion of a walk.
#[derive(Debug)]
pub enum Met<T> {
    /// The next item.
    One(T),
    /// The steps were used up before one was found.
    Pause,
    /// There are no more.
    End,
}

/// Which part of a history is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The newest updates, this many.
    Last(u64),
    /// All updates after this `seq`.
    After(u64),
}

/// Retained updates of a topic.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The topic that they belong to.
    pub topic: Arc<Topic>,
    /// Its newest `seq`.
    pub seq: u64,
    /// Its oldest retained `seq`.
    pub oldest: u64,
    /// The first of the updates that were asked for, if any is retained.
    pub first: u64,
}

/// A topic's image that has still to be encoded.
pub struct Image {
    topic: Arc<Topic>,
    snapshot: StateSnapshot,
    /// How much of it may be cached for the next reader.
    encoded_bytes_max: u64,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Image {
    /// The name of its topic.
    pub fn topic(&self) -> &Arc<str> {
        self.topic.name()
    }

    /// Roughly the bytes of the message: what encoding it costs, if it is not cached.
    pub fn bytes(&self) -> usize {
        self.snapshot.tree.bytes()
    }

    /// The `image` message.
    pub fn encode(&self) -> Frame {
        self.topic.image_frame(&self.snapshot, self.encoded_bytes_max)
    }
}

impl Walk {
    /// Creates a walk over the topics that `pattern` matches, after the name `after` if one is given.
    pub fn new(pattern: Pattern, after: Option<&str>) -> Walk {
        Walk { pattern, permissions: None, at: after.map(Into::into), counting: None }
    }

    /// The same, without the topics that these permissions do not allow to be read.
    pub fn permitted(self, permissions: Option<Arc<Permissions>>) -> Walk {
        Walk { permissions, ..self }
    }
}

impl Engine {
    /// Advances to the walk's next topic that may be read. Each name that is looked at takes one of `*steps`.
    fn next_topic(&self, walk: &mut Walk, steps: &mut usize) -> Met<Arc<Topic>> {
        loop {
            let met = self.next_matching(walk, steps);
            let Some(permissions) = &walk.permissions else { return met };
            *steps = steps.saturating_sub(permissions.size() / PATTERNS_PER_STEP);
            match met {
                Met::One(topic) if !permissions.may_read(topic.name()) => {}
                met => return met,
            }
        }
    }

    fn next_matching(&self, walk: &mut Walk, steps: &mut usize) -> Met<Arc<Topic>> {
        if *steps == 0 {
            return Met::Pause;
        }
        *steps -= 1;
        let names = self.directory.read();
        match names.next_match(&walk.pattern, walk.at.as_deref(), steps) {
            Ok(Some(topic)) => {
                walk.at = Some(topic.name().clone());
                Met::One(topic.clone())
            }
            Ok(None) => Met::End,
            Err(name) => {
                walk.at = Some(name);
                Met::Pause
            }
        }
    }

    /// Advances to the walk's next topic, as a listing shows it. Each name that is looked at takes one of `*steps`, and
    /// so do a few nodes of the patterns' trie in which its subscribers are counted.
    pub fn next_row(&self, walk: &mut Walk, steps: &mut usize) -> Met<TopicRow> {
        let (topic, mut sum) = match walk.counting.take() {
            Some(counting) => counting,
            None => match self.next_topic(walk, steps) {
                Met::One(topic) => (topic, Sum::default()),
                Met::Pause => return Met::Pause,
                Met::End => return Met::End,
            },
        };
        let mut nodes = *steps * NODES_PER_STEP;
        let complete = self.patterns.add_up(topic.name(), &mut sum, &mut nodes);
        *steps = nodes / NODES_PER_STEP;
        if !complete {
            walk.counting = Some((topic, sum));
            return Met::Pause;
        }
        let subscribers = u64::from(topic.direct_subscribers()) + sum.value;
        let state = topic.lock();
        Met::One(TopicRow {
            topic: topic.name().clone(),
            kind: topic.kind(),
            epoch: topic.epoch().into(),
            seq: state.seq(),
            oldest: state.history.oldest(),
            subscribers,
            last_ts: state.last_ts,
        })
    }

    /// Advances to the walk's next topic that has an image.
    pub fn next_image(&self, walk: &mut Walk, steps: &mut usize) -> Met<Image> {
        loop {
            match self.next_topic(walk, steps) {
                Met::One(topic) => {
                    if let Some(snapshot) = topic.snapshot() {
                        let encoded_bytes_max = self.limits.images_encoded_bytes_max();
                        return Met::One(Image { topic, snapshot, encoded_bytes_max });
                    }
                }
                Met::Pause => return Met::Pause,
                Met::End => return Met::End,
            }
        }
    }

    /// Returns the image of a topic; `None` if there is no such topic, or it has no image.
    pub fn image(&self, topic: &str) -> Option<Image> {
        let topic = self.directory.read().get(topic).cloned()?;
        let snapshot = topic.snapshot()?;
        Some(Image { topic, snapshot, encoded_bytes_max: self.limits.images_encoded_bytes_max() })
    }

    /// Returns what is retained of a topic; `None` if there is none of this name.
    pub fn history(&self, topic: &str, ask: Ask) -> Option<HistoryPage> {
        let topic = self.directory.read().get(topic).cloned()?;
        let state = topic.lock();
        let (seq, oldest) = (state.seq(), state.history.oldest());
        drop(state);
        let first = match ask {
            Ask::Last(count) => oldest.max((seq + 1).saturating_sub(count)),
            Ask::After(after) => oldest.max(after.saturating_add(1)),
        };
        Some(HistoryPage { topic, seq, oldest, first })
    }
}

impl HistoryPage {
    /// Returns the updates from `from` on, oldest first: up to the page's newest, up to `updates_max` of them, ending
    /// with the first that fills `bytes_max`; and the `seq` of the first of them, which is above `from` if that update
    /// is no longer retained.
    pub fn updates(&self, from: u64, updates_max: usize, bytes_max: usize) -> (u64, Vec<Frame>) {
        let state = self.topic.lock();
        let first = from.max(state.history.oldest());
        let mut bytes = 0;
        let wanted = (self.seq + 1).saturating_sub(first).min(updates_max as u64) as usize;
        let mut updates = Vec::with_capacity(wanted.min(updates_max));
        for kept in state.history.since(first).take(wanted) {
            bytes += kept.frame.len();
            updates.push(kept.frame.clone());
            if bytes >= bytes_max {
                break;
            }
        }
        (first, updates)
    }
}
