//! Builds a report from the measurements of a run.

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::{
    Connections, Continuity, Delivery, Latency, Load, Machine, Reconnect, Report, SCHEMA, Second, Server, Stayed,
};
use crate::measure::process;
use crate::measure::tally::{Fault, Tally};
use crate::protocol;
use crate::run::{Measured, Setup};

/// A thread that used this much of its core had no time to spare, and measured itself.
const BUSY: f64 = 0.9;
/// The largest tolerated fraction of updates that were late because of the load.
const LATE_PART: f64 = 0.05;
/// Points of a curve for each halving of the distance to 1.
const CURVE_TICKS: u32 = 8;

/// Makes a report.
pub(crate) fn build(setup: &Setup, name: protocol::Name, label: &str, target: &str, measured: &Measured) -> Report {
    let tally = &measured.tally;
    let window = measured.window_seconds.max(f64::MIN_POSITIVE);
    let deliveries = tally.window_deliveries as f64;
    let per = |value: u64| if deliveries > 0.0 { value as f64 / deliveries } else { 0.0 };
    let subscribers = measured.subscribers;
    let server = setup.server_pid.and_then(|pid| {
        let (before, after) = measured.server_rss_bytes?;
        let cpu_ns = measured.server_cpu_ns?;
        Some(Server {
            pid,
            cores: process::cores(pid).unwrap_or_default(),
            cpu_ns_per_delivery: per(cpu_ns),
            cpu_cores: cpu_ns as f64 / 1e9 / window,
            rss_before_bytes: before,
            rss_bytes: after,
            rss_bytes_per_connection: grown(before, after, subscribers),
        })
    });
    let load_before_after = measured.load_rss_bytes;
    let load = Load {
        threads: setup.threads,
        cpu_ns_per_delivery: per(measured.load_cpu_ns),
        cpu_part: tally.window_cpu_ns as f64 / 1e9 / setup.scenario.seconds / f64::from(setup.threads),
        rss_bytes_per_connection: grown(load_before_after.0, load_before_after.1, subscribers),
        bottleneck: None,
    };
    let mut report = Report {
        schema: SCHEMA,
        tool: concat!("loadgen ", env!("CARGO_PKG_VERSION")).to_owned(),
        label: label.to_owned(),
        time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        machine: machine(),
        command: std::env::args().collect(),
        target: target.to_owned(),
        protocol: name,
        scenario: (*setup.scenario).clone(),
        connections: connections(measured),
        delivery: delivery(setup, measured, window),
        corrected: latency(&tally.corrected),
        raw: latency(&tally.raw),
        continuity: continuity(tally, setup.verify),
        server,
        load,
        seconds: measured.seconds.iter().map(second).collect(),
        ended_early: measured.ended_early.clone(),
    };
    report.load.bottleneck = bottleneck(&report, tally);
    report
}

/// Why the load, and not the server, was measured, if that is so.
fn bottleneck(report: &Report, tally: &Tally) -> Option<String> {
    let server = report.server.as_ref();
    let cores = server.map(|server| process::core_list(&server.cores).len().max(1) as f64);
    let server_busy = server.zip(cores).is_some_and(|(server, cores)| server.cpu_cores >= BUSY * cores);
    // A server at its own limit was measured.
    if server_busy {
        return None;
    }
    if report.load.cpu_part >= BUSY {
        let percent = report.load.cpu_part * 100.0;
        return Some(format!(
            "its threads used {percent:.0} % of their time: give it more (--threads), or ask for less"
        ));
    }
    let late = tally.late as f64 / tally.published.max(1) as f64;
    (late > LATE_PART).then(|| {
        let percent = late * 100.0;
        format!("{percent:.0} % of the updates were handed over more than 1 ms after they were due")
    })
}

fn grown(before: u64, after: u64, subscribers: u32) -> f64 {
    (after as f64 - before as f64) / f64::from(subscribers.max(1))
}

fn connections(measured: &Measured) -> Connections {
    let tally = &measured.tally;
    let quantile = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    let seconds = measured.connect_seconds.max(f64::MIN_POSITIVE);
    Connections {
        subscribers: measured.subscribers,
        connect_seconds: measured.connect_seconds,
        connect_rate: f64::from(measured.subscribers) / seconds,
        connect_p50_ms: quantile(&tally.connect, 0.5),
        connect_p99_ms: quantile(&tally.connect, 0.99),
        server_cpu_us: measured.connect_cpu_ns.map(|ns| ns as f64 / 1000.0 / f64::from(measured.subscribers.max(1))),
        tls: tally.tls.0.clone(),
        failed: tally.failed.0.clone(),
        ended: tally.ended.0.clone(),
        refused: tally.refused.0.clone(),
        closed: tally.closed,
        reconnect: (!tally.reconnect.is_empty()).then(|| Reconnect {
            count: tally.reconnect.len(),
            p50_ms: quantile(&tally.reconnect, 0.5),
            p99_ms: quantile(&tally.reconnect, 0.99),
            max_ms: tally.reconnect.max() as f64 / 1e6,
            stayed: (tally.stayed_before.len() + tally.stayed_during.len() > 0).then(|| Stayed {
                before: tally.stayed_before.len(),
                before_p99_ms: quantile(&tally.stayed_before, 0.99),
                during: tally.stayed_during.len(),
                during_p99_ms: quantile(&tally.stayed_during, 0.99),
            }),
        }),
    }
}

fn delivery(setup: &Setup, measured: &Measured, window: f64) -> Delivery {
    let tally = &measured.tally;
    let lost = tally.faults_of(Fault::Lost);
    let due = tally.deliveries + tally.skipped + tally.gaps + lost + tally.missing + tally.undelivered;
    Delivery {
        seconds: window,
        published_per_second: tally.window_published as f64 / setup.scenario.seconds,
        deliveries_per_second: tally.window_deliveries as f64 / setup.scenario.seconds,
        bytes_per_second: tally.window_bytes as f64 / setup.scenario.seconds,
        frame_bytes: per_frame(tally),
        held: (tally.window_due > 0).then(|| tally.window_deliveries as f64 / tally.window_due as f64),
        reach: tally.deliveries as f64 / due.max(1) as f64,
        frames_per_read: tally.deliveries as f64 / tally.reads.max(1) as f64,
        late: tally.late,
        forgiven: tally.forgiven,
    }
}

/// Mean bytes of a frame: in the window, where nearly all frames are deliveries, or in the whole run if the window had
/// none.
fn per_frame(tally: &Tally) -> f64 {
    match tally.window_deliveries {
        0 => tally.bytes as f64 / tally.deliveries.max(1) as f64,
        deliveries => tally.window_bytes as f64 / deliveries as f64,
    }
}

/// Quantiles of a histogram.
pub(crate) fn latency(histogram: &Histogram<u64>) -> Latency {
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    if histogram.is_empty() {
        return Latency::default();
    }
    let curve =
        histogram.iter_quantiles(CURVE_TICKS).map(|step| (step.quantile(), step.value_iterated_to() as f64 / 1e6));
    Latency {
        count: histogram.len(),
        mean: histogram.mean() / 1e6,
        p50: ms(0.5),
        p90: ms(0.9),
        p99: ms(0.99),
        p99_9: ms(0.999),
        p99_99: ms(0.9999),
        max: histogram.max() as f64 / 1e6,
        curve: curve.collect(),
    }
}

fn continuity(tally: &Tally, verified: bool) -> Continuity {
    let findings = tally.findings.iter().map(|finding| {
        let (updates, word) = (finding.updates, finding.fault.word());
        let what = if updates == 1 { "1 update".to_owned() } else { format!("{updates} updates") };
        format!("{}: {what} {word} at seq {}, subscriber {}", finding.topic, finding.seq, finding.subscriber)
    });
    Continuity {
        verified,
        delivered: tally.deliveries,
        images: tally.images,
        skipped: tally.skipped,
        announced: tally.gaps,
        lost: tally.faults_of(Fault::Lost),
        duplicated: tally.faults_of(Fault::Duplicated),
        reordered: tally.faults_of(Fault::Reordered),
        corrupted: tally.faults_of(Fault::Corrupted),
        missing: tally.missing,
        undelivered: tally.undelivered,
        findings: findings.collect(),
    }
}

fn second(second: &crate::run::Second) -> Second {
    let interval = &second.interval;
    let ms = |quantile| interval.corrected.value_at_quantile(quantile) as f64 / 1e6;
    Second {
        second: interval.second,
        published: interval.published,
        deliveries: interval.deliveries,
        subscribers: interval.open,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        max_ms: interval.corrected.max() as f64 / 1e6,
        server_cpu_cores: second.server_cpu_ns.map(|ns| ns as f64 / 1e9),
        server_rss_bytes: second.server_rss_bytes,
    }
}

/// Describes this machine.
pub(crate) fn machine() -> Machine {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Machine {
        processor: processor.map_or_else(String::new, |(_, name)| name.trim().to_owned()),
        cores: std::thread::available_parallelism().map_or(1, Into::into),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}
