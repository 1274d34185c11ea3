//! `$SYS.stats`: publishes the figures of the broker's health page once a second, as a topic like any other.

mod percentiles;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use broker_engine::{BUCKETS, Engine, Met, Publisher, ShardStats, Walk};
use broker_protocol::data::Data;
use broker_protocol::kind::Kind;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::Publication;
use serde::Serialize;

use self::percentiles::{Counts, Percentiles, Window};
use crate::clock::now;
use crate::http::Observe as _;
use crate::listen::Shared;
use crate::shard::ConnectionRow;

const TOPIC: &str = "$SYS.stats";
const INTERVAL: Duration = Duration::from_secs(1);
/// Percentiles cover the last ten seconds: those of a single second jump.
const WINDOW: usize = 10;
/// The most connections that are listed.
const SLOWEST: usize = 10;
/// More than it takes to find one topic by its name, and its few patterns.
const LOOK_STEPS: usize = 16;

#[derive(Serialize)]
struct Stats {
    uptime_s: u64,
    /// For the live page, which asks the admin listener if its reader is an operator.
    admin_port: Option<u16>,
    shards: usize,
    connections: u64,
    connections_parked: u64,
    subscriptions: u64,
    topics: usize,
    published: u64,
    published_per_s: f64,
    deliveries: u64,
    deliveries_per_s: f64,
    sent_bytes: u64,
    sent_bytes_per_s: f64,
    gap_updates: u64,
    fell_behind: u64,
    history_bytes: u64,
    image_bytes: u64,
    feed_backlog_bytes: u64,
    latency_us: Percentiles,
    slowest: Vec<Slow>,
}

/// A connection for which something is pending. Only the admin listener shows its address, because this topic may be
/// public.
#[derive(Serialize)]
struct Slow {
    session: String,
    connected_ts: u64,
    subscriptions: u64,
    lag_updates: u64,
    lag_bytes: u64,
    lagging_since: Option<u64>,
}

impl From<ConnectionRow> for Slow {
    fn from(row: ConnectionRow) -> Slow {
        let ConnectionRow {
            session,
            connected_ts,
            subscriptions,
            lag_updates,
            lag_bytes,
            lagging_since,
            remote: _,
            sub: _,
            roles: _,
        } = row;
        Slow { session, connected_ts, subscriptions, lag_updates, lag_bytes, lagging_since }
    }
}

/// Publishes the figures for ever.
pub(crate) async fn publish_stats(engine: Arc<Engine>, shards: Vec<Arc<ShardStats>>, shared: Arc<Shared>) {
    let start = now().mono_us;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut before = (start, 0, 0, 0);
    let mut latencies = Window::new(WINDOW);
    loop {
        ticks.tick().await;
        let clock = now();
        let sum = |read: fn(&ShardStats) -> u64| shards.iter().map(|stats| read(stats)).sum::<u64>();
        let counted = (clock.mono_us, engine.published().0, sum(|s| s.deliveries.get()), sum(|s| s.bytes.get()));
        let seconds = ((counted.0 - before.0) as f64 / 1e6).max(1e-6);
        let rate = |now: u64, before: u64| ((now - before) as f64 / seconds * 10.0).round() / 10.0;
        let stats = Stats {
            admin_port: shared.context.admin_port,
            uptime_s: (clock.mono_us - start) / 1_000_000,
            shards: shards.len(),
            connections: sum(|s| s.connections.get()),
            connections_parked: sum(|s| s.parked.get()),
            subscriptions: sum(|s| s.subscriptions.get()),
            topics: engine.topics_len(),
            published: counted.1,
            published_per_s: rate(counted.1, before.1),
            deliveries: counted.2,
            deliveries_per_s: rate(counted.2, before.2),
            sent_bytes: counted.3,
            sent_bytes_per_s: rate(counted.3, before.3),
            gap_updates: sum(|s| s.gap_updates.get()),
            fell_behind: sum(|s| s.fell_behind.get()),
            history_bytes: engine.budget().histories(),
            image_bytes: engine.budget().images(),
            feed_backlog_bytes: engine.feed().backlog_bytes(),
            latency_us: latencies.slide(latency_counts(&shards)),
            slowest: slowest(&engine, &shared).await,
        };
        before = counted;
        let Ok(text) = serde_json::to_string(&stats) else { continue };
        let Ok(data) = Data::check(&text) else { continue };
        let topic = Cow::Borrowed(TOPIC);
        let update = Publication { topic, kind: Some(Kind::State), data, source: None, source_ts: None };
        if let Err(refusal) = engine.publish(clock, &update, Publisher::Broker) {
            tracing::warn!(error = %refusal.message, "$SYS.stats could not be published");
        }
    }
}

fn latency_counts(shards: &[Arc<ShardStats>]) -> Counts {
    let mut counts = [0; BUCKETS];
    for stats in shards {
        let (of_shard, _) = stats.latency_us.read();
        counts.iter_mut().zip(of_shard).for_each(|(count, add)| *count += add);
    }
    counts
}

/// Returns the slowest connections, worst first. Every shard has to visit all its connections for that, so it is done
/// only while it has a subscriber.
async fn slowest(engine: &Engine, shared: &Shared) -> Vec<Slow> {
    let Ok(pattern) = Pattern::parse(TOPIC) else { return Vec::new() };
    let row = engine.next_row(&mut Walk::new(pattern, None), &mut LOOK_STEPS.clone());
    if !matches!(row, Met::One(row) if row.subscribers > 0) {
        return Vec::new();
    }
    let (mut rows, _) = shared.connections(SLOWEST).await;
    rows.retain(|row| row.lag_updates > 0);
    rows.sort_by_key(|row| std::cmp::Reverse(row.lag_bytes));
    rows.truncate(SLOWEST);
    rows.into_iter().map(Slow::from).collect()
}
