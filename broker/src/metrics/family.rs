//! Builds a metric family of a scrape from plain numbers.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramProto, LabelPair, Metric, MetricFamily, MetricType,
};

/// A counter without labels.
pub(super) fn counter(name: &str, help: &str, value: u64) -> MetricFamily {
    family(name, help, MetricType::COUNTER, vec![counted(value as f64)])
}

/// A gauge without labels.
pub(super) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, MetricType::GAUGE, vec![gauged(value)])
}

/// A counter with one label, and a value for each value of the label.
pub(super) fn labelled_counter<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, f64)>,
) -> MetricFamily {
    let metrics = values.into_iter().map(|(is, value)| labelled(counted(value), label, is));
    family(name, help, MetricType::COUNTER, metrics.collect())
}

/// A counter with several labels, and a value for each combination of theirs.
pub(super) fn counter_by<'a, const N: usize>(
    name: &str,
    help: &str,
    labels: [&str; N],
    values: impl IntoIterator<Item = ([&'a str; N], f64)>,
) -> MetricFamily {
    let metrics = values.into_iter().map(|(are, value)| {
        let pairs = labels.into_iter().zip(are).map(|(label, is)| pair(label, is));
        let mut metric = counted(value);
        metric.set_label(pairs.collect());
        metric
    });
    family(name, help, MetricType::COUNTER, metrics.collect())
}

/// A gauge with one label, and a value for each value of the label.
pub(super) fn labelled_gauge<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, f64)>,
) -> MetricFamily {
    let metrics = values.into_iter().map(|(is, value)| labelled(gauged(value), label, is));
    family(name, help, MetricType::GAUGE, metrics.collect())
}

/// A histogram of powers of two: `counts[i]` is the number of values up to `2^i` and above the bound before; the last
/// one counts all values above. `per_unit` converts a value to the base unit.
pub(super) fn histogram(name: &str, help: &str, per_unit: f64, counts: &[u64], sum: u64) -> MetricFamily {
    let mut seen = 0;
    let mut buckets = Vec::with_capacity(counts.len());
    // The last bucket has no bound: it is the `+Inf` that the encoder adds.
    for (power, count) in counts.iter().enumerate().take(counts.len() - 1) {
        seen += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(seen);
        // A division, not a multiplication by 1e-6: its result is the nearest double, which is written with few digits.
        bucket.set_upper_bound((1u64 << power) as f64 / per_unit);
        buckets.push(bucket);
    }
    let mut histogram = HistogramProto::default();
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum as f64 / per_unit);
    histogram.set_bucket(buckets);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    family(name, help, MetricType::HISTOGRAM, vec![metric])
}

/// A counter of seconds, which has a fraction.
pub(super) fn seconds_counter(name: &str, help: &str, seconds: f64) -> MetricFamily {
    family(name, help, MetricType::COUNTER, vec![counted(seconds)])
}

fn counted(value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    metric
}

fn gauged(value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::default();
    metric.set_gauge(gauge);
    metric
}

fn labelled(mut metric: Metric, name: &str, value: &str) -> Metric {
    metric.set_label(vec![pair(name, value)]);
    metric
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
