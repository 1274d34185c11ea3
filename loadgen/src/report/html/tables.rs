//! The figures, a column for each report.

use maud::{Markup, html};

use super::plot::key;
use crate::report::number::{bytes, short};
use crate::report::{Latency, Report, Server, Stayed};

/// A figure: its group, its name, and its value if the report has one.
type Figure = (&'static str, &'static str, fn(&Report) -> Option<String>);

fn server(report: &Report, show: fn(&Server) -> String) -> Option<String> {
    report.server.as_ref().map(show)
}

fn stayed(report: &Report, p99_ms: fn(&Stayed) -> f64) -> Option<String> {
    let stayed = report.connections.reconnect.as_ref()?.stayed.as_ref()?;
    Some(format!("{} ms", short(p99_ms(stayed))))
}

const FIGURES: &[Figure] = &[
    ("Delivery", "updates published per second", |r| Some(short(r.delivery.published_per_second))),
    ("Delivery", "deliveries per second", |r| Some(short(r.delivery.deliveries_per_second))),
    ("Delivery", "bytes per second", |r| Some(bytes(r.delivery.bytes_per_second))),
    ("Delivery", "bytes per delivery", |r| Some(bytes(r.delivery.frame_bytes))),
    ("Delivery", "deliveries per read", |r| Some(short(r.delivery.frames_per_read))),
    ("Delivery", "rate held in the window", |r| r.delivery.held.map(|held| format!("{held:.3}"))),
    ("Delivery", "reach: received of due", |r| Some(format!("{:.4}", r.delivery.reach))),
    ("Delivery", "handed over late, by more than 1 ms", |r| Some(r.delivery.late.to_string())),
    ("Delivery", "stalls of the closed loop", |r| (r.delivery.forgiven > 0).then(|| r.delivery.forgiven.to_string())),
    ("Server", "CPU per delivery", |r| server(r, |server| format!("{} ns", short(server.cpu_ns_per_delivery)))),
    ("Server", "CPU, in cores", |r| server(r, |server| format!("{:.2}", server.cpu_cores))),
    ("Server", "allowed cores", |r| server(r, |server| server.cores.clone())),
    ("Server", "memory per connection", |r| server(r, |server| bytes(server.rss_bytes_per_connection))),
    ("Server", "memory with all connections", |r| server(r, |server| bytes(server.rss_bytes as f64))),
    ("Connections", "subscribers", |r| Some(r.connections.subscribers.to_string())),
    ("Connections", "connected per second", |r| Some(short(r.connections.connect_rate))),
    ("Connections", "time to subscribe, p50", |r| Some(format!("{} ms", short(r.connections.connect_p50_ms)))),
    ("Connections", "time to subscribe, p99", |r| Some(format!("{} ms", short(r.connections.connect_p99_ms)))),
    ("Connections", "CPU of the server for each", |r| {
        r.connections.server_cpu_us.map(|cpu_us| format!("{} µs", short(cpu_us)))
    }),
    ("Connections", "TLS", |r| {
        let words = r.connections.tls.iter().map(|(negotiated, times)| format!("{times} × {negotiated}"));
        (!r.connections.tls.is_empty()).then(|| words.collect::<Vec<_>>().join("; "))
    }),
    ("Connections", "back after the storm", |r| r.connections.reconnect.as_ref().map(|back| back.count.to_string())),
    ("Connections", "back after, p50", |r| {
        r.connections.reconnect.as_ref().map(|back| format!("{} ms", short(back.p50_ms)))
    }),
    ("Connections", "back after, p99", |r| {
        r.connections.reconnect.as_ref().map(|back| format!("{} ms", short(back.p99_ms)))
    }),
    ("Connections", "the last was back after", |r| {
        r.connections.reconnect.as_ref().map(|back| format!("{} ms", short(back.max_ms)))
    }),
    ("Connections", "p99 of those who stayed, before the storm", |r| stayed(r, |stayed| stayed.before_p99_ms)),
    ("Connections", "p99 of those who stayed, until all were back", |r| stayed(r, |stayed| stayed.during_p99_ms)),
    ("Load generator", "CPU per delivery", |r| Some(format!("{} ns", short(r.load.cpu_ns_per_delivery)))),
    ("Load generator", "CPU, of the time of its threads", |r| Some(format!("{:.0} %", r.load.cpu_part * 100.0))),
    ("Load generator", "threads", |r| Some(r.load.threads.to_string())),
    ("Load generator", "memory per connection", |r| Some(bytes(r.load.rss_bytes_per_connection))),
];

/// All figures: for one report a small table per group, for several reports one table with a column for each.
pub(super) fn figures(reports: &[Report]) -> Markup {
    let mut groups: Vec<(&str, Vec<Row>)> = Vec::new();
    for (group, name, value) in FIGURES {
        let values: Vec<Option<String>> = reports.iter().map(*value).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        match groups.last_mut() {
            Some((last, rows)) if last == group => rows.push((name, values)),
            _ => groups.push((group, vec![(name, values)])),
        }
    }
    if reports.len() == 1 {
        return html! {
            div class="groups" {
                @for (group, rows) in &groups { table { caption { (group) } tbody { (body(rows)) } } }
            }
        };
    }
    scroll(
        "figures",
        &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "figure" }
                        @for (number, report) in reports.iter().enumerate() {
                        th scope="col" { (named(report, number)) }
                    }
                    }
                }
                @for (group, rows) in &groups {
                    tbody {
                        tr class="group" { th scope="rowgroup" colspan=(reports.len() + 1) { (group) } }
                        (body(rows))
                    }
                }
            }
        },
    )
}

/// A figure's name and its value for each report.
type Row = (&'static str, Vec<Option<String>>);

fn body(rows: &[Row]) -> Markup {
    html! {
        @for (name, values) in rows {
            tr {
                th scope="row" { (name) }
                @for value in values { td { (value.as_deref().unwrap_or("–")) } }
            }
        }
    }
}

/// The percentiles of every report.
pub(super) fn latencies(reports: &[Report]) -> Markup {
    let columns = ["p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"];
    let row = |head: &Markup, latency: &Latency| {
        let of = latency;
        let cells = [of.p50, of.p90, of.p99, of.p99_9, of.p99_99, of.max, of.mean].map(short);
        html! {
            tr {
                th scope="row" { (head) }
                @for cell in &cells { td { @if of.count > 0 { (cell) } @else { "–" } } }
            }
        }
    };
    scroll(
        "latency in milliseconds",
        &html! {
            table {
                thead {
                    tr { th scope="col" { "latency, ms" } @for column in columns { th scope="col" { (column) } } }
                }
                @for (number, report) in reports.iter().enumerate() {
                    tbody {
                        @if reports.len() > 1 {
                            tr class="group" {
                                th scope="rowgroup" colspan=(columns.len() + 1) { (named(report, number)) }
                            }
                        }
                        (row(&html! { "corrected" }, &report.corrected))
                        (row(&html! { "raw" }, &report.raw))
                    }
                }
            }
        },
    )
}

/// The most important figures, a row for each report.
pub(super) fn summary(reports: &[Report]) -> Markup {
    let columns = ["p50, ms", "p99, ms", "p99.9, ms", "max, ms", "deliveries/s", "held", "CPU/delivery", "streams"];
    scroll(
        "summary",
        &html! {
            table {
                thead { tr { th scope="col" { "run" } @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for (number, report) in reports.iter().enumerate() {
                        @let of = &report.corrected;
                        @let (verdict, _) = super::verdict::of(report);
                        tr {
                            th scope="row" { (named(report, number)) }
                            @for ms in [of.p50, of.p99, of.p99_9, of.max] {
                                td { @if of.count > 0 { (short(ms)) } @else { "–" } }
                            }
                            td { (short(report.delivery.deliveries_per_second)) }
                            td { (report.delivery.held.map_or("–".to_owned(), |held| format!("{held:.3}"))) }
                            td {
                                (server(report, |server| format!("{} ns", short(server.cpu_ns_per_delivery)))
                                    .unwrap_or("–".to_owned()))
                            }
                            td class=(verdict.class()) { (verdict.sign()) " " (verdict.word()) }
                        }
                    }
                }
            }
        },
    )
}

/// A report's name, with its line in the plots.
fn named(report: &Report, number: usize) -> Markup {
    html! { (key(number)) (report.label) }
}

/// Puts a table into a frame of its own in which it scrolls, also by keyboard.
fn scroll(about: &str, table: &Markup) -> Markup {
    html! { div class="scroll" role="region" tabindex="0" aria-label=(about) { (table) } }
}
