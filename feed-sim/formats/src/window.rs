//! A part of a recording, from a start to a stop.

use std::collections::VecDeque;

use super::images::Images;
use super::moment::{Moment, NoDate};
use feed_player::publication::{BadRecord, Counts, Feed, Origin, Publication, Timed};

/// The updates that are due from the start on and before the stop; its clock is 0 at the start. States and patches from
/// before the start are merged by topic, and go out as states when the window opens, in order of the topics' names.
pub(super) struct Window<F> {
    feed: F,
    start_us: u64,
    stop_us: u64,
    /// Items that were read to find the beginning.
    ahead: VecDeque<Result<Timed, BadRecord>>,
    /// The states of topics before the start that are not published yet.
    images: Images,
    /// The state of one topic, being published.
    pending: VecDeque<Publication>,
    /// The update that opened the window; it goes out after the images.
    first: Option<Timed>,
    state: State,
    /// The updates that were left out, and the images that were made.
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Open,
    Over,
}

/// How many records are read to find the first update, and with it the time of the beginning.
const AHEAD_RECORDS_MAX: usize = 1_000;

impl<F: Feed> Window<F> {
    /// Reads up to the first update, because a feed knows its beginning only then.
    pub(super) fn new(mut feed: F, start: Option<Moment>, stop: Option<Moment>) -> Result<Self, WindowError> {
        let mut ahead = VecDeque::new();
        while ahead.len() < AHEAD_RECORDS_MAX {
            let Some(item) = feed.next() else { break };
            let found = item.is_ok();
            ahead.push_back(item);
            if found {
                break;
            }
        }
        let origin = feed.origin();
        let start_us = start.map_or(Ok(0), |start| start.offset_us(origin, 0))?;
        let stop_us = stop.map_or(Ok(u64::MAX), |stop| stop.offset_us(origin, start_us))?;
        if stop_us <= start_us {
            return Err(WindowError::Empty);
        }
        let (images, pending) = (Images::default(), VecDeque::new());
        let (first, counts) = (None, Counts::default());
        Ok(Window { feed, start_us, stop_us, ahead, images, pending, first, state: State::Before, counts })
    }
}

/// Why a window does not fit its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WindowError {
    #[error("this recording has no such times: give --start and --stop as times after its beginning (90s, 5m)")]
    NoDate,
    #[error("--stop is not after --start, or not after the beginning")]
    Empty,
}

impl From<NoDate> for WindowError {
    fn from(_: NoDate) -> Self {
        WindowError::NoDate
    }
}

impl<F: Feed> Iterator for Window<F> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                self.counts.images += 1;
                return Some(Ok(Timed { due_us: 0, publication }));
            }
            if self.state != State::Before
                && let Some(publications) = self.images.pop()
            {
                self.pending.extend(publications);
                continue;
            }
            if let Some(first) = self.first.take() {
                return Some(Ok(first));
            }
            if self.state == State::Over {
                return None;
            }
            let timed = match self.ahead.pop_front().or_else(|| self.feed.next()) {
                None => {
                    if self.state == State::Before && self.start_us > 0 {
                        tracing::warn!("the recording ends before --start: nothing of it is published");
                        self.images = Images::default();
                    }
                    self.state = State::Over;
                    continue;
                }
                Some(Err(bad)) => return Some(Err(bad)),
                Some(Ok(timed)) => timed,
            };
            if timed.due_us < self.start_us {
                self.counts.left_out += 1;
                self.images.take_in(timed.publication);
            } else if timed.due_us >= self.stop_us {
                self.counts.left_out += 1;
                self.state = State::Over;
            } else {
                let timed = Timed { due_us: timed.due_us - self.start_us, ..timed };
                if self.state == State::Open {
                    return Some(Ok(timed));
                }
                self.state = State::Open;
                self.first = Some(timed);
            }
        }
    }
}

impl<F: Feed> Feed for Window<F> {
    fn counts(&self) -> Counts {
        self.feed.counts() + self.counts
    }

    fn origin(&self) -> Option<Origin> {
        let later = |ns: u64| ns.saturating_add(self.start_us.saturating_mul(1_000));
        self.feed.origin().map(|origin| match origin {
            Origin::Epoch { ns } => Origin::Epoch { ns: later(ns) },
            Origin::Midnight { ns } => Origin::Midnight { ns: later(ns) },
        })
    }
}
