//! The tables of a comparison: medians with their spread, and ratios of medians to a base.

use std::collections::BTreeMap;

use super::rounds::Results;
use crate::report::number::{median, short, spread};
use crate::report::{Report, Stayed, Table};

type Figure = fn(&Report) -> Option<f64>;

/// The figures: name, value, and whether the ratio to the base is shown.
const FIGURES: &[(&str, Figure, bool)] = &[
    ("deliveries/s", |report| Some(report.delivery.deliveries_per_second), false),
    ("held", |report| report.delivery.held, false),
    ("CPU ns/delivery", |report| report.server.as_ref().map(|server| server.cpu_ns_per_delivery), true),
    ("CPU cores", |report| report.server.as_ref().map(|server| server.cpu_cores), false),
    ("p50 ms", |report| Some(report.corrected.p50), true),
    ("p99 ms", |report| Some(report.corrected.p99), true),
    ("p99.9 ms", |report| Some(report.corrected.p99_9), false),
    ("B/frame", |report| Some(report.delivery.frame_bytes), false),
    ("B/connection", |report| report.server.as_ref().map(|server| server.rss_bytes_per_connection), false),
    ("CPU µs/connect", |report| report.connections.server_cpu_us, false),
    ("all back s", |report| report.connections.reconnect.as_ref().map(|back| back.max_ms / 1000.0), false),
    ("stayed p99 ms before", |report| stayed(report, |stayed| (stayed.before, stayed.before_p99_ms)), false),
    ("stayed p99 ms until all back", |report| stayed(report, |stayed| (stayed.during, stayed.during_p99_ms)), false),
];

/// What those saw who kept their connections in a storm: `of` has the number of deliveries and their p99.
fn stayed(report: &Report, of: fn(&Stayed) -> (u64, f64)) -> Option<f64> {
    let (deliveries, p99_ms) = of(report.connections.reconnect.as_ref()?.stayed.as_ref()?);
    (deliveries > 0).then_some(p99_ms)
}

/// The table of a scenario.
pub(crate) fn table(results: &Results, base: Option<&str>) -> String {
    let mut columns = vec!["server".to_owned()];
    // Some figures belong to some scenarios only.
    let any =
        |figure: &Figure| results.of.iter().flat_map(|(_, reports)| reports).any(|report| figure(report).is_some());
    let figures: Vec<_> = FIGURES.iter().filter(|(_, figure, _)| any(figure)).collect();
    for (name, _, with_ratio) in &figures {
        columns.push((*name).to_owned());
        if let (true, Some(base)) = (with_ratio, base) {
            columns.push(format!("× {base}"));
        }
    }
    columns.extend(["wrong".to_owned(), "runs".to_owned()]);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&columns);
    for (name, reports) in &results.of {
        let mut cells = vec![name.clone()];
        for (_, figure, with_ratio) in &figures {
            let values: Vec<f64> = reports.iter().filter_map(figure).collect();
            cells.push(spread(&values));
            if let (true, Some(base)) = (with_ratio, base) {
                let of_base: Vec<f64> = results.of(base).iter().filter_map(figure).collect();
                let ratio = median(&values) / median(&of_base);
                cells.push(if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() });
            }
        }
        cells.push(wrong(reports));
        cells.push(reports.len().to_string());
        table.row(cells);
    }
    let mut text = table.text();
    for (name, reports) in &results.of {
        for (negotiated, times) in handshakes(reports) {
            text.push_str(&format!("\n{name}: {times} connections with {negotiated}.\n"));
        }
    }
    for (name, errors) in &results.failed {
        text.push_str(&format!("\n{name} failed {} times: {}\n", errors.len(), errors[0]));
    }
    for (name, reports) in &results.of {
        let busy = reports.iter().filter(|report| report.load.bottleneck.is_some()).count();
        if let Some(reason) = reports.iter().find_map(|report| report.load.bottleneck.as_ref()) {
            text.push_str(&format!("\n{name}: in {busy} runs the load generator was the bottleneck: {reason}.\n"));
        }
    }
    text
}

/// The connections that were made with TLS, by what was negotiated.
fn handshakes(reports: &[Report]) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    for (negotiated, times) in reports.iter().flat_map(|report| &report.connections.tls) {
        *all.entry(negotiated.as_str()).or_default() += times;
    }
    all
}

/// The faults of all streams, added up, and the updates that did not arrive.
fn wrong(reports: &[Report]) -> String {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let counts = [
        (sum(|report| report.continuity.lost), "lost"),
        (sum(|report| report.continuity.duplicated), "duplicated"),
        (sum(|report| report.continuity.reordered), "reordered"),
        (sum(|report| report.continuity.corrupted), "corrupted"),
        (sum(|report| report.continuity.undelivered), "not there at the end"),
        (sum(|report| report.continuity.missing), "gone with their connection"),
        (sum(|report| report.continuity.announced), "announced as lost"),
        (sum(|report| report.connections.ended.values().sum()), "connections ended"),
        (sum(|report| report.connections.failed.values().sum()), "connections not made"),
        (sum(|report| report.connections.refused.values().sum()), "requests refused"),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", short(*count as f64)))
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// One sentence: the server as a multiple of the floor.
pub(crate) fn verdict(results: &Results, server: &str, floor: &str) -> String {
    let ratio = |figure: Figure| {
        let of = |name: &str| median(&results.of(name).iter().filter_map(figure).collect::<Vec<_>>());
        of(server) / of(floor)
    };
    let text = |ratio: f64| if ratio.is_finite() { format!("{ratio:.2}") } else { "?".to_owned() };
    let cpu = ratio(|report| report.server.as_ref().map(|server| server.cpu_ns_per_delivery));
    let rate = ratio(|report| Some(report.delivery.deliveries_per_second));
    let (p50, p99) = (ratio(|report| Some(report.corrected.p50)), ratio(|report| Some(report.corrected.p99)));
    format!(
        "Relative to the {floor}: deliveries/s {} ×, CPU per delivery {} ×, p50 {} ×, p99 {} ×",
        text(rate),
        text(cpu),
        text(p50),
        text(p99)
    )
}
