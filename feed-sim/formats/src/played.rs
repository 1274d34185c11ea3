//! The common part of all recordings that are read record by record.

use std::collections::VecDeque;

use super::clock::Clock;
use feed_player::publication::{BadRecord, Counts, Feed, Origin, Publication, Timed};

/// The records of a recording.
pub(super) trait Records: Send {
    /// Reads a record, appends what it publishes, and returns its time in nanoseconds since any fixed moment. `None`
    /// after the last one. A bad record publishes nothing.
    fn read(&mut self, out: &mut VecDeque<Publication>) -> Option<Result<u64, BadRecord>>;

    /// Returns how many gaps the recording itself has, as far as its records show.
    fn venue_gaps(&self) -> u64 {
        0
    }
}

/// The feed of a recording, on a clock that starts at 0.
pub(super) struct Played<R> {
    records: R,
    pending: VecDeque<Publication>,
    clock: Clock,
    now_us: u64,
    read: u64,
    bad: u64,
    over: bool,
}

impl<R: Records> Played<R> {
    pub(super) fn new(records: R) -> Self {
        Played { records, pending: VecDeque::new(), clock: Clock::default(), now_us: 0, read: 0, bad: 0, over: false }
    }
}

impl<R: Records> Iterator for Played<R> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Some(Ok(Timed { due_us: self.now_us, publication }));
            }
            if self.over {
                return None;
            }
            match self.records.read(&mut self.pending) {
                Some(Ok(recorded_ns)) => {
                    self.read += 1;
                    self.now_us = self.clock.advance_us(recorded_ns);
                }
                Some(Err(bad)) => {
                    self.read += 1;
                    self.bad += 1;
                    self.over = bad.ends_recording;
                    return Some(Err(bad));
                }
                None => self.over = true,
            }
        }
    }
}

impl<R: Records> Feed for Played<R> {
    fn counts(&self) -> Counts {
        Counts { records: self.read, bad: self.bad, venue_gaps: self.records.venue_gaps(), ..Counts::default() }
    }

    fn origin(&self) -> Option<Origin> {
        self.clock.origin()
    }
}
