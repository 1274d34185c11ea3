//! Plots over time, second by second: deliveries, latency, and the server's resources.

use maud::{Markup, html};

use super::plot::{Axis, Curve, Plot, SMALL, legend};
use super::scale::{Scale, Ticks, step};
use crate::report::{Report, Second};

/// The most points of a curve; in a longer run each point stands for several seconds.
const POINTS_MAX: usize = 300;

/// A value of a second, if it has one.
type Value = fn(&Second) -> Option<f64>;

/// All plots over time that have values, each in a figure.
pub(super) fn plots(reports: &[Report]) -> Markup {
    let until = reports.iter().filter_map(|report| Some(report.seconds.last()?.second.saturating_add(1))).max();
    let Some(until) = until else {
        return html! { p class="none" { "The run ended before its first second was over." } };
    };
    let longest = reports.iter().map(|report| report.seconds.len()).max().unwrap_or(0);
    let each = longest.div_ceil(POINTS_MAX).max(1);
    let seconds: Vec<Vec<Second>> = reports.iter().map(|report| thinned(&report.seconds, each)).collect();
    let over = Over { seconds, x: time_axis(until), shades: outside(reports, until) };
    let several = reports.len() > 1;
    let latencies: &[(&str, Value)] = if several {
        &[("p99", |second| (second.deliveries > 0).then_some(second.p99_ms))]
    } else {
        &[
            ("p50", |second| (second.deliveries > 0).then_some(second.p50_ms)),
            ("p99", |second| (second.deliveries > 0).then_some(second.p99_ms)),
            ("max", |second| (second.deliveries > 0).then_some(second.max_ms)),
        ]
    };
    let deliveries: Value = |second| Some(second.deliveries as f64);
    let cpu: Value = |second| second.server_cpu_cores;
    let memory: Value = |second| second.server_rss_bytes.map(|bytes| bytes as f64 / 1e6);
    let subscribers: Value = |second| Some(f64::from(second.subscribers));
    let few = |report: &Report| report.seconds.iter().any(|second| second.subscribers < report.connections.subscribers);
    let what = if several { "p99 latency per second" } else { "Latency per second" };
    html! {
        @if several { (legend(reports.iter().map(|report| report.label.as_str()))) }
        div class="plots" {
            (over.figure("Deliveries per second", "deliveries/s", &[("", deliveries)], false))
            (over.figure(what, "ms", latencies, true))
            (over.figure("Server CPU", "cores", &[("", cpu)], false))
            (over.figure("Server memory", "MB", &[("", memory)], false))
            @if reports.iter().any(few) { (over.figure("Subscribers", "connected", &[("", subscribers)], false)) }
        }
        p class="note" {
            "Latencies are corrected: from when updates were due. "
            @if !over.shades.is_empty() { "Shaded: before and after the window that is measured. " }
            @if each > 1 {
                "Each point stands for " (each) " seconds: their mean of the deliveries, their highest of the rest."
            }
        }
    }
}

/// The parts that the plots share.
struct Over {
    seconds: Vec<Vec<Second>>,
    x: Axis,
    shades: Vec<(f64, f64)>,
}

impl Over {
    /// A plot of these values of every report; nothing if there are none.
    fn figure(&self, title: &str, unit: &str, values: &[(&str, Value)], latency: bool) -> Markup {
        let mut curves: Vec<Curve> = Vec::new();
        for seconds in &self.seconds {
            for (_, value) in values {
                let pieces = pieces(seconds, *value);
                curves.push(Curve { number: curves.len(), pieces, marks: Vec::new() });
            }
        }
        let all = || curves.iter().flat_map(|curve| curve.pieces.iter().flatten()).map(|(_, value)| *value);
        if all().next().is_none() {
            return html! {};
        }
        let (lowest, highest) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
        let (scale, ticks) = if latency {
            // Passes the lowest value, which is a median, as the median.
            Scale::latency(lowest, lowest, highest)
        } else {
            Scale::from_zero(highest)
        };
        let how = if matches!(scale, Scale::Log { .. }) { " (log scale)" } else { "" };
        let y = Axis { title: format!("{unit}{how}"), scale, ticks };
        let about = format!("{title}: highest {} {unit}.", crate::report::number::short(highest));
        let plot = Plot { about: &about, x: &self.x, y: &y, curves: &curves, shades: &self.shades };
        html! {
            figure {
                figcaption { (title) @if values.len() > 1 { (legend(values.iter().map(|(name, _)| *name))) } }
                (plot.draw(SMALL))
            }
        }
    }
}

/// The pieces of a curve: runs of adjacent seconds that have the value.
fn pieces(seconds: &[Second], value: Value) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = vec![Vec::new()];
    for second in seconds {
        match (value(second), pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.push((f64::from(second.second) + 0.5, value)),
            (_, Some(piece)) if piece.is_empty() => {}
            _ => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Combines every `each` seconds into one: the mean of counts, the highest of measurements.
fn thinned(seconds: &[Second], each: usize) -> Vec<Second> {
    let one = |few: &[Second]| {
        let highest = |value: fn(&Second) -> f64| few.iter().map(value).fold(0.0, f64::max);
        let mean = |value: fn(&Second) -> u64| few.iter().map(value).sum::<u64>() / few.len() as u64;
        Second {
            second: few[few.len() / 2].second,
            published: mean(|second| second.published),
            deliveries: mean(|second| second.deliveries),
            subscribers: few.iter().map(|second| second.subscribers).max().unwrap_or(0),
            p50_ms: highest(|second| second.p50_ms),
            p99_ms: highest(|second| second.p99_ms),
            max_ms: highest(|second| second.max_ms),
            server_cpu_cores: few.iter().filter_map(|second| second.server_cpu_cores).reduce(f64::max),
            server_rss_bytes: few.iter().filter_map(|second| second.server_rss_bytes).max(),
        }
    };
    seconds.chunks(each).map(one).collect()
}

fn time_axis(until: u32) -> Axis {
    let (unit, name) = match until {
        ..=300 => (1.0, "s"),
        301..=18_000 => (60.0, "min"),
        _ => (3600.0, "h"),
    };
    let end = f64::from(until);
    let step = step(end / unit).max(1.0);
    let ticks: Ticks = (0..)
        .map(|index| f64::from(index) * step)
        .take_while(|value| value * unit <= end)
        .map(|value| (value * unit, Some(format!("{value:.0}"))))
        .collect();
    let title = format!("{name} since publishing began");
    Axis { title, scale: Scale::Linear { from: 0.0, to: end }, ticks }
}

/// The ranges of warm-up and drain, if they are the same for all reports.
fn outside(reports: &[Report], until: u32) -> Vec<(f64, f64)> {
    let window = |report: &Report| (report.scenario.warm_up_seconds, report.scenario.seconds);
    let Some((warm_up, seconds)) = reports.first().map(window) else { return Vec::new() };
    if reports.iter().any(|report| window(report) != (warm_up, seconds)) {
        return Vec::new();
    }
    let parts = [(0.0, warm_up), (warm_up + seconds, f64::from(until))];
    parts.into_iter().filter(|(from, to)| to > from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u32, deliveries: u64) -> Second {
        Second {
            second,
            published: deliveries,
            deliveries,
            subscribers: 1,
            p50_ms: 1.0,
            p99_ms: f64::from(second),
            max_ms: 9.0,
            server_cpu_cores: None,
            server_rss_bytes: Some(7),
        }
    }

    #[test]
    fn a_second_without_deliveries_interrupts_the_line() {
        let seconds: Vec<Second> = [0, 5, 6, 0, 0, 7].into_iter().zip(0..).map(|(of, at)| second(at, of)).collect();
        let pieces = pieces(&seconds, |second| (second.deliveries > 0).then_some(second.p99_ms));
        assert_eq!(pieces, [vec![(1.5, 1.0), (2.5, 2.0)], vec![(5.5, 5.0)]]);
    }

    #[test]
    fn long_runs_keep_their_peaks() {
        let seconds: Vec<Second> = (0..10).map(|at| second(at, u64::from(at) * 10)).collect();
        let thin = thinned(&seconds, 4);
        let points: Vec<_> = thin.iter().map(|second| (second.second, second.deliveries, second.p99_ms)).collect();
        assert_eq!(points, [(2, 15, 3.0), (6, 55, 7.0), (9, 85, 9.0)]);
        assert_eq!((thin[0].server_cpu_cores, thin[0].server_rss_bytes), (None, Some(7)));
    }
}
