//! The loop that plays a feed to a target.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::progress::{Progress, Snapshot};
use crate::publication::{BadRecord, Feed};
use crate::publish::{Target, TargetGone};
use crate::schedule::{BatchBounds, Pace, Schedule, Turn, Until};
use crate::summary::Summary;

/// How a feed is played.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// How fast.
    pub pace: Pace,
    /// How long.
    pub until: Until,
    /// Stop at the first record that cannot be used.
    pub strict: bool,
    /// How much is handed over at once, to each taker of the target.
    pub batch: BatchBounds,
}

impl Play {
    /// To the feed's end, and past records that cannot be used.
    pub fn at(pace: Pace) -> Self {
        Play { pace, until: Until::default(), strict: false, batch: BatchBounds::default() }
    }
}

/// Why a run ended before its feed did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `strict`, and this record could not be used; or nothing could be read after it.
    #[error("stopped at a record that cannot be used")]
    BadRecord(#[source] BadRecord),
    /// The target takes nothing any more.
    #[error("the target is gone")]
    TargetGone(#[source] TargetGone),
}

/// Bad records that are told one by one; the rest are only counted.
const TOLD_BAD_RECORDS_MAX: u64 = 20;
/// Being late by so much is told, again each time that it has doubled.
const TOLD_LAG: Duration = Duration::from_secs(1);

/// No clock can count as far as a feed that is slow enough; it is looked at again after a year.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Plays `feed` to `target` until it ends or `stop` is ready. The summary is complete either way: what was handed over is
/// waited for (within a bound), also after a stop or an error.
pub async fn run(
    feed: impl Feed,
    play: Play,
    target: Target,
    stop: impl Future<Output = ()>,
) -> (Summary, Result<(), RunError>) {
    run_watched(feed, play, target, stop, &Progress::default()).await
}

/// As [`run`]; `progress` says meanwhile how far it is.
pub async fn run_watched(
    feed: impl Feed,
    play: Play,
    mut target: Target,
    stop: impl Future<Output = ()>,
    progress: &Progress,
) -> (Summary, Result<(), RunError>) {
    let mut summary = Summary { target: target.name(), ..Summary::default() };
    let mut schedule = Schedule::new(feed, play.pace, play.until).with_batches(play.batch.times(target.takers()));
    let started = Instant::now();
    target.start();
    let result = {
        let mut stop = pin!(stop);
        let playing = deliver(&mut schedule, play.strict, &mut target, &mut summary, started, progress);
        tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            result = playing => result,
        }
    };
    let settled = target.settle(&mut summary).await.map_err(RunError::TargetGone);
    summary.elapsed = started.elapsed();
    target.close().await;
    summary.read = schedule.counts();
    summary.lag = schedule.lag();
    summary.faults = schedule.faults();
    // What went wrong first is the reason of what goes wrong after it.
    (summary, result.and(settled))
}

/// May be cancelled wherever it waits: an update is either not taken from the feed's count yet, or handed over.
async fn deliver(
    schedule: &mut Schedule<impl Feed>,
    strict: bool,
    target: &mut Target,
    summary: &mut Summary,
    started: Instant,
    progress: &Progress,
) -> Result<(), RunError> {
    let mut batch = Vec::new();
    let mut bad_records = 0;
    let mut lag_told = TOLD_LAG / 2;
    loop {
        target.room(summary).await.map_err(RunError::TargetGone)?;
        let turn = schedule.turn(started.elapsed(), &mut batch);
        if !batch.is_empty() {
            target.submit(&mut batch, summary).map_err(RunError::TargetGone)?;
        }
        let lag = schedule.lag().lag_max;
        if lag > 2 * lag_told {
            lag_told = lag;
            tracing::warn!(
                lag_ms = lag.as_millis() as u64,
                "updates go out late: this machine or the target is too slow for the rate"
            );
        }
        progress.note(Snapshot {
            published: summary.published,
            rejected: summary.rejected_updates(),
            reconnects: target.reconnects(),
            records: schedule.counts().records,
            read_bytes: None,
            newest: schedule.newest(),
            next_due: match turn {
                Ok(Turn::More) => schedule.newest().due,
                Ok(Turn::Wait(due)) => Some(due),
                Ok(Turn::Dry(_) | Turn::Over) | Err(_) => None,
            },
        });
        match turn {
            // Lets the other tasks of the runtime run, and a stop be noticed.
            Ok(Turn::More) => tokio::task::yield_now().await,
            Ok(Turn::Wait(due)) => tokio::select! {
                () = sleep_until(started + due.min(WAIT_MAX)) => {}
                gone = target.idle(summary) => return Err(RunError::TargetGone(gone)),
            },
            Ok(Turn::Dry(over)) => tokio::select! {
                () = poll_fn(|context| schedule.poll_ready(context)) => {}
                () = sleep_until(started + over.unwrap_or(WAIT_MAX).min(WAIT_MAX)) => {}
                gone = target.idle(summary) => return Err(RunError::TargetGone(gone)),
            },
            Ok(Turn::Over) => return Ok(()),
            Err(bad) => {
                bad_records += 1;
                if bad_records <= TOLD_BAD_RECORDS_MAX {
                    tracing::warn!("{bad}");
                }
                if strict || bad.ends_recording {
                    return Err(RunError::BadRecord(bad));
                }
                // A long run of bad records must not keep the loop from seeing a stop.
                tokio::task::yield_now().await;
            }
        }
    }
}
