//! When each update goes out: maps a feed's own clock to the real one.
//!
//! Time is passed in. Late updates are published all the same, and counted: a feed that silently left some out would
//! make a measured system look better than it is.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::faults::FaultCounts;
use crate::publication::{BadRecord, Counts, Feed, Publication, Timed};

/// How fast a feed's clock runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// This many times as fast as the real one.
    Speed(f64),
    /// The clock does not run: everything is due at once.
    Max,
}

/// When a run stops before the feed's end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until {
    /// After this time: real time for a paced feed, the feed's own at [`Pace::Max`] (so that the published updates do
    /// not depend on the machine).
    pub duration: Option<Duration>,
    /// After this number of updates.
    pub updates: Option<u64>,
}

/// An update that is to be published now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it is due on the feed's own clock, whatever the pace, in microseconds.
    pub due_us: u64,
    /// When it should have been published, after the start; `None` if the feed is not paced.
    pub due: Option<Duration>,
    /// The update.
    pub publication: Publication,
}

/// The result of a turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The batch is full, and more updates are due.
    More,
    /// Nothing is due until this time after the start.
    Wait(Duration),
    /// The feed waits for its writer until [`Schedule::poll_ready`] is ready. If the run has a time limit, it ends at
    /// this time after the start.
    Dry(Option<Duration>),
    /// The feed is at its end, or the run has reached its limit of time or updates.
    Over,
}

/// How late updates were handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lag {
    /// How many were later than [`LATE_MS`].
    pub late_updates: u64,
    /// The largest lag. In JSON `lag_max_ms`.
    #[serde(rename = "lag_max_ms", serialize_with = "crate::summary::milliseconds")]
    pub lag_max: Duration,
}

/// An update counts as late from here: well above what a timer of a millisecond and a busy machine explain.
pub const LATE_MS: u64 = 50;

/// The most updates in a batch. This and [`BATCH_BYTES_MAX`] are large enough that a batch costs little per update, and
/// small enough for one message to any broker with the default limit of 64 KiB.
pub const BATCH_UPDATES_MAX: usize = 512;
/// See [`BATCH_UPDATES_MAX`]. A single larger update is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 48 * 1024;

/// The most that is handed over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBounds {
    /// Updates.
    pub updates_max: usize,
    /// Bytes, as [`Publication::bytes`] counts them; a single larger update is a batch of its own.
    pub bytes_max: usize,
}

impl Default for BatchBounds {
    fn default() -> Self {
        BatchBounds { updates_max: BATCH_UPDATES_MAX, bytes_max: BATCH_BYTES_MAX }
    }
}

impl BatchBounds {
    /// The bounds of `takers` batches as one, which is divided among that many takers.
    pub fn times(self, takers: usize) -> Self {
        BatchBounds {
            updates_max: self.updates_max.saturating_mul(takers),
            bytes_max: self.bytes_max.saturating_mul(takers),
        }
    }
}

/// A feed that is being played.
pub struct Schedule<F> {
    feed: F,
    /// An update that was read from the feed and is not due yet.
    ahead: Option<Timed>,
    /// Whether the feed had nothing when it was last asked.
    dry: bool,
    /// Until when it had nothing.
    dry_until: Duration,
    pace: Pace,
    until: Until,
    batch: BatchBounds,
    updates: u64,
    lag: Lag,
    newest: Newest,
}

/// When the newest update that was played was due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newest {
    /// On the feed's own clock, in microseconds.
    pub due_us: u64,
    /// On the real clock, after the start; `None` if the feed is not paced.
    pub due: Option<Duration>,
}

impl<F: Feed> Schedule<F> {
    /// Plays `feed` from its beginning.
    pub fn new(feed: F, pace: Pace, until: Until) -> Self {
        let (batch, lag, newest, dry_until) = Default::default();
        Schedule { feed, ahead: None, dry: false, dry_until, pace, until, batch, updates: 0, lag, newest }
    }

    /// The same, with other bounds of a batch.
    pub fn with_batches(self, batch: BatchBounds) -> Self {
        Schedule { batch, ..self }
    }

    /// Moves the updates that are due `elapsed` after the start into `batch`, up to a batch's bounds. A record that
    /// could not be read comes as an error in its turn: the updates in `batch` were before it.
    pub fn turn(&mut self, elapsed: Duration, batch: &mut Vec<Due>) -> Result<Turn, BadRecord> {
        if std::mem::take(&mut self.dry) {
            self.dry_until = elapsed;
        }
        let mut bytes: usize = batch.iter().map(|due| due.publication.bytes()).sum();
        loop {
            if self.until.updates.is_some_and(|updates| self.updates >= updates) {
                return Ok(Turn::Over);
            }
            if self.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending() {
                let over = self.until.duration.filter(|_| self.pace != Pace::Max);
                if over.is_some_and(|over| over <= elapsed) {
                    return Ok(Turn::Over);
                }
                self.dry = true;
                return Ok(Turn::Dry(over));
            }
            let next = match self.ahead.take().map(Ok).or_else(|| self.feed.next()) {
                Some(next) => next?,
                None => return Ok(Turn::Over),
            };
            let (after_start, due) = self.due(next.due_us);
            if self.until.duration.is_some_and(|duration| after_start > duration) {
                return Ok(Turn::Over);
            }
            if let Some(due) = due
                && due > elapsed
            {
                self.ahead = Some(next);
                return Ok(Turn::Wait(due));
            }
            bytes += next.publication.bytes();
            if !batch.is_empty() && (batch.len() >= self.batch.updates_max || bytes > self.batch.bytes_max) {
                self.ahead = Some(next);
                return Ok(Turn::More);
            }
            self.updates += 1;
            self.note_lag(elapsed.saturating_sub(due.unwrap_or(elapsed)));
            self.newest = Newest { due_us: next.due_us, due };
            batch.push(Due { due_us: next.due_us, due, publication: next.publication });
        }
    }

    /// Ready if [`Schedule::turn`] would find something: an update, or the end.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_some() { Poll::Ready(()) } else { self.feed.poll_ready(context) }
    }

    /// The lag so far.
    pub fn lag(&self) -> Lag {
        self.lag
    }

    /// The newest update so far.
    pub fn newest(&self) -> Newest {
        self.newest
    }

    /// The counts of what the feed has read so far.
    pub fn counts(&self) -> Counts {
        self.feed.counts()
    }

    /// The faults that were injected into the feed so far.
    pub fn faults(&self) -> Option<FaultCounts> {
        self.feed.faults()
    }

    /// The feed's `due_us` on the clock of [`Until::duration`], and on the real clock if the feed is paced.
    fn due(&self, due_us: u64) -> (Duration, Option<Duration>) {
        match self.pace {
            Pace::Speed(speed) => {
                let due = Duration::try_from_secs_f64(due_us as f64 / 1e6 / speed).unwrap_or(Duration::MAX);
                // An update that arrives through a pipe after its time is due when it arrives: that is not our lag.
                let due = due.max(self.dry_until);
                (due, Some(due))
            }
            Pace::Max => (Duration::from_micros(due_us), None),
        }
    }

    fn note_lag(&mut self, lag: Duration) {
        self.lag.lag_max = self.lag.lag_max.max(lag);
        if lag > Duration::from_millis(LATE_MS) {
            self.lag.late_updates += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::{Kind, Publication};

    struct Every10Ms(u64);

    impl Iterator for Every10Ms {
        type Item = Result<Timed, BadRecord>;

        fn next(&mut self) -> Option<Self::Item> {
            let due_us = self.0 * 10_000;
            self.0 += 1;
            if self.0 == 4 {
                return Some(Err(BadRecord { position: "line 4".into(), reason: "x".into(), ends_recording: false }));
            }
            Some(Ok(Timed { due_us, publication: Publication::new("t", Kind::Event, due_us.to_string()) }))
        }
    }

    impl Feed for Every10Ms {}

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_due_comes_and_the_rest_waits() {
        let mut schedule = Schedule::new(Every10Ms(0), Pace::Speed(2.0), Until::default());
        let mut batch = Vec::new();
        assert_eq!(schedule.turn(ms(0), &mut batch), Ok(Turn::Wait(ms(5))));
        assert_eq!(schedule.turn(ms(7), &mut batch), Ok(Turn::Wait(ms(10))));
        assert_eq!(schedule.turn(ms(10), &mut batch).unwrap_err().position, "line 4");
        assert_eq!(schedule.turn(ms(100), &mut batch), Ok(Turn::Wait(ms(105))));
        assert_eq!(batch.len(), 20);
        // The ones due at 20 to 45 ms are more than 50 ms late at 100, the one due at 50 is not.
        assert_eq!(schedule.lag(), Lag { late_updates: 6, lag_max: ms(80) });
    }

    #[test]
    fn it_stops_by_itself() {
        let count = |pace, until| {
            let mut batch = Vec::new();
            let mut schedule = Schedule::new(Every10Ms(4), pace, until);
            assert_eq!(schedule.turn(ms(1_000), &mut batch), Ok(Turn::Over));
            (batch.len(), schedule.lag().late_updates)
        };
        let duration = Until { duration: Some(ms(100)), updates: None };
        assert_eq!(count(Pace::Max, duration), (7, 0));
        assert_eq!(count(Pace::Speed(2.0), duration), (17, 17));
        assert_eq!(count(Pace::Max, Until { duration: None, updates: Some(3) }), (3, 0));
    }

    /// A pipe, and what has been written into it so far.
    struct Pipe(Vec<u64>);

    impl Iterator for Pipe {
        type Item = Result<Timed, BadRecord>;

        fn next(&mut self) -> Option<Self::Item> {
            Every10Ms(self.0.pop().expect("it would wait here")).next()
        }
    }

    impl Feed for Pipe {
        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<()> {
            if self.0.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        }
    }

    #[test]
    fn what_is_there_is_handed_over_when_the_feed_would_wait() {
        let until = Until { duration: Some(ms(500)), updates: None };
        let mut schedule = Schedule::new(Pipe(vec![5, 4]), Pace::Speed(1.0), until);
        let mut batch = Vec::new();
        assert_eq!(schedule.turn(ms(60), &mut batch), Ok(Turn::Dry(Some(ms(500)))));
        assert_eq!(batch.iter().map(|due| due.due).collect::<Vec<_>>(), [Some(ms(40)), Some(ms(50))]);
        assert_eq!(schedule.lag().lag_max, ms(20));
        // Due at 60 and 130 ms. The pipe has them at 100, so the first of them is due then.
        schedule.feed.0 = vec![13, 6];
        batch.clear();
        assert_eq!(schedule.turn(ms(100), &mut batch), Ok(Turn::Wait(ms(130))));
        assert_eq!(schedule.turn(ms(140), &mut batch), Ok(Turn::Dry(Some(ms(500)))));
        assert_eq!(batch.iter().map(|due| due.due).collect::<Vec<_>>(), [Some(ms(100)), Some(ms(130))]);
        assert_eq!(schedule.lag().lag_max, ms(20));
        assert_eq!(
            schedule.turn(ms(500), &mut batch),
            Ok(Turn::Over),
            "its time is over, whatever the pipe holds later"
        );
        // The feed's own clock stops while it waits.
        let mut schedule = Schedule::new(Pipe(vec![]), Pace::Max, until);
        assert_eq!(schedule.turn(ms(900), &mut batch), Ok(Turn::Dry(None)));
    }

    #[test]
    fn batches_are_bounded() {
        let mut schedule = Schedule::new(Every10Ms(4), Pace::Max, Until::default());
        let mut batch = Vec::new();
        assert_eq!(schedule.turn(ms(0), &mut batch), Ok(Turn::More));
        assert!(batch.len() <= BATCH_UPDATES_MAX);
        let bytes: usize = batch.iter().map(|due| due.publication.bytes()).sum();
        assert!(bytes <= BATCH_BYTES_MAX && bytes > BATCH_BYTES_MAX / 2);
        let few = BatchBounds { updates_max: 3, ..BatchBounds::default() };
        let mut schedule = schedule.with_batches(few.times(2));
        batch.clear();
        assert_eq!((schedule.turn(ms(0), &mut batch), batch.len()), (Ok(Turn::More), 6));
        assert_eq!(schedule.newest(), Newest { due_us: batch[5].due_us, due: None });
    }
}
