//! Bounded waits: up to a moment, or until a stop is requested.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The interval at which a waiter checks for a stop.
const SLICE: Duration = Duration::from_millis(20);

/// Stops many waiters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.get_or_init(Instant::now);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns whether the stop was requested at least `time` ago.
    fn was_stopped_for(&self, time: Duration) -> bool {
        self.0.get().is_some_and(|at| at.elapsed() >= time)
    }
}

/// The end of a wait.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    until: Instant,
    /// What ends the wait early, and how long after that.
    stop: Option<(Stop, Duration)>,
}

impl Patience {
    pub(crate) fn until(until: Instant) -> Self {
        Self { until, stop: None }
    }

    pub(crate) fn of(duration: Duration) -> Self {
        Self::until(Instant::now() + duration)
    }

    /// The same wait, but over as soon as `stop` is requested.
    pub(crate) fn or(self, stop: &Stop) -> Self {
        self.or_after(stop, Duration::ZERO)
    }

    /// The same wait, but over `time` after `stop` is requested.
    pub(crate) fn or_after(self, stop: &Stop, time: Duration) -> Self {
        Self { stop: Some((stop.clone(), time)), ..self }
    }

    /// The same wait, but over at the latest `time` from now.
    pub(crate) fn or_before(self, time: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + time), ..self }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.as_ref().is_some_and(|(stop, time)| stop.was_stopped_for(*time)) || Instant::now() >= self.until
    }

    /// Returns how long to wait before the next check, or an error if the wait is over.
    pub(crate) fn slice(&self) -> io::Result<Duration> {
        if self.is_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = self.until.saturating_duration_since(Instant::now());
        Ok(if self.stop.is_some() { left.min(SLICE) } else { left })
    }

    /// Lets the time pass.
    pub(crate) fn pass(&self) {
        while let Ok(slice) = self.slice() {
            std::thread::park_timeout(slice);
        }
    }
}

/// Lets time pass, when nothing is waited for but time is measured.
pub(crate) fn pass(duration: Duration) {
    Patience::of(duration).pass();
}
