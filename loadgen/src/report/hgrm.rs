//! HdrHistogram's percentile distribution in ms, exactly as its `outputPercentileDistribution` prints it, so that the
//! plotters at hdrhistogram.org can read it.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!
//!        0.025 0.000000000000          1           1.00
//!        0.300 0.200000000000          3           1.25
//!        1.200 1.000000000000         10
//! #[Mean    =        0.507, StdDeviation   =        0.383]
//! #[Max     =        1.200, Total count    =           10]
//! #[Buckets =           32, SubBuckets     =         2048]
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

/// Lines for each halving of the distance to 1, the original's default.
const TICKS: f64 = 5.0;
const NS_PER_MS: f64 = 1e6;

/// The distribution of a histogram of nanoseconds.
pub(crate) fn distribution(histogram: &Histogram<u64>) -> String {
    // The original prints as many decimals as the histogram keeps digits.
    let digits = usize::from(histogram.sigfig());
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut push = |line: std::fmt::Arguments<'_>| text.write_fmt(line).expect("memory takes everything");
    for Step { percent, ns, count } in steps(histogram) {
        let (ms, quantile) = (ns as f64 / NS_PER_MS, percent / 100.0);
        push(format_args!("{ms:12.digits$} {quantile:.12} {count:10}"));
        if percent < 100.0 {
            push(format_args!(" {:14.2}", 1.0 / (1.0 - quantile)));
        }
        push(format_args!("\n"));
    }
    let [mean, deviation] = [histogram.mean(), histogram.stdev()].map(|ns| ns / NS_PER_MS);
    let (max, total) = (histogram.max() as f64 / NS_PER_MS, histogram.len());
    // The crate does not expose this number: the smallest power of two that distinguishes the wanted digits.
    let sub_buckets = (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two();
    push(format_args!("#[Mean    = {mean:12.digits$}, StdDeviation   = {deviation:12.digits$}]\n"));
    push(format_args!("#[Max     = {max:12.digits$}, Total count    = {total:12}]\n"));
    push(format_args!("#[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]\n", histogram.buckets()));
    text
}

/// A line: `count` values, which is at least `percent` of them, are at most `ns`.
struct Step {
    percent: f64,
    ns: u64,
    count: u64,
}

/// The original's steps, counted in percent like there: `Histogram::iter_quantiles` counts from 0 to 1, and takes the
/// next bucket if a sum like 0.1 + 0.1 + 0.1 is just above the value reached.
fn steps(histogram: &Histogram<u64>) -> Vec<Step> {
    let (mut steps, mut percent, mut count, total) = (Vec::new(), 0.0, 0, histogram.len());
    for bucket in histogram.iter_recorded() {
        count += bucket.count_at_value();
        let ns = bucket.value_iterated_to();
        let reached = 100.0 * count as f64 / total as f64;
        while percent <= reached {
            steps.push(Step { percent, ns, count });
            if count == total {
                steps.push(Step { percent: 100.0, ns, count });
                return steps;
            }
            // Each time the distance to 100 % is halved, the steps are too.
            let halvings = ((100.0_f64 / (100.0 - percent)).ln() / 2.0_f64.ln()) as i32;
            percent += 100.0 / (TICKS * 2.0_f64.powi(halvings + 1));
        }
    }
    steps
}

/// The path of the raw distribution, next to the corrected one: `steady.hgrm` and `steady.raw.hgrm`.
pub(crate) fn raw_path(corrected: &Path) -> PathBuf {
    let extension = corrected.extension().map_or_else(
        || "raw".into(),
        |extension| {
            let mut both = std::ffi::OsString::from("raw.");
            both.push(extension);
            both
        },
    );
    corrected.with_extension(extension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latencies;

    /// Printed by HdrHistogramJS 3.0.1 from the same values, except for `Max`: that port shows the value itself, while
    /// the original and we show the highest value that the histogram does not distinguish from it.
    const TEN: &str = "       Value     Percentile TotalCount 1/(1-Percentile)

       0.025 0.000000000000          1           1.00
       0.025 0.100000000000          1           1.11
       0.300 0.200000000000          3           1.25
       0.300 0.300000000000          3           1.43
       0.513 0.400000000000          4           1.67
       0.750 0.500000000000          5           2.00
       1.000 0.550000000000          6           2.22
       1.000 0.600000000000          6           2.50
       1.200 0.650000000000          7           2.86
       1.200 0.700000000000          7           3.33
       4.002 0.750000000000          9           4.00
       4.002 0.775000000000          9           4.44
       4.002 0.800000000000          9           5.00
       4.002 0.825000000000          9           5.71
       4.002 0.850000000000          9           6.67
       4.002 0.875000000000          9           8.00
       4.002 0.887500000000          9           8.89
       4.002 0.900000000000          9          10.00
      98.828 0.912500000000         10          11.43
      98.828 1.000000000000         10
#[Mean    =       11.088, StdDeviation   =       29.269]
#[Max     =       98.828, Total count    =           10]
#[Buckets =           32, SubBuckets     =         2048]
";

    const NONE: &str = "       Value     Percentile TotalCount 1/(1-Percentile)

#[Mean    =        0.000, StdDeviation   =        0.000]
#[Max     =        0.000, Total count    =            0]
#[Buckets =           32, SubBuckets     =         2048]
";

    #[test]
    fn it_is_printed_like_the_original() {
        let ten_ns: &[u64] =
            &[25_000, 300_000, 300_000, 512_345, 750_000, 1_000_000, 1_200_000, 4_000_000, 4_000_001, 98_765_432];
        for (values_ns, expected) in [(ten_ns, TEN), (&[], NONE)] {
            let mut histogram = latencies();
            values_ns.iter().for_each(|ns| histogram.record(*ns).expect("within bounds"));
            assert_eq!(distribution(&histogram), expected);
        }
    }

    #[test]
    fn the_raw_distribution_is_next_to_the_corrected_one() {
        let cases = [
            ("steady.hgrm", "steady.raw.hgrm"),
            ("out.d/steady", "out.d/steady.raw"),
            ("/tmp/a.b.txt", "/tmp/a.b.raw.txt"),
        ];
        for (corrected, raw) in cases {
            assert_eq!(raw_path(Path::new(corrected)), Path::new(raw));
        }
    }
}
