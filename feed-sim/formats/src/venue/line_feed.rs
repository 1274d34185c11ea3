//! The feed of a recording in which each line is a record.

use std::collections::VecDeque;

use crate::Reader;
use crate::clock::Clock;
use crate::lines::Lines;
use feed_player::publication::{BadRecord, Counts, Feed, Origin, Publication, Timed};

/// The decoder of a format's lines.
pub(crate) trait Decode: Send {
    /// Appends what a line publishes, and returns when it was recorded, in nanoseconds since any fixed moment; `None`
    /// if the line has no time. An error publishes nothing.
    fn decode(&mut self, line: &[u8], out: &mut VecDeque<Publication>) -> Result<Option<u64>, String>;

    /// Appends what was held back, after the last line.
    fn finish(&mut self, _out: &mut VecDeque<Publication>) {}

    /// Returns how many records were left out because another record contains them.
    fn superseded(&self) -> u64 {
        0
    }

    /// Returns how many gaps the venue's own sequence has.
    fn venue_gaps(&self) -> u64 {
        0
    }
}

/// A recording that is read line by line.
pub(crate) struct LineFeed<D> {
    lines: Lines,
    decoder: D,
    pending: VecDeque<Publication>,
    clock: Clock,
    now_us: u64,
    records: u64,
    bad: u64,
}

impl<D: Decode> LineFeed<D> {
    /// Reads a recording from its beginning.
    pub(crate) fn new(reader: Reader, decoder: D) -> Self {
        let (clock, pending) = (Clock::default(), VecDeque::new());
        LineFeed { lines: Lines::new(reader), decoder, pending, clock, now_us: 0, records: 0, bad: 0 }
    }

    fn read(&mut self) -> Option<Result<(), BadRecord>> {
        let line = self.lines.next()?;
        self.records += 1;
        let result = match line {
            Ok(line) => match self.decoder.decode(line, &mut self.pending) {
                Ok(recorded_ns) => {
                    if let Some(recorded_ns) = recorded_ns {
                        self.now_us = self.clock.advance_us(recorded_ns);
                    }
                    Ok(())
                }
                Err(reason) => Err(self.lines.bad(reason)),
            },
            Err(bad) => Err(bad),
        };
        self.bad += u64::from(result.is_err());
        Some(result)
    }
}

impl<D: Decode> Iterator for LineFeed<D> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(publication) = self.pending.pop_front() {
                return Some(Ok(Timed { due_us: self.now_us, publication }));
            }
            match self.read() {
                Some(Ok(())) => {}
                Some(Err(bad)) => return Some(Err(bad)),
                None => {
                    self.decoder.finish(&mut self.pending);
                    if self.pending.is_empty() {
                        return None;
                    }
                }
            }
        }
    }
}

impl<D: Decode> Feed for LineFeed<D> {
    fn counts(&self) -> Counts {
        let (superseded, venue_gaps) = (self.decoder.superseded(), self.decoder.venue_gaps());
        Counts { records: self.records, bad: self.bad, superseded, venue_gaps, ..Counts::default() }
    }

    fn origin(&self) -> Option<Origin> {
        self.clock.origin()
    }
}
