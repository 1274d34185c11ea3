//! `loadgen sweep`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use super::run::{measure, setup};
use crate::cli::Sweep;
use crate::report::number::short;
use crate::report::{Report, Table};
use crate::say;

/// The smallest fraction of due deliveries at which a rate counts as held.
const HELD: f64 = 0.98;
/// A search ends when the limit is known to this fraction.
const PRECISION: f64 = 0.05;
/// The most runs of a search.
const TRIES_MAX: usize = 24;

pub(super) fn sweep(command: &Sweep) -> anyhow::Result<ExitCode> {
    let against = &command.against;
    let base = against.change.find(&against.scenario)?;
    ensure!(
        base.publish.in_flight.is_none() && base.publishes(),
        "a sweep changes publish.rate: the scenario needs one"
    );
    let or = |values: &[f64], default: f64| if values.is_empty() { vec![default] } else { values.to_vec() };
    let rates = or(&command.grid_rates, base.publish.rate.unwrap_or(100.0));
    let subscribers = if command.grid_subscribers.is_empty() {
        vec![base.subscribers.count]
    } else {
        command.grid_subscribers.clone()
    };
    let lengths = if command.grid_bytes.is_empty() { vec![base.publish.bytes] } else { command.grid_bytes.clone() };
    let mut all = Vec::new();
    let mut table = Table::new(&[
        "subscribers",
        "bytes",
        "rate/s",
        "deliveries/s",
        "held",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "server CPU",
        "",
    ]);
    for count in &subscribers {
        for bytes in &lengths {
            let mut scenario = base.clone();
            (scenario.subscribers.count, scenario.publish.bytes) = (*count, *bytes);
            let mut run = |rate: f64| {
                scenario.publish.rate = Some(rate);
                scenario.check()?;
                let setup = setup(scenario.clone(), against)?;
                let label = format!("{count} × {bytes} B at {}/s", short(rate));
                measure(&setup, against, &label, command.quiet)
            };
            let reports = match command.bound_ms {
                Some(bound_ms) => search(bound_ms, rates[0], &mut run)?,
                None => rates.iter().map(|rate| run(*rate)).collect::<anyhow::Result<Vec<_>>>()?,
            };
            let best = command.bound_ms.and_then(|bound_ms| best(&reports, bound_ms));
            for (index, report) in reports.iter().enumerate() {
                row(&mut table, report, best == Some(index));
            }
            all.extend(reports);
        }
    }
    let mut text = table.text();
    if let Some(bound_ms) = command.bound_ms {
        text.push_str(&format!(
            "\n*: the highest rate that was held with p99 below {bound_ms} ms, to within {:.0} %\n",
            PRECISION * 100.0
        ));
    }
    say::output(&text)?;
    if let Some(path) = &command.json {
        std::fs::write(path, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Doubles the rate until the bound is crossed, or halves it until it is kept, and then bisects.
fn search(
    bound_ms: f64,
    first: f64,
    run: &mut dyn FnMut(f64) -> anyhow::Result<Report>,
) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    let (mut good, mut bad) = (None::<f64>, None::<f64>);
    let mut rate = first;
    while reports.len() < TRIES_MAX {
        let report = run(rate)?;
        if keeps(&report, bound_ms) {
            good = Some(rate);
        } else {
            bad = Some(rate);
        }
        reports.push(report);
        rate = match (good, bad) {
            (Some(good), Some(bad)) if bad - good <= good * PRECISION => break,
            (Some(good), Some(bad)) => f64::midpoint(good, bad),
            (Some(good), None) => good * 2.0,
            (None, Some(bad)) if bad < 0.02 => break,
            (None, bad) => bad.unwrap_or(first) / 2.0,
        };
    }
    Ok(reports)
}

fn keeps(report: &Report, bound_ms: f64) -> bool {
    report.corrected.count > 0
        && report.corrected.p99 < bound_ms
        && report.delivery.held.is_none_or(|held| held >= HELD)
        && report.ended_early.is_none()
}

fn best(reports: &[Report], bound_ms: f64) -> Option<usize> {
    let rate = |index: &usize| reports[*index].scenario.publish.rate.unwrap_or_default();
    let good = (0..reports.len()).filter(|index| keeps(&reports[*index], bound_ms));
    good.max_by(|a, b| rate(a).total_cmp(&rate(b)))
}

fn row(table: &mut Table, report: &Report, is_best: bool) {
    let server = report.server.as_ref();
    let mut notes = Vec::new();
    if is_best {
        notes.push("*");
    }
    if report.load.bottleneck.is_some() {
        notes.push("load was the bottleneck");
    }
    table.row(vec![
        report.connections.subscribers.to_string(),
        report.scenario.publish.bytes.to_string(),
        short(report.scenario.publish.rate.unwrap_or_default()),
        short(report.delivery.deliveries_per_second),
        report.delivery.held.map_or_else(String::new, |held| format!("{held:.3}")),
        short(report.corrected.p50),
        short(report.corrected.p99),
        short(report.corrected.p99_9),
        server.map_or_else(String::new, |server| format!("{:.2}", server.cpu_cores)),
        notes.join(" "),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches with a server whose p99 grows with the rate, and crosses 10 ms at `crossing`.
    fn searched(crossing: f64, first: f64) -> f64 {
        let mut rates = Vec::new();
        let reports = search(10.0, first, &mut |rate| {
            rates.push(rate);
            let mut report = Report::default();
            report.scenario.publish.rate = Some(rate);
            (report.corrected.count, report.corrected.p99) = (1, 10.0 * rate / crossing);
            Ok(report)
        })
        .expect("nothing fails");
        assert!(rates.len() < TRIES_MAX, "{rates:?}");
        rates[best(&reports, 10.0).expect("there is one below")]
    }

    #[test]
    fn a_search_ends_near_the_crossing_from_either_side() {
        for (crossing, first) in [(1000.0, 100.0), (1000.0, 5000.0), (777.0, 777.0), (3.0, 100.0)] {
            let found = searched(crossing, first);
            assert!(found < crossing && found > crossing * 0.94, "{found} for {crossing} from {first}");
        }
    }
}
