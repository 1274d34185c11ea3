//! How long somebody waits: up to a moment, or until told to stop.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often a waiter looks whether it was told to stop.
const SLICE: Duration = Duration::from_millis(20);

/// Tells many waiters to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<OnceLock<Instant>>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.get_or_init(Instant::now);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether it was told to stop so long ago.
    fn was_stopped_for(&self, time: Duration) -> bool {
        self.0.get().is_some_and(|at| at.elapsed() >= time)
    }
}

/// The end of a wait.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    until: Instant,
    /// What ends it early, and how long after that.
    stop: Option<(Stop, Duration)>,
}

impl Patience {
    pub(crate) fn until(until: Instant) -> Self {
        Self { until, stop: None }
    }

    pub(crate) fn of(duration: Duration) -> Self {
        Self::until(Instant::now() + duration)
    }

    /// The same, but over as soon as `stop` says so.
    pub(crate) fn or(self, stop: &Stop) -> Self {
        self.or_after(stop, Duration::ZERO)
    }

    /// The same, but over so long after `stop` says so.
    pub(crate) fn or_after(self, stop: &Stop, time: Duration) -> Self {
        Self { stop: Some((stop.clone(), time)), ..self }
    }

    /// The same, but over at the latest so long from now.
    pub(crate) fn or_before(self, time: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + time), ..self }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.as_ref().is_some_and(|(stop, time)| stop.was_stopped_for(*time)) || Instant::now() >= self.until
    }

    /// For how long to wait before looking again, or an error where the wait is over.
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

/// Lets this much time pass: where nothing is waited for, but time is measured.
pub(crate) fn pass(duration: Duration) {
    Patience::of(duration).pass();
}
