//! A run from outside: starts the threads, fixes the moments, watches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::worker::{Part, Worker};
use super::{Shared, Target, Times};
use crate::clock::{mono_ns, pause, seconds_ns};
use crate::measure::process;
use crate::measure::tally::{Interval, Tally};
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::report::progress::Watch;
use crate::say;
use crate::scenario::Scenario;

/// How long everything rests between the last subscription and the first update.
const SETTLE_NS: u64 = 500_000_000;
/// Files that the program needs besides its connections.
const FILES_BESIDES: u64 = 64;

/// All that a run depends on.
pub(crate) struct Setup {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) protocol: Protocol,
    pub(crate) target: Target,
    pub(crate) threads: u32,
    /// The cores of the threads, in turn; anywhere where empty.
    pub(crate) cores: Vec<usize>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) verify: bool,
}

/// A second of a run.
#[derive(Debug)]
pub(crate) struct Second {
    pub(crate) interval: Interval,
    /// CPU that the server used in it, ns, and its memory at the end, bytes.
    pub(crate) server_cpu_ns: Option<u64>,
    pub(crate) server_rss_bytes: Option<u64>,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) seconds: Vec<Second>,
    /// How long it took until all subscribers were there, in s.
    pub(crate) connect_seconds: f64,
    /// Subscribers that were there when publishing began.
    pub(crate) subscribers: u32,
    pub(crate) window_seconds: f64,
    /// Of the server: CPU in the window, ns; memory before the first connection and with all of them, bytes.
    pub(crate) server_cpu_ns: Option<u64>,
    pub(crate) server_rss_bytes: Option<(u64, u64)>,
    /// CPU of this process in the window, ns, and its memory before and with all connections, bytes.
    pub(crate) load_cpu_ns: u64,
    pub(crate) load_rss_bytes: (u64, u64),
    /// Why it ended before its time.
    pub(crate) ended_early: Option<String>,
}

/// Runs, telling `watch` how it goes.
pub(crate) fn run(setup: &Setup, watch: &mut Watch) -> anyhow::Result<Measured> {
    allow_files(u64::from(setup.scenario.subscribers.count))?;
    let run_name: u32 = rand::random();
    let plan = Arc::new(Plan::new(&setup.scenario, &format!("{run_name:08x}")));
    let shared = Arc::new(Shared::new(plan.topics.len()));
    let me = std::process::id();
    let rss = |pid: Option<u32>| pid.and_then(process::server_rss_bytes);
    if let Some(pid) = setup.server_pid
        && process::cpu_ns(pid).is_none()
    {
        bail!("--server-pid {pid}: there is no such process that may be looked at");
    }
    let (sender, intervals) = crossbeam_channel::unbounded();
    let (server_before, load_before) = (rss(setup.server_pid), process::rss_bytes(me));
    let mut threads = Vec::new();
    for index in 0..setup.threads {
        let part = Part {
            scenario: setup.scenario.clone(),
            protocol: setup.protocol.clone(),
            target: setup.target.clone(),
            plan: plan.clone(),
            shared: shared.clone(),
            verify: setup.verify,
            index,
            of: setup.threads,
            intervals: sender.clone(),
        };
        let core = (!setup.cores.is_empty()).then(|| setup.cores[index as usize % setup.cores.len()]);
        let work = move || {
            core.into_iter().for_each(pin);
            Worker::new(part).and_then(Worker::run)
        };
        let thread = std::thread::Builder::new().name(format!("load-{index}")).spawn(work);
        threads.push(thread.context("a thread of load")?);
    }
    drop(sender);
    let began_ns = mono_ns();
    let stopped = || shared.stop.load(Ordering::Acquire);
    let count = setup.scenario.subscribers.count;
    while shared.tried.load(Ordering::Acquire) < count && !stopped() {
        watch.connecting(shared.tried.load(Ordering::Acquire), count);
        pause(Duration::from_millis(20));
    }
    let connect_seconds = (mono_ns() - began_ns) as f64 / 1e9;
    while setup.scenario.publishes() && !shared.publishing.load(Ordering::Acquire) && !stopped() {
        pause(Duration::from_millis(5));
    }
    // Memory is looked at when nothing moves any more.
    pause(Duration::from_nanos(SETTLE_NS));
    let server_rss_bytes = server_before.zip(rss(setup.server_pid));
    let load_rss_bytes = (load_before.unwrap_or_default(), process::rss_bytes(me).unwrap_or_default());
    let publish_ns = mono_ns() + 20_000_000;
    let from_ns = publish_ns + seconds_ns(setup.scenario.warm_up_seconds);
    let until_ns = from_ns + seconds_ns(setup.scenario.seconds);
    let drained_ns = until_ns + seconds_ns(setup.scenario.drain_seconds);
    let times = Times { publish_ns, window_ns: (from_ns, until_ns), drained_ns };
    shared.times.set(times).expect("set once");
    let mut follow = Follow { setup, intervals, times, seconds: Vec::new(), cpu: Vec::new(), stopped: &stopped };
    follow.until(publish_ns, watch);
    let subscribers = follow.seconds.last().map_or(0, |second| second.interval.open);
    let cpu = || (setup.server_pid.and_then(process::server_cpu_ns), process::cpu_ns(me));
    follow.until(from_ns, watch);
    let ((server_from, load_from), measured_from) = (cpu(), mono_ns());
    follow.until(until_ns, watch);
    let (server_to, load_to) = cpu();
    let window_seconds = (mono_ns() - measured_from) as f64 / 1e9;
    follow.until(u64::MAX, watch);
    let seconds = follow.seconds;
    let mut tally = Tally::new();
    let mut ended_early = None;
    for thread in threads {
        match thread.join() {
            Ok(Ok(part)) => tally.merge(&part),
            Ok(Err(error)) => ended_early = Some(error),
            Err(_) => bail!("a thread of load panicked: this is a bug"),
        }
    }
    if tally.connected == 0 {
        let reasons: Vec<String> =
            tally.failed.0.iter().map(|(reason, times)| format!("{} × {reason}", times)).collect();
        bail!(
            "no subscriber could connect to {}: {}. Is that where the server listens (--target), and its path and language \
             (--protocol)?",
            setup.target.address,
            reasons.join("; ")
        );
    }
    if ended_early.is_none() {
        ended_early = shared.why.get().cloned();
    }
    Ok(Measured {
        subscribers: subscribers.max(tally.connected.min(count.into()) as u32).min(count),
        tally,
        seconds,
        connect_seconds,
        window_seconds,
        server_cpu_ns: server_to.zip(server_from).map(|(to, from)| to.saturating_sub(from)),
        server_rss_bytes,
        load_cpu_ns: load_to.zip(load_from).map_or(0, |(to, from)| to.saturating_sub(from)),
        load_rss_bytes,
        ended_early,
    })
}

/// What comes from the threads while they work.
struct Follow<'a> {
    setup: &'a Setup,
    intervals: Receiver<Interval>,
    times: Times,
    seconds: Vec<Second>,
    /// The server's CPU at the end of each second.
    cpu: Vec<Option<u64>>,
    stopped: &'a dyn Fn() -> bool,
}

impl Follow<'_> {
    /// Takes in what comes until that moment, or until all threads have ended.
    fn until(&mut self, moment_ns: u64, watch: &mut Watch) {
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

/// Raises the limit on open files to what is allowed, and says what to do where that is not enough.
fn allow_files(connections: u64) -> anyhow::Result<()> {
    let needed = connections + FILES_BESIDES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = limit.maximum.map_or(needed, |maximum| maximum.max(needed));
    // A privileged process may go above what was the maximum.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: Some(wanted) })
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }));
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if raised.is_err() || now < needed {
        bail!(
            "{connections} subscribers need {needed} open files and {now} are allowed: raise the limit \
             (`ulimit -n {needed}`, or LimitNOFILE= of a service), or ask for fewer subscribers"
        );
    }
    Ok(())
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        say::aside(&format!("core {core} cannot be used ({error}): the thread runs anywhere"));
    }
}
