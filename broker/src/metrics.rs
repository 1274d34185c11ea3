//! Everything that the broker counts, in Prometheus' terms. Shards count in memory of their own; this adds them up when
//! somebody scrapes. No label carries a topic or a client.

use std::sync::Arc;

use broker_engine::{BUCKETS, Engine, Histogram, ShardStats};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram as HistogramProto, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::admission::Admission;

/// What a scrape looks at.
pub struct Metrics {
    /// The shared half of the engine.
    pub engine: Arc<Engine>,
    /// A shard's counters each.
    pub shards: Vec<Arc<ShardStats>>,
    /// The places.
    pub admission: Arc<Admission>,
    /// When the process started, in seconds since the epoch.
    pub start_seconds: f64,
}

/// A metric that adds up over shards.
type PerShard = (&'static str, &'static str, fn(&ShardStats) -> u64);

const COUNTERS: &[PerShard] = &[
    ("tickcast_feed_entries_total", "Feed entries that shards took in.", |s| s.entries.get()),
    ("tickcast_deliveries_total", "Data frames of which a socket took the first byte.", |s| s.deliveries.get()),
    ("tickcast_writes_total", "Writes to sockets.", |s| s.writes.get()),
    ("tickcast_writes_short_total", "Writes of which the socket did not take every byte.", |s| s.writes_short.get()),
    ("tickcast_sent_bytes_total", "Bytes that sockets took.", |s| s.bytes.get()),
    ("tickcast_fell_behind_total", "Times a connection had more than behind_bytes waiting.", |s| s.fell_behind.get()),
    ("tickcast_evicted_total", "Times a connection fell out of step because the ring was reused.", |s| s.evicted.get()),
    ("tickcast_images_total", "Images sent.", |s| s.images.get()),
    ("tickcast_gaps_total", "Gaps sent.", |s| s.gaps.get()),
    ("tickcast_gap_updates_total", "Updates that gaps announced as lost.", |s| s.gap_updates.get()),
    ("tickcast_closed_slow_total", "Connections closed as slow consumers (4008).", |s| s.closed_slow.get()),
    ("tickcast_closed_silent_total", "Connections closed for no sign of life (4009).", |s| s.closed_silent.get()),
    ("tickcast_errors_total", "Errors answered over WebSocket.", |s| s.errors.get()),
];

const GAUGES: &[PerShard] = &[
    ("tickcast_connections", "Open WebSocket connections.", |s| s.connections.get()),
    ("tickcast_connections_parked", "Connections whose socket takes no byte now.", |s| s.parked.get()),
    ("tickcast_subscriptions", "Subscriptions to topics and patterns.", |s| s.subscriptions.get()),
    ("tickcast_followed_topics", "Names that shards follow or wait for, summed over shards.", |s| s.local_topics.get()),
    ("tickcast_pinned_bytes", "Half-written frames held for blocked connections.", |s| s.pinned_bytes.get()),
    ("tickcast_ring_bytes", "Bytes of the shards' rings in use.", |s| s.ring_bytes.get()),
];

/// A histogram that adds up over shards, and what one of its unit is in the base unit.
type HistogramPerShard = (&'static str, &'static str, f64, fn(&ShardStats) -> &Histogram);

const HISTOGRAMS: &[HistogramPerShard] = &[
    (
        "tickcast_publish_to_socket_seconds",
        "From taking an update in to handing it to a socket: the oldest frame of each write.",
        1e-6,
        |s| &s.latency_us,
    ),
    ("tickcast_write_frames", "Data frames in a write.", 1.0, |s| &s.frames_per_write),
    ("tickcast_round_seconds", "A round of a shard's loop that had something to do.", 1e-6, |s| &s.round_us),
    ("tickcast_lag_bytes", "What waited for a connection when it fell behind.", 1.0, |s| &s.lag_bytes),
];

impl Metrics {
    /// The text of a scrape, while so many sockets speak HTTP.
    pub fn text(&self, http_connections: usize) -> String {
        let mut families = Vec::new();
        for (name, help, read) in COUNTERS {
            families.push(counter(name, help, self.sum(*read)));
        }
        let (published, duplicates) = self.engine.published();
        families.push(counter("tickcast_published_total", "Updates taken in.", published));
        families.push(counter(
            "tickcast_duplicates_total",
            "Updates that their source had published already.",
            duplicates,
        ));
        for (name, help, read) in GAUGES {
            families.push(gauge(name, help, self.sum(*read) as f64));
        }
        let budget = self.engine.budget();
        let feed = self.engine.feed();
        for (name, help, value) in [
            ("tickcast_topics", "Topics that exist.", self.engine.topics_len() as f64),
            ("tickcast_history_bytes", "Retained updates of all topics.", budget.histories() as f64),
            ("tickcast_image_bytes", "Images of all topics.", budget.images() as f64),
            (
                "tickcast_feed_backlog_bytes",
                "How far the slowest shard lags behind the feed.",
                feed.backlog_bytes() as f64,
            ),
            ("tickcast_admitted", "Connections that have a place.", self.admission.count() as f64),
            ("tickcast_http_connections", "Connections that speak HTTP, this one included.", http_connections as f64),
            ("tickcast_shards", "Threads that serve connections.", self.shards.len() as f64),
            ("process_start_time_seconds", "Start time of the process since the epoch.", self.start_seconds),
        ] {
            families.push(gauge(name, help, value));
        }
        for (name, help, unit, read) in HISTOGRAMS {
            families.push(self.histogram(name, help, *unit, *read));
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    fn sum(&self, read: fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(|stats| read(stats)).sum()
    }

    fn histogram(&self, name: &str, help: &str, unit: f64, read: fn(&ShardStats) -> &Histogram) -> MetricFamily {
        let mut counts = [0; BUCKETS];
        let mut sum = 0;
        for stats in &self.shards {
            let (shard_counts, shard_sum) = read(stats).read();
            counts.iter_mut().zip(shard_counts).for_each(|(count, add)| *count += add);
            sum += shard_sum;
        }
        let mut seen = 0;
        let mut buckets = Vec::with_capacity(BUCKETS);
        // The last one has no bound: it is the `+Inf` that the encoder adds.
        for (power, count) in counts.iter().enumerate().take(BUCKETS - 1) {
            seen += count;
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(seen);
            bucket.set_upper_bound((1u64 << power) as f64 * unit);
            buckets.push(bucket);
        }
        let mut histogram = HistogramProto::default();
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum as f64 * unit);
        histogram.set_bucket(buckets);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        family(name, help, MetricType::HISTOGRAM, metric)
    }
}

fn counter(name: &str, help: &str, value: u64) -> MetricFamily {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    family(name, help, MetricType::COUNTER, metric)
}

fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::default();
    metric.set_gauge(gauge);
    family(name, help, MetricType::GAUGE, metric)
}

fn family(name: &str, help: &str, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}
