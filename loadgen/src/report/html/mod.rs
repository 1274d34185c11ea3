//! One page with everything in it: it loads nothing, runs nothing, and reads well in light and dark, wide and narrow.
//!
//! ```text
//! scale        maps values to positions, and chooses the values that an axis names
//! plot         axes and curves as SVG
//! percentiles  latency by percentile
//! time         second by second
//! verdict      the verdict of the verifier
//! tables       figures
//! ```
//!
//! Text is escaped where it is written (maud does that), and the page is well-formed XML as well as HTML: its tests
//! read it as XML.

mod percentiles;
mod plot;
mod scale;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod verdict;

use std::time::{Duration, UNIX_EPOCH};

use clap::ValueEnum as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::number::{bytes, short};
use super::{Report, table};
use crate::scenario::Scenario;

/// Elements without an end are written here by hand, because `maud` does not write them as XML. The policy makes the
/// browser enforce what the page promises: nothing is loaded, nothing runs.
const HEAD: &str = "<meta charset=\"utf-8\"/>\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>";

/// The last second whose year has four digits.
const TIME_MAX: u64 = 253_402_300_799;

/// The page of one report, or of several to compare, each with a line in every plot and a column in the table.
pub(crate) fn page(title: &str, reports: &[Report]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" xmlns="http://www.w3.org/1999/xhtml" {
            head {
                (PreEscaped(HEAD))
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (content(title, reports)) } }
        }
    };
    // Text from a server may contain characters that are invalid in XML.
    let strange = |character: char| {
        (character.is_control() && !"\n\t".contains(character)) || "\u{fffe}\u{ffff}".contains(character)
    };
    page.into_string().replace(strange, "\u{fffd}")
}

fn content(title: &str, reports: &[Report]) -> Markup {
    html! {
        header {
            h1 { (title) }
            (lead(reports))
            (warnings(reports))
            @match reports {
                [] => p class="none" { "There is no report." },
                [report] => { (headline(report)) }
                _ => { h2 { "In short" } (tables::summary(reports)) }
            }
        }
        @if !reports.is_empty() {
            section {
                h2 { "Latency by percentile" }
                figure { (percentiles::plot(reports)) }
                p class="note" {
                    "Each step to the right leaves a tenth of the distance to 100 %. "
                    "Latency counts from when an update was due, not from when it could be sent, "
                    "so that a stall shows in all updates that waited for it."
                }
            }
            section { h2 { "Over time" } (time::plots(reports)) }
            section { h2 { "Figures" } (tables::latencies(reports)) (tables::figures(reports)) }
            section {
                h2 { "Verdict on the streams" }
                @for report in reports { (verdict::details(report, reports.len() > 1)) }
            }
            section { h2 { "Scenario" } (scenarios(reports)) }
            section { h2 { "Target and machine" } @for report in reports { (origin(report, reports.len() > 1)) } }
        }
    }
}

/// What was done, in words, as far as it is the same for all reports.
fn lead(reports: &[Report]) -> Markup {
    let Some(first) = reports.first() else { return html! {} };
    let about = &first.scenario.about;
    let words = |report: &Report| (table::load_words(report), report.scenario.seconds);
    let (load, seconds) = words(first);
    html! {
        @if !about.is_empty() && reports.iter().all(|report| report.scenario.about == *about) {
            p class="lead" { (about) "." }
        }
        @if reports.iter().all(|report| words(report) == (load.clone(), seconds)) {
            p class="meta" {
                (load) ", over " (seconds) " s"
                @if reports.len() == 1 { ", at " code { (first.target) } } "."
            }
        }
    }
}

/// What a reader must know before any figure.
fn warnings(reports: &[Report]) -> Markup {
    let kinds: [(&str, Reason); 2] = [
        ("The run ended early; this page covers the run until then:", |report| report.ended_early.as_deref()),
        ("The load generator was the bottleneck:", |report| report.load.bottleneck.as_deref()),
    ];
    html! {
        @for (what, why) in kinds {
            @let reasons: Vec<_> = reports.iter().filter_map(|report| Some((&report.label, why(report)?))).collect();
            @if !reasons.is_empty() {
                div class="callout" {
                    strong { "! " (what) }
                    @if reports.len() == 1 { " " (reasons[0].1) "." }
                    @else { ul { @for (label, reason) in &reasons { li { (label) ": " (reason) } } } }
                }
            }
        }
    }
}

/// The reason for a warning, if a report has one.
type Reason = fn(&Report) -> Option<&str>;

/// The most important figures.
fn headline(report: &Report) -> Markup {
    let latency = &report.corrected;
    let ms = |ms: f64| if latency.count > 0 { short(ms) } else { "–".to_owned() };
    let (verdict, sentence) = verdict::of(report);
    let delivery = &report.delivery;
    let mut tiles = vec![
        ("p50".to_owned(), ms(latency.p50), "ms", "half were faster".to_owned()),
        ("p99".to_owned(), ms(latency.p99), "ms", "99 of 100 were faster".to_owned()),
        ("p99.9".to_owned(), ms(latency.p99_9), "ms", "999 of 1000 were faster".to_owned()),
        ("maximum".to_owned(), ms(latency.max), "ms", format!("of {} deliveries", short(latency.count as f64))),
        (
            "deliveries".to_owned(),
            short(delivery.deliveries_per_second),
            "/s",
            delivery.held.map_or_else(String::new, |held| format!("{:.1} % of those due", held * 100.0)),
        ),
        ("bytes".to_owned(), bytes(delivery.bytes_per_second), "/s", format!("{} each", bytes(delivery.frame_bytes))),
    ];
    if let Some(server) = &report.server {
        let (cpu, cores) = (short(server.cpu_ns_per_delivery), format!("{:.2} cores", server.cpu_cores));
        tiles.push(("server CPU per delivery".to_owned(), cpu, "ns", cores));
        let (each, all) = (bytes(server.rss_bytes_per_connection), bytes(server.rss_bytes as f64));
        tiles.push(("server memory per connection".to_owned(), each, "", format!("{all} in all")));
    }
    html! {
        p class={ "verdict " (verdict.class()) } { strong { (verdict.sign()) } " " (sentence) }
        dl class={ "tiles" @if tiles.len() % 4 > 0 { " threes" } } {
            @for (name, value, unit, beside) in &tiles {
                div {
                    dt { (name) }
                    dd class="value" { (value) @if !unit.is_empty() { small { " " (unit) } } }
                    dd class="beside" { (beside) }
                }
            }
        }
    }
}

/// Each distinct scenario once, as TOML, to run it again.
fn scenarios(reports: &[Report]) -> Markup {
    let mut distinct: Vec<(&Scenario, Vec<&str>)> = Vec::new();
    for report in reports {
        match distinct.iter_mut().find(|(scenario, _)| **scenario == report.scenario) {
            Some((_, labels)) => labels.push(&report.label),
            None => distinct.push((&report.scenario, vec![&report.label])),
        }
    }
    html! {
        @for (scenario, labels) in &distinct {
            @if distinct.len() > 1 { h3 { (labels.join(", ")) } }
            // A scenario came from TOML, or consists of values that TOML can express.
            pre tabindex="0" { code { (toml::to_string(scenario).unwrap_or_default()) } }
        }
    }
}

/// Where a report comes from.
fn origin(report: &Report, several: bool) -> Markup {
    let machine = &report.machine;
    let protocol = report.protocol.to_possible_value();
    let protocol = protocol.as_ref().map_or("", |value| value.get_name());
    let time = UNIX_EPOCH + Duration::from_secs(report.time.min(TIME_MAX));
    html! {
        @if several { h3 { (report.label) } }
        dl class="about" {
            dt { "target" } dd { code { (report.target) } " (" (protocol) ")" }
            dt { "processor" } dd { (machine.processor) ", " (machine.cores) " core" @if machine.cores != 1 { "s" } }
            dt { "kernel" } dd { (machine.kernel) }
            dt { "measured by" } dd { (report.tool) }
            dt { "when" } dd { (httpdate::fmt_http_date(time)) }
            @if !report.command.is_empty() { dt { "command" } dd { code { (command(&report.command)) } } }
        }
    }
}

/// A command as typed in a shell, with the program's name but not its folder.
fn command(words: &[String]) -> String {
    let plain = |word: &String| {
        !word.is_empty()
            && word.chars().all(|character| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character))
    };
    let quoted = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    let mut words: Vec<String> = words.iter().map(quoted).collect();
    if let Some((_, program)) = words.first().and_then(|path| path.rsplit_once('/')) {
        words[0] = program.to_owned();
    }
    words.join(" ")
}
