//! The bounds on what bystanders see.

use crate::attack::{Attack, Size};
use crate::run::Run;

const MIB: u64 = 1024;

/// Upper bounds in milliseconds.
struct Bars {
    /// For the subscribers' latencies. If the control run has more, that counts.
    p99: f64,
    max: f64,
    newcomer: f64,
    /// For newcomers if all connections are in use, and a newcomer is refused with a code.
    refused_newcomer: f64,
    probe: f64,
    /// CPU time of a shard's round, on average.
    round_cpu: f64,
    /// From SIGTERM to the end of the process.
    stop: f64,
}

/// The bars of `make torture`, for two cores that the attackers share.
const FULL: Bars = Bars {
    p99: 20.0,
    max: 100.0,
    newcomer: 250.0,
    refused_newcomer: 1_000.0,
    probe: 100.0,
    round_cpu: 20.0,
    stop: 3_000.0,
};
/// The bars of `cargo test`, where other tests use the cores, and the program is not optimised.
const SHORT: Bars = Bars {
    p99: 5_000.0,
    max: 5_000.0,
    newcomer: 5_000.0,
    refused_newcomer: 5_000.0,
    probe: 5_000.0,
    round_cpu: 100.0,
    stop: 10_000.0,
};

/// Returns the bars that a run missed; none if it passed.
pub(crate) fn misses(attack: &Attack, size: Size, run: &Run, control: Option<&Run>) -> Vec<String> {
    let bars = size.pick(FULL, SHORT);
    let mut misses = Vec::new();
    let mut at_most = |what: &str, value: f64, bar: f64, unit: &str| {
        if value > bar {
            misses.push(format!("{what} {value:.0} > {bar:.0} {unit}"));
        }
    };
    let figures = &run.figures;
    let controls = control.map(|control| [&control.figures.same, &control.figures.other]);
    for (index, (name, latencies)) in [("same", &figures.same), ("other", &figures.other)].into_iter().enumerate() {
        let control = controls.map(|controls| controls[index]);
        let bar = |bar: f64, quantile: f64| control.map_or(bar, |control| bar.max(control.quantile(quantile)));
        at_most(&format!("{name} shard p99"), latencies.quantile(0.99), bar(bars.p99, 0.99), "ms");
        at_most(&format!("{name} shard max"), latencies.max(), bar(bars.max, 1.0), "ms");
    }
    let newcomer = if attack.may_refuse_newcomers { bars.refused_newcomer } else { bars.newcomer };
    at_most("newcomer", figures.newcomers.max.as_secs_f64() * 1e3, newcomer, "ms");
    at_most("probe", figures.probes.max.as_secs_f64() * 1e3, bars.probe, "ms");
    if let Some(cpu_ms) = run.rounds.as_ref().and_then(|rounds| rounds.cpu_ms) {
        at_most("CPU per round of a shard", cpu_ms, bars.round_cpu, "ms");
    }
    let grown = |kib: u64| kib.saturating_sub(run.start_kib) as f64 / MIB as f64;
    let (grows, keeps) = (size_of(size, attack.grows_mib), size_of(size, attack.keeps_mib));
    at_most("memory at its peak: grown by", grown(figures.peak_kib), grows, "MiB");
    at_most("memory after: grown by", grown(run.after_kib), keeps, "MiB");
    at_most("SIGTERM to the end", run.stopped.map_or(f64::INFINITY, |took| took.as_secs_f64() * 1e3), bars.stop, "ms");
    for (name, latencies) in [("same", &figures.same), ("other", &figures.other)] {
        let trouble = latencies.trouble.as_ref().map(|trouble| format!("{name} shard: {trouble}"));
        misses.extend(trouble);
        if latencies.missing > 0 {
            misses.push(format!("{name} shard: {} updates did not come", latencies.missing));
        }
    }
    let newcomers = &figures.newcomers;
    if newcomers.refused > 0 && !attack.may_refuse_newcomers {
        misses.push(format!("{} newcomers refused, {}", newcomers.refused, newcomers.why));
    }
    if newcomers.lost > 0 {
        misses.push(format!("{} newcomers got no answer: {}", newcomers.lost, newcomers.why));
    }
    if figures.probes.bad > 0 {
        misses.push(format!(
            "{} of {} probes bad: {}",
            figures.probes.bad,
            figures.probes.bad + figures.probes.good,
            figures.probes.why
        ));
    }
    misses.extend(run.complaints.iter().cloned());
    misses
}

fn size_of(size: Size, mib: (u64, u64)) -> f64 {
    size.pick(mib.0, mib.1) as f64
}
