//! One run, with or without clients that stop reading.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::report::Series;
use crate::load::{
    Continuity, Cores, Every, Kind, Message, PATIENCE_NS, Publisher, Server, Swarm, Tick, latencies, mono_ns,
    quantile_ms, seconds_ns,
};
use crate::stalled::Stalled;

/// The topics: one of each kind, and one that only fills the broker's ring beforehand.
pub(crate) const STATE: usize = 0;
pub(crate) const EVENT: usize = 1;
const FILL: usize = 2;
/// Topics that clients follow.
const TOPICS: usize = 2;

/// Times per second that both topics are published.
const PER_SECOND: f64 = 100.0;
/// More than the ring holds and than is retained: both are full before memory is looked at.
const FILL_UPDATES: u64 = 60_000;
const RETAINED_UPDATES: u64 = 1_100;
/// How many of the former are under way at once: fewer than make a connection fall behind.
const FILL_IN_FLIGHT: u64 = 128;
/// How often memory is looked at.
const SAMPLE_NS: u64 = 500_000_000;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) subscribers: usize,
    pub(crate) seconds: f64,
}

/// What a run gave.
pub(crate) struct Figures {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_ns: f64,
    rss_bytes: Vec<f64>,
    /// While the stalled ones read again, if there are any.
    pub(crate) p99_again_ms: Option<f64>,
    pub(crate) stalled: Option<Stalled>,
}

impl Figures {
    pub(crate) fn rss_median_bytes(&self) -> f64 {
        median(&self.rss_bytes)
    }

    /// The last fifth of the samples against the first.
    pub(crate) fn rss_growth_bytes(&self) -> f64 {
        let fifth = self.rss_bytes.len().div_ceil(5);
        let last = &self.rss_bytes[self.rss_bytes.len() - fifth..];
        median(last) - median(&self.rss_bytes[..fifth])
    }

    pub(crate) fn rss_over_time(&self) -> String {
        let every = self.rss_bytes.len().div_ceil(12).max(1);
        let some: Vec<String> = self.rss_bytes.iter().step_by(every).map(|rss| format!("{:.1}", rss / 1e6)).collect();
        some.join(" ")
    }
}

fn median(values: &[f64]) -> f64 {
    let mut series = Series::default();
    values.iter().for_each(|value| series.push(*value));
    series.median()
}

pub(crate) fn run(cores: &Cores, size: Size, stalled: usize) -> Figures {
    // Nobody is closed for taking nothing: that is what is looked at.
    let server = Server::alone(cores, &["--stall-ms", "3600000"]);
    let mut load = Load::new(&server, size.subscribers);
    let mut sleepers = Swarm::new();
    sleepers.subscribe(server.listen, stalled, |_| vec![STATE, EVENT]);
    load.every = Every::new(mono_ns(), PER_SECOND);
    // A second at least: whatever is done once has been done.
    let warm_ns = mono_ns() + seconds_ns((size.seconds / 10.0).min(2.0));
    let until_ns = mono_ns() + PATIENCE_NS;
    let mut look = Every::new(mono_ns(), 2.0);
    let mut parked = 0.0;
    while mono_ns() < warm_ns || parked < stalled as f64 {
        load.go_on(&mut None);
        if look.take(mono_ns()).is_some() {
            parked = server.metric("tickcast_connections_parked");
        }
        assert!(mono_ns() < until_ns, "{parked} of {stalled} have full sockets");
    }
    let start_ns = mono_ns();
    let (mut latencies, mut rss_bytes) = (Some(latencies()), Vec::new());
    let (cpu_ns, received) = (server.cpu_ns(), load.received);
    let mut sample_ns = start_ns;
    while mono_ns() < start_ns + seconds_ns(size.seconds) {
        load.go_on(&mut latencies);
        if mono_ns() >= sample_ns {
            rss_bytes.push(server.rss_bytes() as f64);
            sample_ns += SAMPLE_NS;
        }
    }
    let cpu_ns = (server.cpu_ns() - cpu_ns) as f64 / (load.received - received) as f64;
    let measured = latencies.take().unwrap_or_else(crate::load::latencies);
    let mut again = Some(crate::load::latencies());
    let stalled = (stalled > 0).then(|| Stalled::read_again(&mut load, &mut sleepers, &mut again));
    load.publisher.check();
    Figures {
        p50_ms: quantile_ms(&measured, 0.5),
        p99_ms: quantile_ms(&measured, 0.99),
        cpu_ns,
        rss_bytes,
        p99_again_ms: again.filter(|_| stalled.is_some()).map(|again| quantile_ms(&again, 0.99)),
        stalled,
    }
}

/// The publisher and those who read.
pub(crate) struct Load {
    publisher: Publisher,
    ticks: [Tick; 2],
    healthy: Swarm,
    continuity: Continuity,
    every: Every,
    received: u64,
    /// Updates of each of the two topics so far.
    pub(crate) published: u64,
}

impl Load {
    fn new(server: &Server, subscribers: usize) -> Self {
        let mut publisher = Publisher::connect(server.listen);
        let mut ticks = [Tick::new(STATE, Kind::State), Tick::new(EVENT, Kind::Event)];
        for _ in 0..RETAINED_UPDATES {
            ticks.iter_mut().for_each(|tick| publisher.publish(tick, mono_ns()));
        }
        fill_ring(server, &mut publisher);
        let mut healthy = Swarm::new();
        healthy.subscribe(server.listen, subscribers, |_| vec![STATE, EVENT]);
        Self {
            publisher,
            ticks,
            healthy,
            continuity: Continuity::new(subscribers, TOPICS),
            every: Every::new(mono_ns(), PER_SECOND),
            received: 0,
            published: RETAINED_UPDATES,
        }
    }

    /// Publishes what is due and reads a little. Ages go into `latencies`, if there are any to be kept.
    pub(crate) fn go_on(&mut self, latencies: &mut Option<Histogram<u64>>) {
        let now_ns = mono_ns();
        while let Some(due_ns) = self.every.take(now_ns) {
            self.ticks.iter_mut().for_each(|tick| self.publisher.publish(tick, due_ns));
            self.published += 1;
        }
        self.publisher.flush();
        let left = Duration::from_nanos(self.every.due_ns().saturating_sub(now_ns));
        let wait = if left > Duration::from_millis(2) { Duration::from_millis(1) } else { Duration::ZERO };
        self.healthy.read(wait, |number, message, now_ns| {
            self.continuity.check(number, message);
            if let Message::Update { due_ns, .. } | Message::Image { due_ns, .. } = message {
                self.received += 1;
                if let Some(latencies) = latencies {
                    latencies.saturating_record(now_ns.saturating_sub(due_ns));
                }
            }
        });
    }
}

/// Somebody who leaves again gets as much as the ring holds.
fn fill_ring(server: &Server, publisher: &mut Publisher) {
    let mut reader = Swarm::new();
    reader.subscribe(server.listen, 1, |_| vec![FILL]);
    let mut tick = Tick::new(FILL, Kind::Event);
    let (mut published, mut received) = (0, 0);
    let until_ns = mono_ns() + PATIENCE_NS;
    while received < FILL_UPDATES {
        while published < FILL_UPDATES.min(received + FILL_IN_FLIGHT) {
            publisher.publish(&mut tick, mono_ns());
            published += 1;
        }
        publisher.flush();
        reader.read(Duration::from_millis(1), |_, message, _| {
            received += u64::from(matches!(message, Message::Update { .. }));
        });
        assert!(mono_ns() < until_ns, "{received} of {FILL_UPDATES} updates came");
    }
}
