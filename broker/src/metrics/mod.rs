//! All metrics of the broker, in Prometheus' format. Shards count in memory of their own; a scrape adds their counts
//! up. No label carries a topic or a client, so the number of series is fixed. `docs/metrics.md` says what each metric
//! is for. The crate `prometheus` is used only for its text format and that format's escapes: its registry would count
//! a second time, with atomics, what shards count in their own memory.

mod family;
mod journal;
#[cfg(feature = "nats")]
mod nats;
mod process;
mod tls;
mod tokens;

use std::sync::Arc;

use broker_engine::{BUCKETS, Engine, Histogram, Quota, ShardStats};
use broker_protocol::{CloseReason, ErrorCode};
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

use self::family::{counter, counter_by, gauge, histogram, labelled_counter, labelled_gauge};
use crate::access::Gate;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::http::BodyBudget;
use crate::http::sockets::HttpSockets;
use crate::journal::Journal;
use crate::logging;
use crate::tls::Tls;
use crate::tokens::Tokens;

/// The sources of a scrape.
pub(crate) struct Metrics {
    /// The shared half of the engine.
    pub engine: Arc<Engine>,
    /// The counters of each shard.
    pub shards: Vec<Arc<ShardStats>>,
    /// The count of admitted connections.
    pub admission: Arc<Admission>,
    /// The client listener's sockets that speak HTTP.
    pub clients: Arc<HttpSockets>,
    /// The admin listener's sockets.
    pub admins: Arc<HttpSockets>,
    /// The check whether a client may connect.
    pub access: Arc<Gate>,
    /// The budget of HTTP bodies.
    pub bodies: Arc<BodyBudget>,
    /// The authority on tokens.
    pub tokens: Arc<Tokens>,
    /// TLS, if it is on.
    pub tls: Option<Arc<Tls>>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// What the journal tells of itself, if there is one.
    pub journal: Option<Arc<Journal>>,
    /// When the process started, in seconds since the UNIX epoch.
    pub start_seconds: f64,
}

/// A metric that is summed over shards.
type PerShard = (&'static str, &'static str, fn(&ShardStats) -> u64);

const COUNTERS: &[PerShard] = &[
    ("tickcast_opened_total", "Connections that shards accepted.", |s| s.opened.get()),
    ("tickcast_feed_entries_total", "Feed entries that shards took in.", |s| s.entries.get()),
    ("tickcast_deliveries_total", "Data frames of which a socket took the first byte.", |s| s.deliveries.get()),
    ("tickcast_writes_total", "Writes to sockets.", |s| s.writes.get()),
    ("tickcast_writes_short_total", "Writes of which the socket did not take every byte.", |s| s.writes_short.get()),
    ("tickcast_sent_bytes_total", "Bytes that sockets took.", |s| s.bytes.get()),
    ("tickcast_fell_behind_total", "Times a connection had more than behind_bytes pending.", |s| s.fell_behind.get()),
    ("tickcast_detours_total", "Times a frame too large for the ring was sent from its topic.", |s| s.detours.get()),
    ("tickcast_evicted_total", "Times a connection fell out of step because the ring was reused.", |s| s.evicted.get()),
    ("tickcast_budget_closed_total", "Connections closed because they held most of a budget that was exceeded.", |s| {
        s.paid.get()
    }),
    ("tickcast_images_total", "Images sent.", |s| s.images.get()),
    ("tickcast_gaps_total", "Gaps sent.", |s| s.gaps.get()),
    ("tickcast_gap_updates_total", "Updates that gaps announced as lost.", |s| s.gap_updates.get()),
];

const GAUGES: &[PerShard] = &[
    ("tickcast_connections", "Open connections, WebSocket and Server-Sent Events.", |s| s.connections.get()),
    ("tickcast_sse_connections", "Of these, Server-Sent Events.", |s| s.listeners.get()),
    ("tickcast_connections_behind", "Connections that catch up because too much was pending.", |s| s.behind.get()),
    ("tickcast_connections_parked", "Connections whose socket is full.", |s| s.parked.get()),
    ("tickcast_subscriptions", "Subscriptions to topics and patterns.", |s| s.subscriptions.get()),
    ("tickcast_followed_topics", "Names that shards follow or wait for, summed over shards.", |s| s.local_topics.get()),
    ("tickcast_pinned_bytes", "Half-written frames held for blocked connections.", |s| s.pinned_bytes.get()),
    ("tickcast_ring_bytes", "Bytes of the shards' rings in use.", |s| s.ring_bytes.get()),
];

/// A histogram that is summed over shards, and how many of its units are one base unit.
type HistogramPerShard = (&'static str, &'static str, f64, fn(&ShardStats) -> &Histogram);

const HISTOGRAMS: &[HistogramPerShard] = &[
    (
        "tickcast_publish_to_socket_seconds",
        "From taking an update in to handing it to a socket: the oldest frame of each write.",
        1e6,
        |s| &s.latency_us,
    ),
    ("tickcast_write_frames", "Data frames in a write.", 1.0, |s| &s.frames_per_write),
    ("tickcast_round_seconds", "Duration of a round of a shard's loop that had something to do.", 1e6, |s| &s.round_us),
    ("tickcast_lag_bytes", "Bytes pending for a connection when it fell behind.", 1.0, |s| &s.lag_bytes),
];

/// The reasons of connections that the broker did not close.
const BY_CLIENT: &str = "client";
const VANISHED: &str = "vanished";

impl Metrics {
    /// Returns the text of a scrape.
    pub(crate) fn text(&self) -> String {
        let mut families: Vec<_> =
            COUNTERS.iter().map(|(name, help, read)| counter(name, help, self.sum(*read))).collect();
        families.extend(GAUGES.iter().map(|(name, help, read)| gauge(name, help, self.sum(*read) as f64)));
        families.extend(self.engine_counters());
        families.extend(self.by_label());
        families.extend(self.engine_gauges());
        families.extend(self.budgets());
        families.extend(tokens::families(&self.tokens));
        families
            .extend(HISTOGRAMS.iter().map(|(name, help, per_unit, read)| self.histogram(name, help, *per_unit, *read)));
        families.extend(self.tls.iter().flat_map(|tls| tls::families(tls)));
        families.extend(self.journal.iter().flat_map(|journal| journal::families(journal, &self.engine)));
        families.extend(self.journal.iter().map(|_| {
            let help = "From a publish or a batch over WebSocket until all of it was back from the log.";
            self.histogram("tickcast_journal_wait_seconds", help, 1e6, |s| &s.journal_wait_us)
        }));
        families.extend(process::families(self.start_seconds));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    fn engine_counters(&self) -> [MetricFamily; 7] {
        let (published, duplicates) = self.engine.published();
        [
            counter("tickcast_published_total", "Updates taken in.", published),
            counter("tickcast_duplicates_total", "Updates that their source had published already.", duplicates),
            counter(
                "tickcast_histories_halved_total",
                "Times that a topic gave up the older half of its history because all histories together were too large.",
                self.engine.budget().halved(),
            ),
            counter(
                "tickcast_http_evicted_total",
                "Connections that spoke HTTP and were closed because http_connections_max was reached.",
                self.clients.evicted(),
            ),
            counter(
                "tickcast_bodies_given_up_total",
                "Bodies of HTTP requests and answers that were given up because bodies_bytes_max was exceeded.",
                self.bodies.given_up(),
            ),
            counter("tickcast_log_lines_lost_total", "Lines of the log that could not be written.", logging::lost()),
            counter(
                "tickcast_audit_lines_lost_total",
                "Lines of the audit log that could not be written, or were more than its bounds allow.",
                self.audit.lost(),
            ),
        ]
    }

    fn by_label(&self) -> [MetricFamily; 8] {
        let errors =
            ErrorCode::ALL.iter().map(|code| (code.as_str(), self.sum(|stats| stats.errors.get(*code)) as f64));
        let refused = ErrorCode::ALL.iter().map(|code| (code.as_str(), self.engine.refused(*code) as f64));
        let closed = CloseReason::ALL.iter().map(|reason| {
            // Connections that are not admitted are closed before they reach a shard.
            let refused = if *reason == CloseReason::LimitExceeded { self.admission.refused() } else { 0 };
            (reason.as_str(), (self.sum(|stats| stats.closed.get(*reason)) + refused) as f64)
        });
        let closed = closed.chain([
            (BY_CLIENT, self.sum(|stats| stats.closed_by_client.get()) as f64),
            (VANISHED, self.sum(|stats| stats.vanished.get()) as f64),
        ]);
        let shards: Vec<String> = (0..self.shards.len()).map(|index| index.to_string()).collect();
        let busy = shards.iter().zip(&self.shards).map(|(shard, stats)| (&**shard, stats.busy_us.get() as f64 / 1e6));
        let connections =
            shards.iter().zip(&self.shards).map(|(shard, stats)| (&**shard, stats.connections.get() as f64));
        let quota_refused = Quota::ALL.into_iter().flat_map(|quota| {
            [("false", false), ("true", true)]
                .map(|(text, dry_run)| ([quota.as_str(), text], self.engine.refusals().count(quota, dry_run) as f64))
        });
        let denied = self.access.denied().map(|(what, count)| (what.as_str(), count as f64));
        [
            labelled_counter(
                "tickcast_refused_total",
                "Requests that were refused because of their sender.",
                "what",
                denied,
            ),
            counter_by(
                "tickcast_quota_refused_total",
                "Requests, connections and updates that exceeded a quota: refused, or in a dry run only counted.",
                ["quota", "dry_run"],
                quota_refused,
            ),
            labelled_gauge("tickcast_shard_connections", "Connections that a shard serves.", "shard", connections),
            labelled_counter("tickcast_errors_total", "Errors answered over WebSocket.", "code", errors),
            labelled_counter(
                "tickcast_publish_errors_total",
                "Updates and publish requests that were refused.",
                "code",
                refused,
            ),
            labelled_counter(
                "tickcast_closed_total",
                "Connections that ended, or were not admitted, by reason.",
                "reason",
                closed,
            ),
            labelled_counter(
                "tickcast_shard_busy_seconds_total",
                "Time that a shard's thread did not sleep.",
                "shard",
                busy,
            ),
            labelled_gauge(
                "tickcast_build_info",
                "Always 1; the label is the version.",
                "version",
                [(env!("CARGO_PKG_VERSION"), 1.0)],
            ),
        ]
    }

    fn engine_gauges(&self) -> impl Iterator<Item = MetricFamily> {
        let (engine, limits) = (&self.engine, self.engine.limits());
        let (budget, feed) = (engine.budget(), engine.feed());
        let last_publish_seconds = engine.last_publish_us().unwrap_or(0) as f64 / 1e6;
        [
            ("tickcast_topics", "Existing topics.", engine.topics_len() as f64),
            ("tickcast_topics_max", "Topics that may exist (topics_max).", limits.topics_max() as f64),
            ("tickcast_history_bytes", "Retained updates of all topics.", budget.histories() as f64),
            ("tickcast_history_bytes_max", "Their bound (retain_bytes_max).", limits.retain_bytes_max() as f64),
            ("tickcast_image_bytes", "Images of all topics.", budget.images() as f64),
            ("tickcast_image_bytes_max", "Their bound (images_bytes_max).", limits.images_bytes_max() as f64),
            (
                "tickcast_feed_backlog_bytes",
                "How far the slowest shard is behind the feed.",
                feed.backlog_bytes() as f64,
            ),
            ("tickcast_feed_backlog_bytes_max", "Its bound (feed_bytes_max).", limits.feed_bytes_max as f64),
            (
                "tickcast_last_publish_timestamp_seconds",
                "When a client last published, since the UNIX epoch; 0 before the first.",
                last_publish_seconds,
            ),
            ("tickcast_admitted", "Connections that count against connections_max.", self.admission.count() as f64),
            ("tickcast_connections_max", "Their bound (connections_max).", self.admission.connections_max() as f64),
            (
                "tickcast_http_connections",
                "Connections that speak HTTP, this one included.",
                (self.clients.count() + self.admins.count()) as f64,
            ),
            ("tickcast_http_connections_max", "Their bound (http_connections_max).", self.clients.max() as f64),
            ("tickcast_shards", "Threads that serve connections.", self.shards.len() as f64),
        ]
        .into_iter()
        .map(|(name, help, value)| gauge(name, help, value))
    }

    /// The budgets that clients share: their use and their bounds.
    fn budgets(&self) -> [MetricFamily; 3] {
        let (budget, limits) = (self.engine.budget(), self.engine.limits());
        let budgets = [
            ("behind_bytes_max", budget.behind(), limits.behind_bytes_max()),
            ("bodies_bytes_max", self.bodies.bytes(), self.bodies.bytes_max()),
            ("buffers_bytes_max", budget.buffers(), limits.buffers_bytes_max()),
            ("images_encoded_bytes_max", budget.encoded() + budget.bases(), limits.images_encoded_bytes_max()),
            ("images_partial_bytes_max", budget.partial(), limits.images_partial_bytes_max()),
            ("names_waited_bytes_max", budget.names(), limits.names_waited_bytes_max()),
            ("publishers_bytes_max", budget.publishers(), limits.publishers_bytes_max()),
            ("sources_bytes_max", budget.sources(), limits.sources_bytes_max()),
            ("subscriptions_bytes_max", budget.subscriptions(), limits.subscriptions_bytes_max()),
        ];
        let used = budgets.iter().map(|(name, used, _)| (*name, *used as f64));
        let most = budgets.iter().map(|(name, _, most)| (*name, *most as f64));
        [
            labelled_gauge("tickcast_budget_bytes", "Bytes used of a budget that clients share.", "budget", used),
            labelled_gauge("tickcast_budget_bytes_max", "The bound of the budget: the setting.", "budget", most),
            gauge(
                "tickcast_budget_leaving_bytes",
                "Bytes used of all budgets by connections that are closing.",
                budget.leaving() as f64,
            ),
        ]
    }

    fn sum(&self, read: impl Fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(|stats| read(stats)).sum()
    }

    fn histogram(&self, name: &str, help: &str, per_unit: f64, read: fn(&ShardStats) -> &Histogram) -> MetricFamily {
        let mut counts = [0; BUCKETS];
        let mut sum = 0;
        for stats in &self.shards {
            let (shard_counts, shard_sum) = read(stats).read();
            counts.iter_mut().zip(shard_counts).for_each(|(count, add)| *count += add);
            sum += shard_sum;
        }
        histogram(name, help, per_unit, &counts, sum)
    }
}
