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
    /// The most that is handed over at once, to each taker of the target.
    pub batch: BatchBounds,
}

impl Play {
    /// Plays to the feed's end, skipping records that cannot be used.
    pub fn at(pace: Pace) -> Self {
        Play { pace, until: Until::default(), strict: false, batch: BatchBounds::default() }
    }
}

/// Why a run ended before its feed did.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This record could not be used, and the run is `strict` or nothing could be read after the record.
    #[error("stopped at a record that cannot be used")]
    BadRecord(#[source] BadRecord),
    /// The target takes no more updates.
    #[error("the target is gone")]
    TargetGone(#[source] TargetGone),
}

/// The most bad records that are logged one by one; the rest are only counted.
const LOGGED_BAD_RECORDS_MAX: u64 = 20;
/// The lag that is logged first, and again each time that it has doubled.
const LOGGED_LAG: Duration = Duration::from_secs(1);

/// The longest wait: a year. At a low enough speed an update may be due later than a clock can represent.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Plays `feed` to `target` until it ends or `stop` completes. The summary is complete in either case: the answers to
/// everything handed over are awaited (within a bound), also after a stop or an error.
pub async fn run(
    feed: impl Feed,
    play: Play,
    target: Target,
    stop: impl Future<Output = ()>,
) -> (Summary, Result<(), RunError>) {
    run_watched(feed, play, target, stop, &Progress::default()).await
}

/// Like [`run`]; meanwhile `progress` shows how far it is.
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
    // The first error is the cause of later ones.
    (summary, result.and(settled))
}

/// Plays the feed until it is over. May be cancelled wherever it waits: every update that the schedule has counted has
/// been handed over by then.
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
    let mut lag_logged = LOGGED_LAG / 2;
    loop {
        target.room(summary).await.map_err(RunError::TargetGone)?;
        let turn = schedule.turn(started.elapsed(), &mut batch);
        if !batch.is_empty() {
            target.submit(&mut batch, summary).map_err(RunError::TargetGone)?;
        }
        let lag = schedule.lag().lag_max;
        if lag > 2 * lag_logged {
            lag_logged = lag;
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
            // Lets the runtime's other tasks run and a stop take effect.
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
                if bad_records <= LOGGED_BAD_RECORDS_MAX {
                    tracing::warn!("{bad}");
                }
                if strict || bad.ends_recording {
                    return Err(RunError::BadRecord(bad));
                }
                // A long series of bad records must not delay a stop.
                tokio::task::yield_now().await;
            }
        }
    }
}
