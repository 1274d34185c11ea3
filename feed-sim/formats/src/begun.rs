//! Topics begin with a state.

use std::collections::HashSet;
use std::task::{Context, Poll};

use feed_player::publication::{BadRecord, Counts, Feed, Kind, Origin, Publication, Timed};

/// Publishes an empty state before the first patch of a topic that has no state yet. A broker refuses such a patch. It
/// is the first record of a topic if the recording lacks the beginning, or if the topic's patches build its state from
/// nothing.
pub(super) struct Begun<F> {
    feed: F,
    /// The topics that have a state.
    topics: HashSet<String, foldhash::fast::RandomState>,
    /// The patch that waits behind the state.
    patch: Option<Timed>,
    /// How many empty states were published.
    begun: u64,
}

/// The most topics that are remembered: as many as a broker accepts by default. The first patch of any further topic
/// goes out unchanged, and the broker decides.
const TOPICS_MAX: usize = 1 << 20;

impl<F: Feed> Begun<F> {
    pub(super) fn new(feed: F) -> Self {
        Begun { feed, topics: HashSet::default(), patch: None, begun: 0 }
    }
}

impl<F: Feed> Iterator for Begun<F> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(patch) = self.patch.take() {
            return Some(Ok(patch));
        }
        let next = self.feed.next();
        let Some(Ok(timed)) = &next else { return next };
        let publication = &timed.publication;
        let known = self.topics.len() >= TOPICS_MAX || self.topics.contains(&publication.topic);
        if publication.kind == Kind::Event || known {
            return next;
        }
        self.topics.insert(publication.topic.clone());
        if publication.kind == Kind::State {
            return next;
        }
        self.begun += 1;
        let state = Publication::new(&publication.topic, Kind::State, "{}".to_owned());
        let due_us = timed.due_us;
        self.patch = next.and_then(Result::ok);
        Some(Ok(Timed { due_us, publication: state }))
    }
}

impl<F: Feed> Feed for Begun<F> {
    fn counts(&self) -> Counts {
        self.feed.counts() + Counts { images: self.begun, ..Counts::default() }
    }

    fn faults(&self) -> Option<feed_player::faults::FaultCounts> {
        self.feed.faults()
    }

    fn origin(&self) -> Option<Origin> {
        self.feed.origin()
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.patch.is_some() { Poll::Ready(()) } else { self.feed.poll_ready(context) }
    }
}
