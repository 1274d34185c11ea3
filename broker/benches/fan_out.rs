//! A thousand subscribers over loopback: deliveries per second, what each costs the broker, and how late it is.
//!
//! Open loop where a rate is given: latency counts from the moment at which an update was due, whether or not the load
//! was in time. Closed loop otherwise: a bounded number of updates is under way, and latency says little.
//!
//! `cargo bench -p broker --bench fan_out [-- [--seconds N] [--repeats N] [ROW]...]`

mod load;

use std::time::Duration;

use load::report::{Ask, Series, Table};
use load::{
    Continuity, Cores, Every, Kind, Message, PATIENCE_NS, Publisher, Server, Swarm, Tick, latencies, mono_ns,
    quantile_ms, seconds_ns,
};

/// How updates come.
#[derive(Debug, Clone, Copy)]
enum Drive {
    /// So many a second over all topics, in turn.
    PerSecond(f64),
    /// So many published and not yet received, on average over the subscribers.
    InFlight(f64),
}

struct Scenario {
    name: &'static str,
    topics: usize,
    topics_each: usize,
    drive: Drive,
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "fixed100", topics: 1, topics_each: 1, drive: Drive::PerSecond(100.0) },
    Scenario { name: "fixed2000", topics: 1, topics_each: 1, drive: Drive::PerSecond(2000.0) },
    Scenario { name: "topics1000", topics: 100, topics_each: 10, drive: Drive::PerSecond(1000.0) },
    Scenario { name: "saturated", topics: 1, topics_each: 1, drive: Drive::InFlight(32.0) },
    Scenario { name: "topics-saturated", topics: 100, topics_each: 10, drive: Drive::InFlight(200.0) },
];

/// What one run gave.
#[derive(Default)]
struct Figures {
    deliveries_per_second: f64,
    delivered_part: f64,
    cpu_ns: f64,
    frames_per_write: f64,
    quantiles_ms: [f64; 3],
    /// Updates that gaps stood for, in the whole run: none, unless the load did not get to read for long.
    lost: f64,
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

fn main() {
    let ask = Ask::from_process();
    let cores = Cores::of_process();
    let subscribers = ask.pick(1000, 20);
    let repeats = ask.repeats(5);
    let wanted: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| ask.wants(scenario.name)).collect();
    let columns =
        ["deliveries/s", "delivered", "CPU ns/delivery", "frames/write", "p50 ms", "p99 ms", "p99.9 ms", "lost"];
    let mut series = vec![<[Series; 8]>::default(); wanted.len()];
    // Interleaved: what else the machine does meets all rows alike.
    for _ in 0..repeats {
        for (scenario, series) in wanted.iter().zip(&mut series) {
            let figures = run(&ask, &cores, scenario, subscribers);
            let [p50, p99, p999] = figures.quantiles_ms;
            let of_all = [figures.deliveries_per_second, figures.delivered_part, figures.cpu_ns];
            let values = of_all.into_iter().chain([figures.frames_per_write, p50, p99, p999, figures.lost]);
            series.iter_mut().zip(values).for_each(|(series, value)| series.push(value));
        }
    }
    let title = format!("{subscribers} subscribers, {repeats} repeats, median (min..max); {}", cores.describe());
    let mut table = Table::new(title, &[&["row"], &columns[..]].concat());
    for (scenario, series) in wanted.iter().zip(&series) {
        let [a, b, c, d, e, f, g, h] = series;
        table.row(&[&scenario.name, a, b, c, d, e, f, g, h]);
    }
    table.print();
}

/// A run: warm up, measure, and wait until everything that was published has come.
fn run(ask: &Ask, cores: &Cores, scenario: &Scenario, subscribers: usize) -> Figures {
    let server = Server::alone(cores, &[]);
    let Scenario { topics, topics_each, drive, .. } = *scenario;
    let mut swarm = Swarm::new();
    swarm.subscribe(server.listen, subscribers, |number| {
        (0..topics_each).map(|i| (number * topics_each + i) % topics).collect()
    });
    let copies = (subscribers * topics_each) as f64 / topics as f64;
    let mut source = Source::new(Publisher::connect(server.listen), topics, drive, copies);
    let mut continuity = Continuity::new(subscribers, topics);
    let mut latencies = latencies();
    let (mut received, mut lost) = (0u64, 0u64);
    source.start(mono_ns());
    let warm_ns = mono_ns() + seconds_ns(ask.seconds(3.0, 0.3) / 5.0);
    let end_ns = warm_ns + seconds_ns(ask.seconds(3.0, 0.3));
    let mut window = None;
    let measured = loop {
        let now_ns = mono_ns();
        if window.is_none() && now_ns >= warm_ns {
            window = Some((now_ns, server.cpu_ns(), received, source.published));
        }
        if let Some((from_ns, cpu_ns, before, published)) = window
            && now_ns >= end_ns
        {
            let received = (received - before) as f64;
            let seconds = (now_ns - from_ns) as f64 / 1e9;
            let due = (source.published - published) as f64 * copies;
            break (received / seconds, received / due, (server.cpu_ns() - cpu_ns) as f64 / received);
        }
        source.publish_due(now_ns, received + lost);
        swarm.read(source.may_wait(now_ns), |number, message, now_ns| {
            continuity.check(number, message);
            match message {
                Message::Update { due_ns, .. } => {
                    received += 1;
                    if due_ns >= warm_ns {
                        latencies.saturating_record(now_ns.saturating_sub(due_ns));
                    }
                }
                Message::Gap { from, to, .. } => lost += to - from + 1,
                _ => {}
            }
        });
    };
    let all = (source.published as f64 * copies).round() as u64;
    let patience_ns = mono_ns() + PATIENCE_NS;
    while received + lost < all {
        source.publisher.flush();
        swarm.read(Duration::from_millis(10), |number, message, _| {
            continuity.check(number, message);
            match message {
                Message::Update { .. } => received += 1,
                Message::Gap { from, to, .. } => lost += to - from + 1,
                _ => {}
            }
        });
        assert!(mono_ns() < patience_ns, "{}: {received} of {all} deliveries, {lost} lost", scenario.name);
    }
    source.publisher.check();
    let frames_per_write = server.metric("tickcast_deliveries_total") / server.metric("tickcast_writes_total");
    let (deliveries_per_second, delivered_part, cpu_ns) = measured;
    let quantiles_ms = QUANTILES.map(|quantile| quantile_ms(&latencies, quantile));
    Figures { deliveries_per_second, delivered_part, cpu_ns, frames_per_write, quantiles_ms, lost: lost as f64 }
}

/// Publishes what is due, topic after topic.
struct Source {
    publisher: Publisher,
    ticks: Vec<Tick>,
    drive: Drive,
    /// Deliveries that one update leads to.
    copies: f64,
    published: u64,
    every: Every,
}

impl Source {
    fn new(publisher: Publisher, topics: usize, drive: Drive, copies: f64) -> Self {
        let ticks = (0..topics).map(|number| Tick::new(number, Kind::Event)).collect();
        Self { publisher, ticks, drive, copies, published: 0, every: Every::new(0, 1.0) }
    }

    fn start(&mut self, now_ns: u64) {
        if let Drive::PerSecond(rate) = self.drive {
            self.every = Every::new(now_ns, rate);
        }
    }

    fn publish_due(&mut self, now_ns: u64, received: u64) {
        loop {
            let due_ns = match self.drive {
                Drive::PerSecond(_) => self.every.take(now_ns),
                Drive::InFlight(bound) => {
                    (self.published as f64 - received as f64 / self.copies < bound).then_some(now_ns)
                }
            };
            let Some(due_ns) = due_ns else { break };
            let number = (self.published % self.ticks.len() as u64) as usize;
            self.publisher.publish(&mut self.ticks[number], due_ns);
            self.published += 1;
        }
        self.publisher.flush();
    }

    /// How long the load may sleep. The kernel's timer is too coarse for the last millisecond.
    fn may_wait(&self, now_ns: u64) -> Duration {
        match self.drive {
            Drive::PerSecond(_) => {
                let left = Duration::from_nanos(self.every.due_ns().saturating_sub(now_ns));
                if left > Duration::from_millis(2) { left - Duration::from_millis(1) } else { Duration::ZERO }
            }
            Drive::InFlight(_) => Duration::from_millis(1),
        }
    }
}
