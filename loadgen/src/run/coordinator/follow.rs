//! The intervals that the threads send while they work.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::Setup;
use crate::clock::mono_ns;
use crate::measure::process;
use crate::measure::tally::Interval;
use crate::report::progress::Watch;
use crate::run::Times;

/// A second of a run.
#[derive(Debug)]
pub(crate) struct Second {
    pub(crate) interval: Interval,
    /// CPU that the server used in it, ns.
    pub(crate) server_cpu_ns: Option<u64>,
    /// The server's memory at its end, bytes.
    pub(crate) server_rss_bytes: Option<u64>,
}

/// Adds up the seconds of the threads, and shows the progress.
pub(super) struct Follow<'a> {
    pub(super) setup: &'a Setup,
    pub(super) intervals: Receiver<Interval>,
    pub(super) times: Times,
    pub(super) seconds: Vec<Second>,
    /// The server's CPU at the end of each second.
    pub(super) cpu: Vec<Option<u64>>,
    pub(super) stopped: &'a dyn Fn() -> bool,
}

impl Follow<'_> {
    /// Takes in intervals until that time, or until all threads have ended.
    pub(super) fn until(&mut self, moment_ns: u64, watch: &mut Watch) {
        loop {
            let left_ns = moment_ns.saturating_sub(mono_ns());
            if left_ns == 0 || (moment_ns != u64::MAX && (self.stopped)()) {
                return;
            }
            let patience = Duration::from_nanos(left_ns).min(Duration::from_millis(200));
            match self.intervals.recv_timeout(patience) {
                Ok(interval) => {
                    self.take(interval);
                    if let [.., last, _] = &self.seconds[..] {
                        watch.running(&last.interval, &self.times);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, interval: Interval) {
        let index = interval.second as usize;
        while self.seconds.len() <= index {
            let second = self.seconds.len() as u32;
            let pid = self.setup.server_pid;
            let cpu_ns = pid.and_then(process::server_cpu_ns);
            let before = self.cpu.last().copied().flatten();
            self.cpu.push(cpu_ns);
            self.seconds.push(Second {
                interval: Interval::new(second),
                server_cpu_ns: cpu_ns.zip(before).map(|(now, before)| now.saturating_sub(before)),
                server_rss_bytes: pid.and_then(process::server_rss_bytes),
            });
        }
        let sum = &mut self.seconds[index].interval;
        sum.corrected.add(&interval.corrected).expect("histograms of the same bounds");
        sum.deliveries += interval.deliveries;
        sum.bytes += interval.bytes;
        sum.published += interval.published;
        sum.open += interval.open;
    }
}
