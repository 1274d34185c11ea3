//! A report for a terminal: a table that is Markdown as well.

use std::fmt::Write as _;

use super::Report;
use super::number::{bytes, short};

/// A table in Markdown, its columns aligned.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|column| (*column).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn text(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:width$} |"));
            writeln!(text, "|{}", cells.collect::<String>()).expect("memory takes everything");
            if number == 0 {
                let lines = widths.iter().map(|&width| format!("{:-<1$}|", "", width + 2));
                writeln!(text, "|{}", lines.collect::<String>()).expect("memory takes everything");
            }
        }
        text
    }
}

/// The table of the most important figures of a report.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut push = |line: String| text.push_str(&line);
    push(format!("{}: {}\n", report.label, report.scenario.about));
    push(format!("{} over {:.0} s at {}\n\n", load_words(report), report.scenario.seconds, report.target));
    let mut latency = Table::new(&["latency, ms", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"]);
    for (name, of) in [("from when it was due", &report.corrected), ("from when it was sent", &report.raw)] {
        let cells = [of.p50, of.p90, of.p99, of.p99_9, of.p99_99, of.max, of.mean].map(short);
        latency.row([vec![name.to_owned()], cells.to_vec()].concat());
    }
    push(latency.text());
    push("\n".to_owned());
    let mut figures = Table::new(&["figure", "value"]);
    rows(report).into_iter().for_each(|(name, value)| figures.row(vec![name.to_owned(), value]));
    push(figures.text());
    let continuity = &report.continuity;
    if !continuity.findings.is_empty() {
        push(format!("\nFaults (the first {}):\n", continuity.findings.len().min(10)));
        continuity.findings.iter().take(10).for_each(|finding| push(format!("  {finding}\n")));
    }
    let troubles = [
        ("could not connect", &report.connections.failed),
        ("were ended by the server", &report.connections.ended),
        ("requests were refused", &report.connections.refused),
    ];
    for (what, reasons) in troubles {
        for (reason, times) in reasons {
            push(format!("\n{times} {what}: {reason}"));
        }
    }
    if let Some(bottleneck) = &report.load.bottleneck {
        push(format!("\nThe load generator was the bottleneck: {bottleneck}.\n"));
    }
    if let Some(early) = &report.ended_early {
        push(format!("\nThe run ended early: {early}. The figures above cover the run until then.\n"));
    }
    text
}

pub(super) fn load_words(report: &Report) -> String {
    let publish = &report.scenario.publish;
    let what = match (report.scenario.publishes(), publish.in_flight) {
        (false, _) => "a feed from another publisher".to_owned(),
        (true, Some(in_flight)) => format!("{in_flight} updates of {} bytes in flight", publish.bytes),
        (true, None) => {
            format!("{} updates/s of {} bytes", short(publish.rate.unwrap_or(100.0)), publish.bytes)
        }
    };
    format!("{} subscribers, {what}", report.connections.subscribers)
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let (delivery, continuity) = (&report.delivery, &report.continuity);
    let mut rows = vec![
        ("published/s", short(delivery.published_per_second)),
        ("deliveries/s", short(delivery.deliveries_per_second)),
        ("bytes/s", bytes(delivery.bytes_per_second)),
        ("reach (received of due)", format!("{:.4}", delivery.reach)),
        ("bytes per delivery", bytes(delivery.frame_bytes)),
        ("deliveries per read", short(delivery.frames_per_read)),
    ];
    if let Some(held) = delivery.held {
        rows.insert(3, ("rate held in the window", format!("{held:.3}")));
    }
    if let Some(server) = &report.server {
        rows.push(("server: CPU per delivery", format!("{} ns", short(server.cpu_ns_per_delivery))));
        rows.push(("server: CPU", format!("{:.2} cores, of cores {}", server.cpu_cores, server.cores)));
        rows.push(("server: memory per connection", bytes(server.rss_bytes_per_connection)));
    }
    rows.push(("load: CPU per delivery", format!("{} ns", short(report.load.cpu_ns_per_delivery))));
    let threads = report.load.threads;
    rows.push(("load: CPU", format!("{:.0} % of {threads} thread(s)", report.load.cpu_part * 100.0)));
    rows.push(("load: memory per connection", bytes(report.load.rss_bytes_per_connection)));
    let connections = &report.connections;
    rows.push((
        "connecting",
        format!(
            "{}/s, p50 {} ms, p99 {} ms",
            short(connections.connect_rate),
            short(connections.connect_p50_ms),
            short(connections.connect_p99_ms)
        ),
    ));
    if let Some(cpu_us) = connections.server_cpu_us {
        rows.push(("server: CPU per connection made", format!("{} µs", short(cpu_us))));
    }
    for (negotiated, times) in &connections.tls {
        rows.push(("connections made with", format!("{negotiated}: {times}")));
    }
    if let Some(reconnect) = &connections.reconnect {
        let [p50, p99, max] = [reconnect.p50_ms, reconnect.p99_ms, reconnect.max_ms].map(short);
        rows.push(("back after the storm", format!("{}: p50 {p50}, p99 {p99}, last {max} ms", reconnect.count)));
        if let Some(stayed) = &reconnect.stayed {
            let [before, during] = [stayed.before_p99_ms, stayed.during_p99_ms].map(short);
            rows.push((
                "p99 of those who stayed",
                format!("{before} ms before the storm, {during} ms until all were back"),
            ));
        }
    }
    let streams = if continuity.verified { "updates, with payloads verified" } else { "updates" };
    // Counts of updates are whole numbers.
    let count = |number: u64| if number < 100_000 { number.to_string() } else { short(number as f64) };
    rows.push((
        streams,
        format!(
            "{} delivered, {} skipped under an image, {} announced as lost, {} gone with their connection",
            count(continuity.delivered),
            count(continuity.skipped),
            count(continuity.announced),
            count(continuity.missing)
        ),
    ));
    rows.push((
        "faults (must be 0)",
        format!(
            "{} lost silently, {} duplicated, {} reordered, {} corrupted, {} not there at the end",
            continuity.lost, continuity.duplicated, continuity.reordered, continuity.corrupted, continuity.undelivered
        ),
    ));
    if delivery.forgiven > 0 {
        rows.push(("stalls of the closed loop", delivery.forgiven.to_string()));
    }
    rows
}
