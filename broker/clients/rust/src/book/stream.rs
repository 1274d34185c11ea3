//! The messages of topics' streams: each is checked, and goes to the subscriptions that cover its topic.

use super::Book;
use super::topic::Addressed;
use crate::continuity::Asked;
use crate::event::{Event, Start, TopicStart};
use crate::shared::{Count, Shared};
use crate::wire::incoming::Incoming;
use crate::{Data, Kind};

impl Book {
    /// Handles an update, image or gap of a topic, or its end.
    pub(super) fn stream(&mut self, message: Incoming<'_>, shared: &Shared, addressed: &mut Addressed) {
        let Book { topics, subscriptions, .. } = self;
        let coverage = &subscriptions.coverage;
        let violation = match message {
            Incoming::Update { patch: false, topic, seq, from, ts, source_ts, data } => topics.take(
                topic,
                Some(from.unwrap_or(seq)),
                |track| track.update(from, seq),
                |topic, track, added| {
                    let from = added.or(from);
                    // A topic that merges patches takes whole states as well.
                    let kind =
                        if matches!(track.kind(), Some(Kind::State | Kind::Patch)) { Kind::State } else { Kind::Event };
                    Event::Update { topic, kind, seq, from, ts, source_ts, data: Data::new(data) }
                },
                || coverage.covering(topic),
                addressed,
            ),
            Incoming::Update { topic, seq, from, ts, source_ts, data, .. } => topics.take(
                topic,
                Some(from.unwrap_or(seq)),
                |track| track.patch(from, seq),
                |topic, _, _| Event::Patch { topic, seq, from, ts, source_ts, data: Data::new(data) },
                || coverage.covering(topic),
                addressed,
            ),
            Incoming::Image { topic, epoch, seq, ts, source_ts, data } => topics.take(
                topic,
                None,
                |track| track.image(epoch, seq),
                |topic, track, _| {
                    let epoch = track.epoch().cloned().unwrap_or_else(|| epoch.into());
                    Event::Image { topic, epoch, seq, ts, source_ts, data: Data::new(data) }
                },
                || coverage.covering(topic),
                addressed,
            ),
            Incoming::Gap { topic, from, to, reason } => topics.take(
                topic,
                Some(from),
                |track| track.gap(from, to),
                |topic, _, added| Event::Gap { topic, from: added.unwrap_or(from), to, reason },
                || coverage.covering(topic),
                addressed,
            ),
            Incoming::Closed { topic } => {
                let violation = topics.take(
                    topic,
                    None,
                    |track| track.closed(),
                    |topic, _, _| Event::Closed { topic },
                    || coverage.covering(topic),
                    addressed,
                );
                // Only a name that is subscribed itself waits for its next publish. A pattern brings in what it finds.
                if !coverage.is_named(topic) {
                    topics.by_name.remove(topic);
                }
                violation
            }
            _ => None,
        };
        if let Some(violation) = violation {
            shared.count(Count::Violations, 1);
            tracing::warn!(%violation, "the broker broke continuity");
        }
    }

    /// Starts a topic's stream.
    pub(super) fn begin(
        &mut self,
        mut start: TopicStart,
        asked: Asked<'_>,
        shared: &Shared,
        addressed: &mut Addressed,
    ) {
        let restoring = !self.is_restored();
        if matches!(asked, Asked::Id) && self.repeats(&start) {
            start.start = Start::Resumed;
        }
        let Book { topics, subscriptions, .. } = self;
        let name = start.topic.clone();
        if !topics.by_name.contains_key(&name) {
            subscriptions.coverage.introduced(&name);
        }
        let covering = || subscriptions.coverage.covering(&name);
        let violation = topics.begin(start, asked, restoring, covering, addressed);
        if let Some(violation) = violation {
            shared.count(Count::Violations, 1);
            tracing::warn!(%violation, topic = %name, "the broker broke continuity");
        }
    }

    /// Whether everything retained of a topic comes although the client has the beginning of it, and wants it only once:
    /// the topic began after the position from which its entry resumed.
    fn repeats(&self, start: &TopicStart) -> bool {
        let name = &*start.topic;
        let pattern = self.subscriptions.coverage.most_specific(name).map(|(pattern, _)| pattern);
        let restored = |entry: &str| self.resume_ids.is_restored(entry);
        let position = self.topics.by_name.get(name).and_then(|topic| topic.track.position());
        start.start == Start::History
            && (restored(name) || pattern.is_some_and(restored))
            && position.is_some_and(|had| {
                Some(&had.epoch) == start.epoch.as_ref() && had.seq <= start.seq && start.oldest <= had.seq + 1
            })
    }
}
