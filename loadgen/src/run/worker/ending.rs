//! The end of a run for one thread, and the CPU time that the thread used in the window.

use std::sync::atomic::Ordering;

use super::{Part, TICK_NS};
use crate::measure::process::thread_cpu_ns;
use crate::run::Times;

/// How often to check whether all subscribers have everything.
const COMPLETE_EVERY_NS: u64 = 50_000_000;

#[derive(Default)]
pub(super) struct Ending {
    /// When to check again.
    complete_ns: u64,
    is_complete: bool,
    is_deserted: bool,
}

impl Ending {
    /// Whether the run is over: the subscribers of all threads have everything, or the time for that has passed.
    pub(super) fn is_over(&mut self, part: &Part, times: &Times, now_ns: u64, have_all: impl FnOnce() -> bool) -> bool {
        if now_ns >= times.drained_ns {
            return true;
        }
        // Only after the publisher has written its last update.
        if now_ns > times.window_ns.1 + TICK_NS && now_ns >= self.complete_ns {
            self.complete_ns = now_ns + COMPLETE_EVERY_NS;
            if !self.is_complete && (!part.scenario.publishes() || have_all()) {
                self.is_complete = true;
                part.shared.complete.fetch_add(1, Ordering::AcqRel);
            }
        }
        part.shared.complete.load(Ordering::Acquire) == part.of
    }

    /// Fails if no thread has a subscriber left to measure.
    pub(super) fn check_deserted(&mut self, part: &Part, are_gone: bool) -> Result<(), String> {
        if are_gone && !self.is_deserted {
            self.is_deserted = true;
            part.shared.deserted.fetch_add(1, Ordering::AcqRel);
        }
        if part.shared.deserted.load(Ordering::Acquire) == part.of {
            return Err("the server has ended the connections of all subscribers".to_owned());
        }
        Ok(())
    }
}

/// The CPU time of this thread in the window.
#[derive(Default)]
pub(super) struct WindowCpu {
    begin_ns: Option<u64>,
    is_over: bool,
}

impl WindowCpu {
    /// Returns the time once, when the window is over.
    pub(super) fn look(&mut self, times: &Times, now_ns: u64) -> Option<u64> {
        if self.is_over || now_ns < times.window_ns.0 {
            return None;
        }
        let begin_ns = *self.begin_ns.get_or_insert_with(thread_cpu_ns);
        self.is_over = now_ns >= times.window_ns.1;
        self.is_over.then(|| thread_cpu_ns() - begin_ns)
    }
}
