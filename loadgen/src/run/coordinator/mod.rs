//! A run from outside: starts the threads, fixes the times, watches.

mod follow;
mod machine;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};

use follow::Follow;
pub(crate) use follow::Second;
use machine::{allow_files, pin, yield_to_others};

use super::worker::{Part, Worker};
use super::{Shared, Target, Times, deal};
use crate::clock::{mono_ns, pause, seconds_ns};
use crate::measure::process;
use crate::measure::tally::Tally;
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::report::progress::Watch;
use crate::scenario::Scenario;

/// The pause between the last subscription and the first update.
const SETTLE_NS: u64 = 500_000_000;

/// Everything that a run depends on.
pub(crate) struct Setup {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) protocol: Protocol,
    pub(crate) target: Target,
    pub(crate) threads: u32,
    /// The cores of the threads, in turn; if empty, threads run on any core.
    pub(crate) cores: Vec<usize>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) verify: bool,
}

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) seconds: Vec<Second>,
    /// How long it took to connect all subscribers, in s.
    pub(crate) connect_seconds: f64,
    /// CPU of the server in that time, ns.
    pub(crate) connect_cpu_ns: Option<u64>,
    /// Subscribers that were subscribed when publishing began.
    pub(crate) subscribers: u32,
    pub(crate) window_seconds: f64,
    /// CPU of the server in the window, ns.
    pub(crate) server_cpu_ns: Option<u64>,
    /// Memory of the server before the first connection and with all of them, bytes.
    pub(crate) server_rss_bytes: Option<(u64, u64)>,
    /// CPU of this process in the window, ns.
    pub(crate) load_cpu_ns: u64,
    /// Memory of this process before the first connection and with all of them, bytes.
    pub(crate) load_rss_bytes: (u64, u64),
    /// Why it ended early.
    pub(crate) ended_early: Option<String>,
}

/// Runs, and shows the progress on `watch`.
pub(crate) fn run(setup: &Setup, watch: &mut Watch) -> anyhow::Result<Measured> {
    allow_files(u64::from(setup.scenario.subscribers.count))?;
    let run_name: u32 = rand::random();
    let plan = Arc::new(Plan::new(&setup.scenario, &format!("{run_name:08x}")));
    let shared = Arc::new(Shared::new(plan.topics.len(), deal::leaving(&setup.scenario)));
    let me = std::process::id();
    let rss = |pid: Option<u32>| pid.and_then(process::server_rss_bytes);
    if let Some(pid) = setup.server_pid
        && process::cpu_ns(pid).is_none()
    {
        bail!("--server-pid {pid}: there is no such process, or it may not be inspected");
    }
    let (sender, intervals) = crossbeam_channel::unbounded();
    let (server_before, load_before) = (rss(setup.server_pid), process::rss_bytes(me));
    let server_cpu = || setup.server_pid.and_then(process::server_cpu_ns);
    let cpu_before = server_cpu();
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
        let yields = deal::deal(&setup.scenario, index, setup.threads).yields;
        let work = move || {
            core.into_iter().for_each(pin);
            if yields {
                yield_to_others();
            }
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
    let connect_cpu_ns = used(cpu_before, server_cpu());
    while setup.scenario.publishes() && !shared.publishing.load(Ordering::Acquire) && !stopped() {
        pause(Duration::from_millis(5));
    }
    // Memory is read when the machine is quiet.
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
    let cpu = || (server_cpu(), process::cpu_ns(me));
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
            "no subscriber could connect to {}: {}. Check the server's address and path (--target) and its protocol \
             (--protocol)",
            setup.target.names(),
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
        connect_cpu_ns,
        window_seconds,
        server_cpu_ns: used(server_from, server_to),
        server_rss_bytes,
        load_cpu_ns: used(load_from, load_to).unwrap_or_default(),
        load_rss_bytes,
        ended_early,
    })
}

/// The CPU that was used between two moments.
fn used(from: Option<u64>, to: Option<u64>) -> Option<u64> {
    from.zip(to).map(|(from, to)| to.saturating_sub(from))
}
