//! A recording that is played repeatedly.

use std::io;

use feed_player::publication::{BadRecord, Counts, Feed, Origin, Timed};

/// Opens the recording from its beginning.
type Open<F> = Box<dyn FnMut() -> io::Result<F> + Send>;

/// A feed that starts again when it is over. Its clock continues: the first update of a round is due at the same time
/// as the last one of the round before.
pub(super) struct Repeated<F> {
    open: Open<F>,
    feed: F,
    /// How many rounds are played; `None` is endless.
    rounds: Option<u64>,
    /// The current round, from 1.
    round: u64,
    /// The counts of the rounds that are over.
    counts: Counts,
    began_us: u64,
    now_us: u64,
    published: bool,
    over: bool,
}

impl<F: Feed> Repeated<F> {
    pub(super) fn new(mut open: Open<F>, rounds: Option<u64>) -> io::Result<Self> {
        let feed = open()?;
        let counts = Counts::default();
        Ok(Repeated { open, feed, rounds, round: 1, counts, began_us: 0, now_us: 0, published: false, over: false })
    }

    fn begin_again(&mut self) -> io::Result<()> {
        let feed = (self.open)()?;
        self.counts = self.counts();
        self.feed = feed;
        self.round += 1;
        self.began_us = self.now_us;
        self.published = false;
        Ok(())
    }
}

impl<F: Feed> Iterator for Repeated<F> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.feed.next() {
                Some(Ok(timed)) => {
                    self.published = true;
                    self.now_us = self.began_us.saturating_add(timed.due_us);
                    return Some(Ok(Timed { due_us: self.now_us, ..timed }));
                }
                Some(Err(bad)) => {
                    // Every further round would end at the same record.
                    self.over = bad.ends_recording;
                    return Some(Err(bad));
                }
                // A recording without any update would be read over and over.
                None if !self.published || self.rounds.is_some_and(|rounds| self.round >= rounds) => self.over = true,
                None => {
                    if let Err(error) = self.begin_again() {
                        self.over = true;
                        let position = format!("round {}", self.round + 1);
                        let reason = format!("the recording cannot be opened again: {error}");
                        return Some(Err(BadRecord { position, reason, ends_recording: true }));
                    }
                }
            }
        }
        None
    }
}

impl<F: Feed> Feed for Repeated<F> {
    fn counts(&self) -> Counts {
        self.counts + self.feed.counts()
    }

    fn origin(&self) -> Option<Origin> {
        // Only in the first round: the times of later rounds are not the recording's.
        self.feed.origin().filter(|_| self.round == 1)
    }
}
