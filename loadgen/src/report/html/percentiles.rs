//! Latency by percentile, like HdrHistogram's plots: each step to the right leaves a tenth of the distance to 100 %.

use maud::{Markup, html};

use super::plot::{Axis, Curve, Mark, NARROW, Plot, WIDE, legend};
use super::scale::{Scale, Ticks};
use crate::report::number::short;
use crate::report::{Latency, Report};

/// The smallest number of powers of ten: the axis reaches at least 99 %.
const DECADES_MIN: f64 = 2.0;
/// The largest number of powers of ten: beyond 99.99999 % there is only the maximum.
const DECADES_MAX: f64 = 7.0;

/// How far below the median a logarithmic axis reaches: faster deliveries are at its edge.
const FASTEST_FACTOR: f64 = 4.0;

/// The plot: corrected and raw latency of one report, or the corrected latency of several.
pub(super) fn plot(reports: &[Report]) -> Markup {
    let several = reports.len() > 1;
    let mut series: Vec<(String, &Latency)> = Vec::new();
    for report in reports {
        if several {
            series.push((report.label.clone(), &report.corrected));
        } else {
            series.push(("corrected: from when it was due".to_owned(), &report.corrected));
            series.push(("raw: from when it was sent".to_owned(), &report.raw));
        }
    }
    let some: Vec<&Latency> = series.iter().map(|(_, latency)| *latency).filter(|latency| latency.count > 0).collect();
    if some.is_empty() {
        return html! { p class="none" { "Nothing was delivered in the window: there is no latency to show." } };
    }
    let decades = some.iter().map(|latency| rarest(latency)).fold(DECADES_MIN, f64::max);
    let lowest = some.iter().filter_map(|latency| Some(latency.curve.first()?.1)).fold(f64::INFINITY, f64::min);
    let median = some.iter().map(|latency| latency.p50).fold(f64::INFINITY, f64::min);
    // A few deliveries far faster than the rest would take up much of a logarithmic axis.
    let lowest = lowest.max(median / FASTEST_FACTOR);
    let highest = some.iter().map(|latency| latency.max).fold(0.0, f64::max);
    let (scale, ticks) = Scale::latency(lowest, median, highest);
    let how = if matches!(scale, Scale::Log { .. }) { "latency, ms (log scale)" } else { "latency, ms" };
    let y = Axis { title: how.to_owned(), scale, ticks };
    let x = Axis {
        title: "percentile, %".to_owned(),
        scale: Scale::Linear { from: 0.0, to: decades },
        ticks: percentiles(decades),
    };
    let curves: Vec<Curve> = series
        .iter()
        .enumerate()
        .map(|(number, (name, latency))| Curve {
            number,
            pieces: vec![points(latency)],
            marks: marks(name, latency, number == 0 && !several),
        })
        .collect();
    let about = about(&series);
    let plot = Plot { about: &about, x: &x, y: &y, curves: &curves, shades: &[] };
    html! { (legend(series.iter().map(|(name, _)| name.as_str()))) (plot.draw(WIDE)) (plot.draw(NARROW)) }
}

/// The x value of a quantile: 0 at 0 %, 1 at 90 %, 2 at 99 %.
fn position(quantile: f64) -> f64 {
    (1.0 / (1.0 - quantile).max(f64::MIN_POSITIVE)).log10()
}

/// The x value of the rarest of all deliveries.
fn rarest(latency: &Latency) -> f64 {
    (latency.count.max(1) as f64).log10().min(DECADES_MAX)
}

fn points(latency: &Latency) -> Vec<(f64, f64)> {
    let Some((_, lowest)) = latency.curve.first() else { return Vec::new() };
    let end = rarest(latency);
    let mut points = vec![(0.0, *lowest)];
    points.extend(latency.curve.iter().map(|(quantile, ms)| (position(*quantile).min(end), *ms)));
    points.dedup();
    points
}

/// The usual percentiles, as far as there are enough deliveries for them.
fn marks(name: &str, latency: &Latency, labelled: bool) -> Vec<Mark> {
    let quoted = [
        (0.5, "p50", latency.p50),
        (0.9, "p90", latency.p90),
        (0.99, "p99", latency.p99),
        (0.999, "p99.9", latency.p99_9),
        (0.9999, "p99.99", latency.p99_99),
        (1.0, "max", latency.max),
    ];
    let end = rarest(latency);
    let shown = quoted
        .into_iter()
        .filter(|(quantile, ..)| latency.count > 0 && (*quantile == 1.0 || position(*quantile) <= end));
    shown
        .map(|(quantile, percentile, ms)| Mark {
            at: (position(quantile).min(end), ms),
            // The label of p90 would cover that of p50.
            label: (labelled && quantile != 0.9).then(|| short(ms)),
            about: format!("{name}: {percentile} {} ms", short(ms)),
        })
        .collect()
}

/// 0 %, 50 %, 90 %, 99 %, 99.9 % and so on.
fn percentiles(decades: f64) -> Ticks {
    let mut ticks = vec![(0.0, Some("0".to_owned())), (position(0.5), Some("50".to_owned()))];
    for nines in 1..=decades as usize {
        let words = match nines {
            1 => "90".to_owned(),
            _ => format!("{:.*}", nines - 2, 100.0 - 10.0_f64.powi(2 - nines as i32)),
        };
        ticks.push((nines as f64, Some(words)));
    }
    ticks
}

/// The plot in words.
fn about(series: &[(String, &Latency)]) -> String {
    let words = series.iter().map(|(name, of)| {
        let [p50, p99, p99_9, max] = [of.p50, of.p99, of.p99_9, of.max].map(short);
        format!("{name}: p50 {p50} ms, p99 {p99} ms, p99.9 {p99_9} ms, maximum {max} ms")
    });
    format!("Latency by percentile. {}.", words.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_named_as_far_as_there_are_deliveries() {
        let named: Vec<String> = percentiles(5.3).into_iter().filter_map(|(_, words)| words).collect();
        assert_eq!(named, ["0", "50", "90", "99", "99.9", "99.99", "99.999"]);
    }

    #[test]
    fn a_curve_begins_at_0_percent_and_ends_at_its_rarest_delivery() {
        let curve = vec![(0.25, 1.0), (0.9, 2.0), (1.0, 7.0), (1.0, 7.0)];
        let latency = Latency { count: 1000, curve, ..Latency::default() };
        let points = points(&latency);
        assert_eq!((points[0], points[points.len() - 1]), ((0.0, 1.0), (3.0, 7.0)));
        assert_eq!(points.len(), 4);
    }
}
